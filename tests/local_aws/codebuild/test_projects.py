"""Projects: made, changed, listed and deleted."""

import pytest

from tests.local_aws.codebuild_cases import ROLE, project, settings, spec
from tests.local_aws.sagemaker_cases import refused, unique

pytestmark = pytest.mark.local_aws


def test_a_project_is_described_as_created(codebuild):
    wanted = settings(spec("true"), tags=[{"key": "team", "value": "iris"}], concurrentBuildLimit=1)
    made = codebuild.create_project(**wanted)["project"]
    assert made["arn"] == f"arn:aws:codebuild:us-west-2:123456789012:project/{wanted['name']}"
    assert {name: made[name] for name in wanted} == wanted
    assert (made["timeoutInMinutes"], made["queuedTimeoutInMinutes"]) == (60, 480)
    assert codebuild.batch_get_projects(names=[made["name"], "none"]) | {"ResponseMetadata": None} == {
        "projects": [made],
        "projectsNotFound": ["none"],
        "ResponseMetadata": None,
    }
    refused(lambda: codebuild.create_project(**wanted), "ResourceAlreadyExistsException", made["arn"])


def test_a_project_changes(codebuild):
    name = project(codebuild, spec("true"))
    changed = codebuild.update_project(name=name, timeoutInMinutes=5, description="new")["project"]
    assert (changed["timeoutInMinutes"], changed["description"], changed["serviceRole"]) == (5, "new", ROLE)
    assert changed["lastModified"] >= changed["created"]
    refused(lambda: codebuild.update_project(name=unique("no")), "ResourceNotFoundException", "Project cannot be found")


def test_a_project_is_deleted_once_or_more(codebuild):
    name = project(codebuild, spec("true"))
    for _ in range(2):
        codebuild.delete_project(name=name)
    assert codebuild.batch_get_projects(names=[name])["projectsNotFound"] == [name]


def test_projects_are_listed(codebuild):
    names = [project(codebuild, spec("true")) for _ in range(2)]
    assert set(names) <= set(codebuild.list_projects()["projects"])
    newest = codebuild.list_projects(sortBy="CREATED_TIME", sortOrder="DESCENDING")["projects"]
    assert newest[:2] == names[::-1]
    refused(lambda: codebuild.list_projects(nextToken="x"), "InvalidInputException", "nextToken")


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"source": {"type": "GITHUB", "location": "https://github.com/a/b.git"}}, "no sources of type GITHUB"),
        ({"source": {"type": "NO_SOURCE"}}, "buildspec must be provided"),
        ({"source": {"type": "S3", "location": "bucket"}}, "location must be a valid S3 source"),
        ({"artifacts": {"type": "CODEPIPELINE"}}, "no artifacts of type CODEPIPELINE"),
        ({"artifacts": {"type": "S3"}}, "location must be provided"),
        ({"vpcConfig": {"vpcId": "vpc-1"}}, "no vpcConfig"),
        ({"tags": [{"key": "a", "value": ""}, {"key": "a", "value": ""}]}, "there twice"),
        ({"tags": [{"key": "aws:a", "value": ""}]}, "AWS's own use"),
        (
            {"serviceRole": "arn:aws:iam::123456789012:role/tests"},
            "not authorized to perform: sts:AssumeRole",
        ),
        (
            {"serviceRole": "arn:aws:iam::123456789012:role/none"},
            "not authorized to perform: sts:AssumeRole",
        ),
    ],
)
def test_refused_project(codebuild, changes, text):
    refused(lambda: codebuild.create_project(**settings(spec("true"), **changes)), "InvalidInputException", text)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"type": "WINDOWS_CONTAINER"}, "no environments of type WINDOWS_CONTAINER"),
        ({"environmentVariables": [{"name": "A", "value": "b", "type": "SECRETS_MANAGER"}]}, "of type SECRETS_MANAGER"),
        ({"environmentVariables": [{"name": "A", "value": "b"}, {"name": "A", "value": "c"}]}, "there twice"),
    ],
)
def test_refused_environment(codebuild, changes, text):
    wanted = settings(spec("true"))
    wanted["environment"] |= changes
    refused(lambda: codebuild.create_project(**wanted), "InvalidInputException", text)
