"""CloudFormationHook: what it makes of CloudFormation's answers. Against a running one: tests/cfn."""

import re
from contextlib import nullcontext
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from botocore.stub import Stubber

from slipway.aws import cloudformation
from slipway.aws.cloudformation import CloudFormationHook
from slipway.aws.stacks import ChangeSetRequest
from slipway.errors import AwsError, AwsRefused, StackFailed
from slipway.states import StackStatus

STACK_ID = "arn:aws:cloudformation:us-west-2:123456789012:stack/s/1"
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def hook():
    return CloudFormationHook(aws_conn_id=None, region_name="us-west-2")


@pytest.fixture
def answers(hook):
    with Stubber(hook.conn) as stubber:
        yield stubber


def event(number, status, *, resource="s", reason=None, kind="AWS::CloudFormation::Stack"):
    physical = STACK_ID if resource == "s" else f"physical-{resource}"
    found = {
        "EventId": str(number),
        "StackId": STACK_ID,
        "StackName": "s",
        "LogicalResourceId": resource,
        "PhysicalResourceId": physical,
        "ResourceType": kind,
        "ResourceStatus": status,
        "Timestamp": NOW,
    }
    return found | ({"ResourceStatusReason": reason} if reason else {})


def events(answers, *newest_first):
    found = [event(number, *item) if isinstance(item, tuple) else item for number, item in enumerate(newest_first)]
    answers.add_response("describe_stack_events", {"StackEvents": found}, {"StackName": STACK_ID})


def test_a_stack_is_described(hook, answers):
    answers.add_response(
        "describe_stacks",
        {
            "Stacks": [
                {
                    "StackName": "s",
                    "StackId": STACK_ID,
                    "CreationTime": NOW,
                    "StackStatus": "UPDATE_COMPLETE",
                    "Outputs": [{"OutputKey": "Name", "OutputValue": "x"}],
                    "Parameters": [{"ParameterKey": "P", "ParameterValue": "1"}],
                    "Tags": [{"Key": "a", "Value": "b"}],
                }
            ]
        },
    )
    stack = hook.describe_stack("s")
    assert (stack.status, stack.outputs, stack.parameters) == (StackStatus.UPDATE_COMPLETE, {"Name": "x"}, {"P": "1"})
    assert stack.tags == {"a": "b"}


def test_a_missing_stack_is_none_and_any_other_refusal_an_error(hook, answers):
    answers.add_client_error("describe_stacks", "ValidationError", "Stack with id s does not exist")
    assert hook.describe_stack("s") is None
    answers.add_client_error("describe_stacks", "AccessDenied", "no")
    with pytest.raises(AwsRefused, match="DescribeStacks answered AccessDenied"):
        hook.describe_stack("s")
    answers.add_client_error("describe_stacks", "Throttling", "slow down")
    with pytest.raises(AwsError) as caught:
        hook.describe_stack("s")
    assert caught.value.transient


def test_an_execution_that_came_too_late_is_no_error(hook, answers):
    answers.add_client_error("execute_change_set", "InvalidChangeSetStatus", "is in OBSOLETE status")
    answers.add_client_error("execute_change_set", "ChangeSetNotFound", "does not exist")
    answers.add_response("execute_change_set", {})
    assert [hook.execute_change_set("s", "c") for _ in range(3)] == [False, False, True]


def test_the_cause_comes_first_and_what_it_took_along_is_left_out(hook, answers):
    events(
        answers,
        ("UPDATE_ROLLBACK_COMPLETE",),
        event(1, "UPDATE_FAILED", resource="Later", reason="also broken", kind="T"),
        event(2, "CREATE_FAILED", resource="Other", reason="Resource creation cancelled", kind="T"),
        event(3, "UPDATE_FAILED", resource="Endpoint", reason="no ping", kind="AWS::SageMaker::Endpoint"),
        ("UPDATE_IN_PROGRESS",),
        event(5, "CREATE_FAILED", resource="Old", reason="another time", kind="T"),
    )
    failures = hook.failures(STACK_ID)
    assert [failure.logical_id for failure in failures] == ["Endpoint", "Later"]
    assert str(failures[0]) == "Endpoint (AWS::SageMaker::Endpoint) UPDATE_FAILED: no ping"


