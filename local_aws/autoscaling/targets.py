"""Scalable targets: what may be scaled, and its bounds.

https://docs.aws.amazon.com/autoscaling/application/APIReference/API_RegisterScalableTarget.html
"""

import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from local_aws.autoscaling.variants import RESOURCE_ID, ROLE
from local_aws.framework.api import Operation, RequestContext, ServiceError
from local_aws.framework.listing import paginate
from local_aws.framework.store import Document, Scope, Store

SAGEMAKER_DIMENSION = "sagemaker:variant:DesiredInstanceCount"
_MAX_TAGS = 50
PAGE_SIZE = 50

# Context, endpoint name, variant name; raises ServiceError when there is no such variant.
VariantCheck = Callable[[RequestContext, str, str], None]
# Instance type by variant name.
Variants = Mapping[str, str]


class ScalableTargets:
    """The operations on scalable targets.

    :param store: where they are kept
    :param check_variant: refuses a variant that does not exist
    """

    def __init__(self, store: Store, check_variant: VariantCheck) -> None:
        self._targets = store.collection("scalable_targets")
        self._check_variant = check_variant
        # Called with scope and document after a target is gone.
        self.on_deregistered: Callable[[Scope, Document], None] = lambda scope, target: None
        # Called when a target has new bounds.
        self.on_bounds: Callable[[], None] = lambda: None

    def operations(self) -> dict[str, Operation]:
        """Return the API's operations by name."""
        return {
            "RegisterScalableTarget": self._register,
            "DescribeScalableTargets": self._describe,
            "DeregisterScalableTarget": self._deregister,
            "ListTagsForResource": self._list_tags,
            "TagResource": self._tag,
            "UntagResource": self._untag,
        }

    def get(self, scope: Scope, parameters: dict[str, Any]) -> Document:
        """Find the target a request names.

        :param scope: account and region
        :param parameters: ServiceNamespace, ResourceId and ScalableDimension
        :returns: the target
        :raises ServiceError: there is none
        """
        target = self._targets.get(scope, key(parameters))
        if target is None:
            raise ServiceError("ObjectNotFoundException", f"No scalable target registered for {describe(parameters)}")
        return target

    def find(self, scope: Scope, identity: Document) -> Document | None:
        """Find the target of a policy, an action or an activity.

        :param scope: account and region
        :param identity: what names it
        :returns: None when there is none
        """
        return self._targets.get(scope, key(identity))

    def with_new_bounds(self) -> list[tuple[Scope, Document]]:
        """Return scope and target of all targets whose capacity has not been checked with their bounds."""
        return [(scope, target) for scope, _, target in self._targets.everywhere() if target.get("NewBounds")]

    def bounds_seen(self, scope: Scope, target: Document) -> None:
        """Record that a target's capacity was checked with its bounds.

        :param scope: account and region
        :param target: as it was when checked
        """

        def seen(now: Document) -> None:
            if now.get("NewBounds") == target["NewBounds"]:
                del now["NewBounds"]

        self._targets.update(scope, key(target), seen)

    def set_bounds(self, scope: Scope, target: Document, bounds: dict[str, int]) -> None:
        """Set a target's bounds.

        :param scope: account and region
        :param target: which
        :param bounds: MinCapacity and MaxCapacity
        :raises ServiceError: they contradict each other
        """

        def change(found: Document) -> None:
            found.update(bounds, NewBounds=secrets.token_hex(8))
            _check_bounds(found)

        self._targets.update(scope, key(target), change)
        self.on_bounds()

    def refuse_update(self, scope: Scope, endpoint_name: str, live: Variants, wanted: Variants) -> None:
        """Refuse an update that would remove a scalable variant or change its instance type.

        https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-scaling-update.html

        :param scope: the endpoint's account and region
        :param endpoint_name: its name
        :param live: instance type by variant, as it serves
        :param wanted: the same after the update
        :raises ServiceError: it would do so
        """
        changed = {name for name, instance_type in live.items() if wanted.get(name) != instance_type}
        held = sorted(changed & {variant for variant, _ in self._of_endpoint(scope, endpoint_name)})
        if held:
            raise ServiceError(
                "ValidationException",
                f'The variant(s) "[{", ".join(held)}]" must be deregistered as scalable targets with AWS Application '
                "Auto Scaling before they can be removed or have their instance type updated.",
            )

    def deregister_endpoint(self, scope: Scope, endpoint_name: str) -> None:
        """Deregister every variant of an endpoint that is being deleted.

        https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-delete-with-scaling.html

        :param scope: the endpoint's account and region
        :param endpoint_name: its name
        """
        for _, target in self._of_endpoint(scope, endpoint_name):
            self._remove(scope, target)

    def _of_endpoint(self, scope: Scope, endpoint_name: str) -> list[tuple[str, Document]]:
        """Return the endpoint's scalable variants, each with its target."""
        matches = [(RESOURCE_ID.fullmatch(target["ResourceId"]), target) for target in self._targets.list(scope)]
        return [(match[2], target) for match, target in matches if match and match[1].lower() == endpoint_name.lower()]

    def _register(self, context: RequestContext, parameters: dict[str, Any]) -> dict[str, Any]:
        old = self._targets.get(context, key(parameters))
        target = {**(old or self._new(context, parameters)), **_given(parameters)}
        _check_bounds(target)
        if parameters.keys() & {"MinCapacity", "MaxCapacity"}:
            target["NewBounds"] = secrets.token_hex(8)
        self._targets.put(context, key(parameters), target)
        self.on_bounds()
        return target

    def _new(self, context: RequestContext, parameters: dict[str, Any]) -> Document:
        match = RESOURCE_ID.fullmatch(parameters["ResourceId"])
        namespace, dimension = parameters["ServiceNamespace"], parameters["ScalableDimension"]
        if not dimension.startswith(f"{namespace}:") or (namespace == "sagemaker" and match is None):
            raise ServiceError(
                "ValidationException", "Unsupported service namespace, resource type or scalable dimension"
            )
        if match is None or dimension != SAGEMAKER_DIMENSION:
            raise ServiceError("ValidationException", f"The local AWS scales {SAGEMAKER_DIMENSION} only.")
        self._check_variant(context, match[1], match[2])
        # The form of the identifier: https://docs.aws.amazon.com/autoscaling/application/userguide/
        return {
            "CreationTime": time.time(),
            "ScalableTargetARN": context.arn("application-autoscaling", f"scalable-target/{secrets.token_hex(18)}"),
            "RoleARN": f"arn:aws:iam::{context.account_id}:role/aws-service-role/sagemaker.application-autoscaling"
            f".amazonaws.com/{ROLE}",
            "SuspendedState": {
                "DynamicScalingInSuspended": False,
                "DynamicScalingOutSuspended": False,
                "ScheduledScalingSuspended": False,
            },
            "Tags": parameters.get("Tags", {}),
        }

    def _describe(self, context: RequestContext, parameters: dict[str, Any]) -> dict[str, Any]:
        wanted = parameters.get("ResourceIds")
        found = [
            target
            for target in self._targets.list(context)
            if same(parameters, target, "ServiceNamespace", "ScalableDimension")
            and (not wanted or target["ResourceId"] in wanted)
        ]
        page, token = page_of(found, parameters, lambda target: (key(target),))
        return {"ScalableTargets": page, "NextToken": token}

    def _deregister(self, context: RequestContext, parameters: dict[str, Any]) -> dict[str, Any]:
        self._remove(context, self.get(context, parameters))
        return {}

    def _remove(self, scope: Scope, target: Document) -> None:
        self._targets.delete(scope, key(target))
        self.on_deregistered(scope, target)

    def _list_tags(self, context: RequestContext, parameters: dict[str, Any]) -> dict[str, Any]:
        return {"Tags": self._by_arn(context, parameters["ResourceARN"])["Tags"]}

    def _tag(self, context: RequestContext, parameters: dict[str, Any]) -> dict[str, Any]:
        def tag(target: Document) -> None:
            target["Tags"].update(parameters["Tags"])
            if len(target["Tags"]) > _MAX_TAGS:
                raise ServiceError("TooManyTagsException", f"A resource can have {_MAX_TAGS} tags at most.")

        self._targets.update(context, key(self._by_arn(context, parameters["ResourceARN"])), tag)
        return {}

    def _untag(self, context: RequestContext, parameters: dict[str, Any]) -> dict[str, Any]:
        def untag(target: Document) -> None:
            for name in parameters["TagKeys"]:
                target["Tags"].pop(name, None)

        self._targets.update(context, key(self._by_arn(context, parameters["ResourceARN"])), untag)
        return {}

    def _by_arn(self, scope: Scope, arn: str) -> Document:
        for target in self._targets.list(scope):
            if target["ScalableTargetARN"] == arn:
                return target
        raise ServiceError("ResourceNotFoundException", f"No scalable target found for the resource ARN {arn}")


