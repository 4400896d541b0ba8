"""IAM as builds and those who start them meet it."""

import json

import pytest

from tests.local_aws.codebuild_cases import BUCKET, TRUST, ended, phase, project, put_source, settings, spec, start
from tests.local_aws.roles import user_with
from tests.local_aws.sagemaker_cases import refused, unique

pytestmark = pytest.mark.local_aws
PROJECT = "arn:aws:codebuild:us-west-2:123456789012:project/"


def role(aws, *statements):
    """Make a role for builds; return its ARN."""
    name = unique("build-role")
    iam = aws.client("iam")
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
    document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **one} for one in statements]}
    iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=json.dumps(document))
    return arn


def user(aws, *statements):
    """Make a user; return a client of CodeBuild."""
    return user_with(aws, "codebuild", *statements)


def test_a_source_is_read_by_the_service_role(building_aws, codebuild):
    key, text = f"{unique('source')}.zip", spec("true")
    version = put_source(building_aws, key, {"a": "1"})
    source = {"type": "S3", "location": f"{BUCKET}/{key}", "buildspec": text}
    logs = {"Action": "logs:*", "Resource": "*"}
    poor = role(building_aws, logs)
    build = ended(codebuild, start(codebuild, project(codebuild, text, source=source, serviceRole=poor)))
    status, code, message = phase(build, "DOWNLOAD_SOURCE")
    assert (status, code) == ("FAILED", "CLIENT_ERROR")
    assert "s3:GetObject" in message
    # With a version S3 asks for another action.
    rich = role(building_aws, logs, {"Action": "s3:GetObjectVersion", "Resource": f"arn:aws:s3:::{BUCKET}/{key}"})
    name = project(codebuild, text, source=source, serviceRole=rich)
    assert ended(codebuild, start(codebuild, name, sourceVersion=version))["buildStatus"] == "SUCCEEDED"


def test_the_log_needs_the_role_but_not_to_make_the_group(building_aws, codebuild):
    client, name = building_aws.client("logs"), unique("project")
    group = f"/aws/codebuild/{name}"
    client.create_log_group(logGroupName=group)
    # https://docs.aws.amazon.com/codebuild/latest/userguide/setting-up-service-role.html
    arn = f"arn:aws:logs:us-west-2:123456789012:log-group:{group}"
    writing = role(
        building_aws, {"Action": ["logs:CreateLogStream", "logs:PutLogEvents"], "Resource": [arn, f"{arn}:*"]}
    )
    codebuild.create_project(**settings(spec("echo written"), name=name, serviceRole=writing))
    build = ended(codebuild, start(codebuild, name))
    where = {"logGroupName": group, "logStreamName": build["logs"]["streamName"]}
    assert "written\n" in [event["message"] for event in client.get_log_events(**where)["events"]]


def test_a_build_without_permission_for_its_log_fails(building_aws, codebuild):
    mute = role(building_aws, {"Action": "s3:GetObject", "Resource": "*"})
    build = ended(codebuild, start(codebuild, project(codebuild, spec("true"), serviceRole=mute)))
    status, code, message = phase(build, "PROVISIONING")
    assert (build["buildStatus"], status, code) == ("FAILED", "FAILED", "ACCESS_DENIED")
    assert "logs:CreateLogStream" in message


def test_commands_act_as_the_service_role(building_aws, codebuild):
    poor = role(building_aws, {"Action": "logs:*", "Resource": "*"})
    key = unique("key")
    command = f"aws sts get-caller-identity && aws s3 cp /etc/hostname s3://{BUCKET}/{key}"
    build = ended(codebuild, start(codebuild, project(codebuild, spec(command), serviceRole=poor)))
    assert build["buildStatus"] == "FAILED"
    session = poor.replace(":iam:", ":sts:").replace(":role/", ":assumed-role/")
    callers = {call["caller"].rpartition("/")[0] for call in building_aws.ledger(operation="GetCallerIdentity")}
    assert session in callers


def test_callers_need_the_action_on_the_project(building_aws, codebuild):
    name = project(codebuild, spec("true"))
    other = project(codebuild, spec("true"))
    starter = user(building_aws, {"Action": "codebuild:StartBuild", "Resource": f"{PROJECT}{name}"})
    build_id = start(starter, name)
    for call, action in (
        (lambda: start(starter, other), "StartBuild"),
        (lambda: starter.batch_get_builds(ids=[build_id]), "BatchGetBuilds"),
        (lambda: starter.stop_build(id=build_id), "StopBuild"),
        (lambda: starter.list_builds_for_project(projectName=name), "ListBuildsForProject"),
    ):
        refused(call, "AccessDeniedException", f"to perform: codebuild:{action} on resource: {PROJECT}")
    ended(codebuild, build_id)
    refused(lambda: starter.list_projects(), "AccessDeniedException", "codebuild:ListProjects on resource: *")


def test_a_role_is_handed_over_by_those_who_may(building_aws):
    maker = user(
        building_aws,
        {"Action": "codebuild:*", "Resource": "*"},
        {
            "Action": "iam:PassRole",
            "Resource": "*",
            "Condition": {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}},
        },
    )
    wanted = settings(spec("true"))
    refused(lambda: maker.create_project(**wanted), "AccessDeniedException", "iam:PassRole on resource: ")
    may = user(building_aws, {"Action": "codebuild:*", "Resource": "*"}, {"Action": "iam:PassRole", "Resource": "*"})
    may.create_project(**wanted)
    refused(
        lambda: maker.start_build(projectName=wanted["name"], serviceRoleOverride=wanted["serviceRole"]),
        "AccessDeniedException",
        "iam:PassRole",
    )


def test_tags_of_a_project_and_of_a_request_are_conditions(building_aws, codebuild):
    name = project(codebuild, spec("true"), tags=[{"key": "team", "value": "iris"}])
    other = project(codebuild, spec("true"))
    reader = user(
        building_aws,
        {
            "Action": "codebuild:BatchGetProjects",
            "Resource": "*",
            "Condition": {"StringEquals": {"aws:ResourceTag/team": "iris"}},
        },
    )
    assert reader.batch_get_projects(names=[name])["projects"]
    refused(lambda: reader.batch_get_projects(names=[name, other]), "AccessDeniedException", other)
