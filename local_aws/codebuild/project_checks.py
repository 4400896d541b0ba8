"""What CodeBuild refuses of a project, and what is not here.

https://docs.aws.amazon.com/codebuild/latest/APIReference/API_CreateProject.html
"""

from typing import Any

from local_aws.codebuild.errors import invalid
from local_aws.framework.api import RequestContext
from local_aws.framework.cloudformation import CLOUDFORMATION
from local_aws.framework.store import Document

MAXIMUM_TAGS = 50
_SOURCES = ("S3", "NO_SOURCE")
_ARTIFACTS = ("NO_ARTIFACTS", "S3")
_ENVIRONMENTS = ("LINUX_CONTAINER",)
_NOT_HERE = ("secondarySources", "secondaryArtifacts", "fileSystemLocations", "buildBatchConfig", "vpcConfig")


def check_project(document: Document) -> None:
    """Refuse a project that CodeBuild refuses, or that cannot be built here.

    :param document: the project
    :raises ServiceError: it is refused
    """
    source, artifacts = document["source"], document["artifacts"]
    if source["type"] not in _SOURCES:
        raise invalid(f"The local AWS has no sources of type {source['type']}, only {' and '.join(_SOURCES)}")
    if source["type"] == "S3" and "/" not in source.get("location", ""):
        raise invalid("Invalid project source: location must be a valid S3 source")
    if source["type"] == "NO_SOURCE" and not source.get("buildspec", "").strip():
        raise invalid("Invalid project source: buildspec must be provided when the source type is NO_SOURCE")
    if artifacts["type"] not in _ARTIFACTS:
        raise invalid(f"The local AWS has no artifacts of type {artifacts['type']}, only {' and '.join(_ARTIFACTS)}")
    if artifacts["type"] == "S3" and not artifacts.get("location"):
        raise invalid("Invalid artifacts: location must be provided when the type is S3")
    environment = document["environment"]
    if environment["type"] not in _ENVIRONMENTS:
        raise invalid(f"The local AWS has no environments of type {environment['type']}, only LINUX_CONTAINER")
    check_variables(environment.get("environmentVariables", []))
    for member in _NOT_HERE:
        # CloudFormation and consoles send them empty.
        if document.get(member):
            raise invalid(f"The local AWS has no {member} of projects")


def check_variables(variables: list[dict[str, Any]]) -> None:
    """Refuse environment variables twice, and those of services that are not here.

    :param variables: as a request has them
    :raises ServiceError: one is refused
    """
    names = [one["name"] for one in variables]
    if len(names) != len(set(names)):
        raise invalid("Invalid environment variables: a name is there twice")
    for one in variables:
        if (kind := one.get("type", "PLAINTEXT")) != "PLAINTEXT":
            raise invalid(f"The local AWS has no environment variables of type {kind}: {one['name']}")


def checked_tags(tags: list[dict[str, str]], context: RequestContext) -> list[dict[str, str]]:
    """Refuse tags that CodeBuild refuses.

    :param tags: of a request
    :param context: who asks
    :returns: them
    :raises ServiceError: a key twice or of AWS's own, or too many
    """
    keys = [tag.get("key", "") for tag in tags]
    if len(keys) != len(set(keys)):
        raise invalid("Invalid tags: a key is there twice")
    if context.via != CLOUDFORMATION and any(key.lower().startswith("aws:") for key in keys):
        raise invalid("Invalid tags: keys that begin with aws: are for AWS's own use")
    if len(keys) > MAXIMUM_TAGS:
        raise invalid(f"Invalid tags: a project has {MAXIMUM_TAGS} tags at most")
    return [{"key": tag.get("key", ""), "value": tag.get("value", "")} for tag in tags]
