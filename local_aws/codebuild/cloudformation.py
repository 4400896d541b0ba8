"""Projects as resources of CloudFormation stacks.

https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-codebuild-project.html
"""

from typing import Any

from local_aws.codebuild.errors import invalid
from local_aws.codebuild.projects import project_arn
from local_aws.framework.api import JsonService, service_model
from local_aws.framework.cloudformation import ResourceProgress, ResourceRequest, physical_name
from local_aws.framework.coercion import as_members, coerced

# The longest name of a project.
_MAX_NAME = 150
# What an update sends for a property that the template does not set any more.
_DEFAULTS: dict[str, Any] = {
    "description": "",
    "sourceVersion": "",
    "timeoutInMinutes": 60,
    "queuedTimeoutInMinutes": 480,
    "cache": {"type": "NO_CACHE"},
    "logsConfig": {"cloudWatchLogs": {"status": "ENABLED"}},
    "tags": [],
}
# Properties that need other operations of the API.
_NOT_HERE = ("ResourceAccessRole", "Triggers")


class ProjectResource:
    """AWS::CodeBuild::Project; its drift is not checked, as on AWS, whose schema has no handlers.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/resource-import-supported-resources.html

    :param service: CodeBuild
    """

    replacing_properties = frozenset({"Name"})
    name_property: str | None = "Name"
    takes_tags = True

    def __init__(self, service: JsonService) -> None:
        self._service = service

    def create(self, request: ResourceRequest) -> ResourceProgress:
        """Make the project, with a generated name if the template has none."""
        parameters = _parameters("CreateProject", request.properties)
        parameters.setdefault("name", physical_name(request, _MAX_NAME))
        name = parameters["name"]
        if not (request.again and self._exists(request, name)):
            self._service.call(request.context, "CreateProject", parameters)
        return _stable(request, name)

    def update(self, request: ResourceRequest) -> ResourceProgress:
        """Change the project."""
        name = request.physical_id or ""
        parameters = {**_DEFAULTS, **_parameters("UpdateProject", request.properties), "name": name}
        self._service.call(request.context, "UpdateProject", parameters)
        return _stable(request, name)

    def delete(self, request: ResourceRequest) -> None:
        """Remove the project; a missing one is fine."""
        if request.physical_id is not None:
            self._service.call(request.context, "DeleteProject", {"name": request.physical_id})

    def _exists(self, request: ResourceRequest, name: str) -> bool:
        return bool(self._service.call(request.context, "BatchGetProjects", {"names": [name]})["projects"])


def _parameters(operation: str, properties: dict[str, Any]) -> dict[str, Any]:
    shape = service_model("codebuild").operation_model(operation).input_shape
    for name in _NOT_HERE:
        if properties.get(name):
            raise invalid(f"The local AWS has no {name} of projects")
    wanted = {name: value for name, value in properties.items() if name not in (*_NOT_HERE, "Visibility")}
    found: dict[str, Any] = coerced(shape, as_members(shape, wanted))
    return found


def _stable(request: ResourceRequest, name: str) -> ResourceProgress:
    return ResourceProgress(name, {"Arn": project_arn(request.context, name)})