def key(parameters: dict[str, Any]) -> str:
    """Return a target's key, which is also CloudFormation's Ref.

    :param parameters: ServiceNamespace, ResourceId and ScalableDimension
    :returns: resource, dimension and namespace
    """
    return "|".join(parameters[member] for member in ("ResourceId", "ScalableDimension", "ServiceNamespace"))


def describe(parameters: dict[str, Any]) -> str:
    """Describe a target as AWS's errors do.

    :param parameters: ServiceNamespace, ResourceId and ScalableDimension
    :returns: the text
    """
    return (
        f"service namespace: {parameters['ServiceNamespace']}, resource ID: {parameters['ResourceId']}, "
        f"scalable dimension: {parameters['ScalableDimension']}"
    )


def same(parameters: dict[str, Any], document: Document, *members: str) -> bool:
    """Tell whether a document matches a request.

    :param parameters: the request
    :param document: a target, policy or activity
    :param members: to compare; a member that the request lacks matches any
    """
    return all(parameters.get(member, document[member]) == document[member] for member in members)


def page_of(
    found: list[Document], parameters: dict[str, Any], sort_key: Callable[[Document], tuple[Any, ...]]
) -> tuple[list[Document], str | None]:
    """Return the page that a request asks for.

    :param found: all documents
    :param parameters: the request
    :param sort_key: unique
    :returns: the page and the token of the next
    :raises ServiceError: the token was not made here
    """
    size = min(parameters.get("MaxResults", PAGE_SIZE), PAGE_SIZE)
    with own_token():
        return paginate(found, {**parameters, "MaxResults": size}, key=sort_key)


@contextmanager
def own_token() -> Iterator[None]:
    """Refuse a token that was not made here with the code of this service."""
    try:
        yield
    except ServiceError as error:
        raise ServiceError("InvalidNextTokenException", error.message) from error


def _given(parameters: dict[str, Any]) -> Document:
    members = ("ServiceNamespace", "ResourceId", "ScalableDimension", "MinCapacity", "MaxCapacity", "SuspendedState")
    return {member: parameters[member] for member in members if member in parameters}


def _check_bounds(target: Document) -> None:
    if "MinCapacity" not in target or "MaxCapacity" not in target:
        raise ServiceError(
            "ValidationException", "MinCapacity and MaxCapacity are required to register a new scalable target"
        )
    if target["MinCapacity"] < 0:
        raise ServiceError("ValidationException", "Minimum capacity cannot be less than 0")
    if target["MaxCapacity"] < target["MinCapacity"]:
        raise ServiceError("ValidationException", "Maximum capacity cannot be less than minimum capacity")
