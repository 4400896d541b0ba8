"""Tags of all SageMaker resources: AddTags, ListTags, DeleteTags, and methods for the other operations.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_AddTags.html
"""

import json
from collections.abc import Iterator, Sized
from typing import Any

from local_aws.framework.api import Operation, RequestContext, ServiceError
from local_aws.framework.cloudformation import CLOUDFORMATION
from local_aws.framework.listing import beginning, paginate
from local_aws.framework.service_parts import Resource, TagSearch
from local_aws.framework.store import Collection, Conditions, Scope, Store

MAXIMUM_TAGS = 50
# How many resources are read at a time for the tagging API; a page has a hundred.
_BATCH = 101

Tag = dict[str, str]


class Tags:
    """The tags of each resource, by ARN, from its creation to its deletion.

    :param store: where they are kept
    """

    def __init__(self, store: Store) -> None:
        self._tags: Collection = store.collection("sagemaker_tags")

    def attach(self, context: RequestContext, arn: str, tags: list[Tag] | None) -> None:
        """Store a new resource and its tags; every Create calls this, also without tags.

        :param context: who makes the resource, and where
        :param arn: the resource
        :param tags: the request's Tags
        :raises ServiceError: a key twice or of AWS's own, or too many
        """
        check(tags or [], context)
        self._tags.put(context, arn, {"tags": {tag["Key"]: tag["Value"] for tag in tags or []}})

    def detach(self, scope: Scope, arn: str) -> None:
        """Remove a deleted resource.

        :param scope: the resource's account and region
        :param arn: the resource
        """
        self._tags.delete(scope, arn)

    def of(self, scope: Scope, arn: str) -> dict[str, str]:
        """Read a resource's tags.

        :param scope: the resource's account and region
        :param arn: the resource
        :returns: value by key
        """
        return (self._tags.get(scope, arn) or {"tags": {}})["tags"]

    def tagged(self, scope: Scope, search: TagSearch) -> Iterator[Resource]:
        """Read ARN and tags of resources, as many as are taken.

        :param scope: the account and region
        :param search: which
        """
        # SQLite passes over most of what does not fit, which costs much less than parsing it here.
        texts: Conditions = [("instr(body, ?) > 0", _written(one)) for one in search.filters]
        after = search.after
        while True:
            wanted = [*beginning(search.under, after), *texts]
            # SQLite reads from one bound only.
            behind = (after,) if after >= search.under else None
            rows = self._tags.page(scope, _BATCH, behind, by="name", descending=False, conditions=wanted)
            for after, document in rows:
                if search.fits(document["tags"]):
                    yield after, document["tags"]
            if len(rows) < _BATCH:
                return

    def operations(self) -> dict[str, Operation]:
        """Return the API's operations by name."""
        return {"AddTags": self._add, "ListTags": self._list, "DeleteTags": self._delete}

    def _add(self, context: RequestContext, parameters: dict[str, Any]) -> dict[str, Any]:
        refuse_on_version(parameters["ResourceArn"])
        check(parameters["Tags"], context)

        def add(document: dict[str, Any]) -> None:
            document["tags"].update({tag["Key"]: tag["Value"] for tag in parameters["Tags"]})
            _check_number(document["tags"])

        return {"Tags": as_list(self._changed(context, parameters["ResourceArn"], add)["tags"])}

    def _list(self, context: RequestContext, parameters: dict[str, Any]) -> dict[str, Any]:
        document = _existing(self._tags.get(context, parameters["ResourceArn"]), parameters["ResourceArn"])
        page, token = paginate(as_list(document["tags"]), parameters, key=lambda tag: (tag["Key"],), default_size=50)
        return {"Tags": page, "NextToken": token}

    def _delete(self, context: RequestContext, parameters: dict[str, Any]) -> dict[str, Any]:
        def remove(document: dict[str, Any]) -> None:
            for key in parameters["TagKeys"]:
                document["tags"].pop(key, None)

        self._changed(context, parameters["ResourceArn"], remove)
        return {}

    def _changed(self, context: RequestContext, arn: str, change: Any) -> dict[str, Any]:
        return _existing(self._tags.update(context, arn, change), arn)


def _written(wanted: dict[str, Any]) -> str:
    """Return a text that is in the document of each resource that fits a filter."""
    values = wanted.get("Values") or []
    return json.dumps({wanted["Key"]: values[0]})[1:-1] if len(values) == 1 else f"{json.dumps(wanted['Key'])}: "


def _existing(document: dict[str, Any] | None, arn: str) -> dict[str, Any]:
    if document is None:
        raise ServiceError("ValidationException", f"The resource {arn} does not exist.")
    return document


def check(tags: list[Tag], context: RequestContext) -> None:
    """Refuse tags that SageMaker refuses.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_Tag.html

    :param tags: of a request
    :param context: who asks
    :raises ServiceError: a key twice or of AWS's own, or more than 50
    """
    keys = [tag["Key"] for tag in tags]
    if len(keys) != len(set(keys)):
        raise ServiceError("ValidationException", "Duplicate tag keys found. Please remove them and try again.")
    # https://docs.aws.amazon.com/tag-editor/latest/userguide/tagging.html: the prefix is for AWS's own use.
    if context.via != CLOUDFORMATION and any(key.lower().startswith("aws:") for key in keys):
        raise ServiceError("ValidationException", "aws: prefixed tag key names are not allowed for external use.")
    _check_number(keys)


def refuse_on_version(resource_arn: str) -> None:
    """Refuse tags of a version of a model package, which has those of its group.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateModelPackage.html

    :param resource_arn: what is to be tagged
    :raises ServiceError: it is a version
    """
    if ":model-package/" in resource_arn and "/" in resource_arn.partition(":model-package/")[2]:
        raise ServiceError(
            "ValidationException",
            "Tags are not supported on a versioned model package: it uses the tags of its model package group.",
        )


def _check_number(keys: Sized) -> None:
    if len(keys) > MAXIMUM_TAGS:
        raise ServiceError("ValidationException", f"The number of tags exceeds the limit of {MAXIMUM_TAGS}.")


def as_list(tags: dict[str, str]) -> list[Tag]:
    """Write tags as AWS lists them.

    :param tags: value by key
    :returns: by key
    """
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]
