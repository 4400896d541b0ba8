"""The permissions that ECR's operations need, with their resources and condition keys.

https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonelasticcontainerregistry.html
"""

from collections.abc import Callable, Mapping
from typing import Any

from local_aws.ecr.names import repository_arn
from local_aws.framework.api import RequestContext
from local_aws.framework.authorization import Needed, request_tag_keys
from local_aws.framework.store import Scope

# The tags of the resource with an ARN.
TagsOf = Callable[[Scope, str], dict[str, str]]
# The policy of the resource with an ARN; empty where it has none.
PolicyOf = Callable[[Scope, str], str]
# The actions without resource-level permissions.
_OF_REGISTRY = ("DescribeRegistry", "GetAuthorizationToken")


class EcrPermissions:
    """Says what the caller of an operation needs.

    :param tags_of: reads a repository's tags
    :param policy_of: reads a repository's own policy
    """

    def __init__(self, tags_of: TagsOf, policy_of: PolicyOf) -> None:
        self._tags_of = tags_of
        self._policy_of = policy_of

    def needed(self, context: RequestContext, operation: str, parameters: Mapping[str, Any]) -> list[Needed]:
        """Return the permissions for an operation.

        :param context: account and region
        :param operation: such as ``PutImage``
        :param parameters: the request, which has not been checked
        """
        tags = parameters.get("tags")
        tagged = [tag for tag in tags if isinstance(tag, dict)] if isinstance(tags, list) else []
        keys = request_tag_keys(tagged)
        if isinstance(removed := parameters.get("tagKeys"), list):
            keys["aws:TagKeys"] = [str(key) for key in removed]
        needed = [
            Needed(
                f"ecr:{operation}",
                arn,
                {**keys, **self._resource_tags(context, arn)},
                self._policy_of(context, arn),
            )
            for arn in _arns(context, operation, parameters)
        ]
        if operation == "CreateRepository" and tagged:
            # https://docs.aws.amazon.com/AmazonECR/latest/userguide/supported-iam-actions-tagging.html
            needed.append(Needed("ecr:TagResource", needed[0].resource, keys))
        return needed

    def _resource_tags(self, scope: Scope, arn: str) -> dict[str, str]:
        found = self._tags_of(scope, arn)
        names = ("aws:ResourceTag", "ecr:ResourceTag")
        return {f"{name}/{key}": value for key, value in found.items() for name in names}


def _arns(scope: Scope, operation: str, parameters: Mapping[str, Any]) -> list[str]:
    """Return the resources on which an operation is checked."""
    if operation in _OF_REGISTRY:
        return ["*"]
    if isinstance(arn := parameters.get("resourceArn"), str) and arn:
        return [arn]
    names = parameters.get("repositoryNames") or [parameters.get("repositoryName") or "*"]
    registry = parameters.get("registryId")
    where = Scope(registry, scope.region) if isinstance(registry, str) and registry else scope
    return [repository_arn(where, str(name)) for name in (names if isinstance(names, list) else [names])]
