"""The permissions that SageMaker's operations need, with their resources and condition keys.

https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsagemaker.html
"""

from collections.abc import Callable, Mapping
from typing import Any

from local_aws.framework.api import RequestContext
from local_aws.framework.authorization import Needed, passing, request_tag_keys
from local_aws.framework.store import Scope

PRINCIPAL = "sagemaker.amazonaws.com"
_Parameters = Mapping[str, Any]
# The tags of the resource with an ARN.
TagsOf = Callable[[Scope, str], dict[str, str]]

# The member that names the resource, and the type of resource in its ARN; the first member that a request has counts.
_NAMED_BY = {
    "TrainingJobName": "training-job",
    "EndpointName": "endpoint",
    "EndpointConfigName": "endpoint-config",
    "ModelName": "model",
    "ModelPackageArn": "model-package",
    "ModelPackageName": "model-package",
    "ModelPackageGroupName": "model-package-group",
}
# These are checked on the endpoint configuration too, which is there already.
_ALSO_ON_THE_CONFIGURATION = ("CreateEndpoint", "UpdateEndpoint")
_ROLE_MEMBERS = ("RoleArn", "ExecutionRoleArn")


class SageMakerPermissions:
    """Says what the caller of an operation needs.

    :param tags_of: reads a resource's tags
    """

    def __init__(self, tags_of: TagsOf) -> None:
        self._tags_of = tags_of

    def needed(self, context: RequestContext, operation: str, parameters: _Parameters) -> list[Needed]:
        """Return the permissions for an operation.

        :param context: account and region
        :param operation: such as ``CreateModel``
        :param parameters: the request, which has not been checked
        """
        tags = parameters.get("Tags")
        tagged = [tag for tag in tags if isinstance(tag, dict)] if isinstance(tags, list) else []
        keys = {**request_tag_keys(tagged), **_status_key(parameters), **_tag_keys_key(parameters)}
        needed = [
            Needed(f"sagemaker:{operation}", arn, {**keys, **self._resource_tags(context, arn)})
            for arn in _arns(context, operation, parameters)
        ]
        if operation.startswith("Create") and tagged:
            # "If tags are specified in the create action": the actions table at the page above, AddTags.
            on = needed[0].resource
            needed.append(Needed("sagemaker:AddTags", on, {**keys, "sagemaker:TaggingAction": operation}))
        roles = [parameters[member] for member in _ROLE_MEMBERS if isinstance(parameters.get(member), str)]
        return needed + [passing(role, PRINCIPAL) for role in roles if operation.startswith("Create")]

    def _resource_tags(self, scope: Scope, arn: str) -> dict[str, str]:
        if arn == "*":
            return {}
        # A model package has the tags of its group.
        # https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateModelPackage.html
        kind, _, rest = arn.rpartition(":")[2].partition("/")
        group = f"model-package-group/{rest.partition('/')[0]}"
        found = self._tags_of(scope, scope.arn("sagemaker", group) if kind == "model-package" else arn)
        return {f"aws:ResourceTag/{key}": value for key, value in found.items()}


def _arns(scope: Scope, operation: str, parameters: _Parameters) -> list[str]:
    """Return the resources on which an operation is checked."""
    arn = parameters.get("ResourceArn")
    if isinstance(arn, str) and arn:
        return [arn]
    # SageMaker's List actions have no resource-level permissions.
    if operation.startswith("List"):
        return ["*"]
    if operation == "CreateModelPackage":
        group = _last(str(parameters.get("ModelPackageGroupName", "")))
        return [scope.arn("sagemaker", f"model-package{kind}") for kind in (f"-group/{group}", f"/{group}/*")]
    for member, kind in _NAMED_BY.items():
        name = parameters.get(member)
        if isinstance(name, str) and name:
            arns = [_arn(scope, kind, name)]
            if operation in _ALSO_ON_THE_CONFIGURATION:
                arns.append(_arn(scope, "endpoint-config", str(parameters.get("EndpointConfigName", ""))))
            return arns
    return ["*"]


def _arn(scope: Scope, kind: str, name: str) -> str:
    return name if name.startswith("arn:") else scope.arn("sagemaker", f"{kind}/{name.lower()}")


def _last(name: str) -> str:
    return name.rpartition("/")[2].lower()


def _status_key(parameters: _Parameters) -> dict[str, str]:
    status = parameters.get("ModelApprovalStatus")
    return {"sagemaker:ModelApprovalStatus": status} if isinstance(status, str) else {}


def _tag_keys_key(parameters: _Parameters) -> dict[str, list[str]]:
    keys = parameters.get("TagKeys")
    return {"aws:TagKeys": [str(key) for key in keys]} if isinstance(keys, list) and keys else {}
