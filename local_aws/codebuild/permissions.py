"""The permissions that CodeBuild's operations need, with their resources and condition keys.

https://docs.aws.amazon.com/service-authorization/latest/reference/list_awscodebuild.html
"""

from collections.abc import Callable, Mapping
from typing import Any

from local_aws.codebuild.projects import project_arn, project_in
from local_aws.framework.api import RequestContext
from local_aws.framework.authorization import Needed, passing, request_tag_keys
from local_aws.framework.store import Scope

PRINCIPAL = "codebuild.amazonaws.com"
# The tags of the resource with an ARN.
TagsOf = Callable[[Scope, str], dict[str, str]]
# The actions without resource-level permissions.
_OF_ACCOUNT = ("ListBuilds", "ListProjects")
_BUILDS = ("BatchDeleteBuilds", "BatchGetBuilds", "StopBuild")
_ROLES = {"CreateProject": "serviceRole", "UpdateProject": "serviceRole", "StartBuild": "serviceRoleOverride"}


class CodeBuildPermissions:
    """Says what the caller of an operation needs.

    :param tags_of: reads a project's tags
    """

    def __init__(self, tags_of: TagsOf) -> None:
        self._tags_of = tags_of

    def needed(self, context: RequestContext, operation: str, parameters: Mapping[str, Any]) -> list[Needed]:
        """Return the permissions for an operation.

        :param context: account and region
        :param operation: such as ``StartBuild``
        :param parameters: the request, which has not been checked
        """
        tags = parameters.get("tags")
        tagged = [
            {"Key": tag.get("key", ""), "Value": tag.get("value", "")}
            for tag in (tags if isinstance(tags, list) else [])
            if isinstance(tag, dict)
        ]
        keys = request_tag_keys(tagged)
        needed = [
            Needed(f"codebuild:{operation}", arn, {**keys, **self._resource_tags(context, arn)})
            for arn in _arns(context, operation, parameters)
        ]
        role = parameters.get(_ROLES.get(operation, ""))
        return [*needed, passing(role, PRINCIPAL)] if isinstance(role, str) and role else needed

    def _resource_tags(self, scope: Scope, arn: str) -> dict[str, str]:
        return {f"aws:ResourceTag/{key}": value for key, value in self._tags_of(scope, arn).items()}


def _arns(scope: Scope, operation: str, parameters: Mapping[str, Any]) -> list[str]:
    """Return the projects on which an operation is checked."""
    if operation in _OF_ACCOUNT:
        return ["*"]
    if operation in _BUILDS:
        builds = [parameters["id"]] if "id" in parameters else parameters.get("ids")
        names = [_project_of(str(one)) for one in builds] if isinstance(builds, list) else ["*"]
    else:
        listed = parameters.get("names") or [parameters.get("projectName") or parameters.get("name") or "*"]
        names = [project_in(str(one)) for one in (listed if isinstance(listed, list) else [listed])]
    return [project_arn(scope, name) for name in dict.fromkeys(names)]


def _project_of(build: str) -> str:
    """Return the project of a build that is named by its id or its ARN."""
    return (build.partition(":build/")[2] if build.startswith("arn:") else build).partition(":")[0]
