"""Projects in CloudFormation stacks."""

import pytest

from tests.local_aws.codebuild_cases import ROLE, spec
from tests.local_aws.sagemaker_cases import unique

pytestmark = pytest.mark.local_aws


def properties(**changes):
    return {
        "ServiceRole": ROLE,
        "Source": {"Type": "NO_SOURCE", "BuildSpec": spec("true")},
        "Artifacts": {"Type": "NO_ARTIFACTS"},
        "Environment": {
            "Type": "LINUX_CONTAINER",
            "Image": "aws/codebuild/standard:7.0",
            "ComputeType": "BUILD_GENERAL1_SMALL",
            "PrivilegedMode": "true",
            "EnvironmentVariables": [{"Name": "A", "Value": 1}],
        },
        **changes,
    }


def template(**changes):
    resource = {"Type": "AWS::CodeBuild::Project", "Properties": properties(**changes)}
    values = {"Ref": {"Ref": "Build"}, "Arn": {"Fn::GetAtt": ["Build", "Arn"]}}
    return {"Resources": {"Build": resource}, "Outputs": {name: {"Value": value} for name, value in values.items()}}


def outputs(stack):
    return {one["OutputKey"]: one["OutputValue"] for one in stack["Outputs"]}


def described(codebuild, name):
    [found] = codebuild.batch_get_projects(names=[name])["projects"]
    return found


def test_a_project_is_made_changed_replaced_and_deleted(building_aws, codebuild):
    stack_name, name = unique("builds"), unique("stack")
    logs = {"CloudWatchLogs": {"Status": "ENABLED", "GroupName": "builds"}}
    tags = [{"Key": "team", "Value": "iris"}]
    stack = building_aws.deploy(
        stack_name, template(Name=name, TimeoutInMinutes="15", Description="d", LogsConfig=logs, Tags=tags)
    )
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    assert outputs(stack) == {"Ref": name, "Arn": f"arn:aws:codebuild:us-west-2:123456789012:project/{name}"}
    found = described(codebuild, name)
    assert (found["timeoutInMinutes"], found["description"]) == (15, "d")
    assert found["environment"]["privilegedMode"] is True
    assert found["environment"]["environmentVariables"] == [{"name": "A", "value": "1"}]
    assert found["source"]["buildspec"] == spec("true")
    assert found["logsConfig"]["cloudWatchLogs"] == {"status": "ENABLED", "groupName": "builds"}
    assert {"key": "team", "value": "iris"} in found["tags"]

    changed = building_aws.deploy(stack_name, template(Name=name))
    assert changed["StackStatus"] == "UPDATE_COMPLETE"
    found = described(codebuild, name)
    assert (found["timeoutInMinutes"], found.get("description", "")) == (60, "")
    assert "groupName" not in found["logsConfig"]["cloudWatchLogs"]
    assert {"key": "team", "value": "iris"} not in found["tags"]

    other = unique("stack")
    assert building_aws.deploy(stack_name, template(Name=other))["StackStatus"] == "UPDATE_COMPLETE"
    assert described(codebuild, other)["name"] == other
    assert codebuild.batch_get_projects(names=[name])["projects"] == []

    building_aws.client("cloudformation").delete_stack(StackName=stack["StackId"])
    assert building_aws.stack(stack["StackId"])["StackStatus"] == "DELETE_COMPLETE"
    assert codebuild.batch_get_projects(names=[other])["projects"] == []


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (
            {"ServiceRole": "arn:aws:iam::123456789012:role/none"},
            "CodeBuild is not authorized to perform: sts:AssumeRole",
        ),
        ({"Source": {"Type": "GITHUB", "Location": "https://github.com/a/b.git"}}, "no sources of type GITHUB"),
        ({"Triggers": {"Webhook": True}}, "no Triggers"),
    ],
)
def test_a_project_that_is_refused_leaves_nothing(building_aws, codebuild, changes, reason):
    name = unique("stack")
    stack = building_aws.deploy(unique("builds"), template(Name=name, **changes))
    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    events = building_aws.client("cloudformation").describe_stack_events(StackName=stack["StackId"])["StackEvents"]
    assert any(reason in event.get("ResourceStatusReason", "") for event in events), events
    assert codebuild.batch_get_projects(names=[name])["projects"] == []