@pytest.mark.parametrize(
    ("states", "count"),
    [
        (["UPDATE_ROLLBACK_FAILED", "UPDATE_ROLLBACK_IN_PROGRESS", "UPDATE_IN_PROGRESS"], 1),
        (["UPDATE_ROLLBACK_FAILED", "UPDATE_ROLLBACK_IN_PROGRESS", "UPDATE_ROLLBACK_FAILED", "UPDATE_IN_PROGRESS"], 2),
        (["UPDATE_COMPLETE", "UPDATE_IN_PROGRESS", "UPDATE_ROLLBACK_FAILED"], 0),
    ],
)
def test_failed_roll_backs_of_the_last_update_are_counted(hook, answers, states, count):
    events(answers, *((state,) for state in states))
    assert hook.failed_rollbacks(STACK_ID) == count


@pytest.mark.parametrize(("oldest", "since"), [("UPDATE_IN_PROGRESS", NOW), ("UPDATE_COMPLETE", None)])
def test_what_the_last_operation_touched_is_named_once(hook, answers, oldest, since):
    events(
        answers,
        ("UPDATE_ROLLBACK_COMPLETE",),
        event(1, "DELETE_COMPLETE", resource="New", kind="AWS::CloudWatch::Alarm"),
        event(2, "UPDATE_FAILED", resource="Endpoint", kind="AWS::SageMaker::Endpoint"),
        event(3, "UPDATE_COMPLETE", resource="New", kind="AWS::CloudWatch::Alarm"),
        event(4, "UPDATE_IN_PROGRESS", resource="Old", kind="AWS::CloudWatch::Alarm"),
        (oldest,),
        *([event(6, "CREATE_COMPLETE", resource="Older", kind="AWS::CloudWatch::Alarm")] if since else []),
    )
    assert hook.touched(STACK_ID, "AWS::CloudWatch::Alarm") == (since, ["physical-New", "physical-Old"])


@pytest.mark.parametrize("code", ["AccessDenied", "ValidationError"])
@pytest.mark.parametrize("there", [True, False, None])
def test_a_template_that_nobody_has_uploaded_is_told_with_what_to_do(hook, answers, monkeypatch, code, there):
    def exists(bucket, key):
        if there is None:
            raise AwsError("Cannot look at the object", code="403")
        return there

    answers.add_client_error("create_change_set", code, "no")
    monkeypatch.setattr(cloudformation, "S3Hook", lambda **_: SimpleNamespace(exists=exists))
    request = ChangeSetRequest("s", "c", True, "b", "templates/endpoint-0a.yaml", {}, {})
    with pytest.raises(AwsRefused if there else StackFailed) as error:
        hook.create_change_set(request)
    told = r"s3://b/templates/endpoint-0a.yaml.*administrator run `slipway bootstrap`"
    assert there or re.search(told, str(error.value))


@pytest.mark.parametrize("create", [True, False])
def test_a_change_set_is_asked_for_as_it_should_be(hook, answers, create):
    answers.add_response(
        "create_change_set",
        {"Id": "arn:aws:cloudformation:us-west-2:123456789012:changeSet/c/1", "StackId": STACK_ID},
        {
            "StackName": "s",
            "ChangeSetName": "c",
            "ChangeSetType": "CREATE" if create else "UPDATE",
            "TemplateURL": "https://s3.us-west-2.amazonaws.com/b/templates/endpoint-0a.yaml",
            "Parameters": [{"ParameterKey": "P", "ParameterValue": "1"}],
            "Tags": [{"Key": "a", "Value": "b"}],
            "Capabilities": [],
            "RoleARN": "arn:aws:iam::123456789012:role/r",
        },
    )
    hook.create_change_set(
        ChangeSetRequest(
            "s",
            "c",
            create,
            "b",
            "templates/endpoint-0a.yaml",
            {"P": "1"},
            {"a": "b"},
            role_arn="arn:aws:iam::123456789012:role/r",
        )
    )


@pytest.mark.parametrize(
    ("status", "raises"), [("UPDATE_ROLLBACK_IN_PROGRESS", False), ("UPDATE_ROLLBACK_FAILED", True)]
)
def test_a_roll_back_that_a_lost_request_has_continued_is_left_alone(hook, answers, monkeypatch, status, raises):
    monkeypatch.setenv("AIRFLOW__SLIPWAY__AWS_PATIENCE_SECONDS", "60")
    answers.add_client_error("continue_update_rollback", "InternalFailure", "no answer", http_status_code=500)
    answers.add_client_error("continue_update_rollback", "ValidationError", f"Stack is in {status}")
    stack = {"StackName": "s", "StackId": STACK_ID, "CreationTime": NOW, "StackStatus": status}
    answers.add_response("describe_stacks", {"Stacks": [stack]})
    with pytest.raises(AwsRefused) if raises else nullcontext():
        hook.continue_update_rollback(STACK_ID)
    answers.assert_no_pending_responses()
