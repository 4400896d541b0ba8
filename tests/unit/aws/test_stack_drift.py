"""StackDriftHook: waits for CloudFormation's drift detection with a bounded number of calls."""

import pytest

from slipway.aws import stack_drift
from slipway.aws.stack_drift import PAUSES_SECONDS, ResourceDrift, StackDriftHook
from slipway.errors import AwsError
from tests.unit.aws.stubs import stubbed
from tests.unit.own_time import give_time

STACK = "arn:aws:cloudformation:us-west-2:123456789012:stack/s/1"
BUSY = "Drift detection is already in progress for stack [arn]."


@pytest.fixture
def hook(monkeypatch):
    give_time(monkeypatch, stack_drift, sleep=lambda seconds: None)
    return StackDriftHook(aws_conn_id=None, region_name="us-west-2")


def status(value: str) -> dict:
    return {"StackId": STACK, "StackDriftDetectionId": "1", "DetectionStatus": value, "Timestamp": 0}


def drift(name: str, state: str, *differences: dict) -> dict:
    return {
        "StackId": STACK,
        "LogicalResourceId": name,
        "PhysicalResourceId": name.lower(),
        "ResourceType": "AWS::CloudWatch::Alarm",
        "StackResourceDriftStatus": state,
        "PropertyDifferences": list(differences),
        "Timestamp": 0,
    }


def difference(path: str, kind: str) -> dict:
    return {"PropertyPath": path, "ExpectedValue": "1", "ActualValue": "2", "DifferenceType": kind}


def test_waits_for_another_detection_and_for_its_own_and_reads_all_pages(hook):
    stub = stubbed(hook, "cloudformation")
    stub.add_client_error("detect_stack_drift", "ValidationError", BUSY)
    stub.add_response("detect_stack_drift", {"StackDriftDetectionId": "1"})
    stub.add_response("describe_stack_drift_detection_status", status("DETECTION_IN_PROGRESS"))
    stub.add_response("describe_stack_drift_detection_status", status("DETECTION_COMPLETE"))
    stub.add_response(
        "describe_stack_resource_drifts", {"StackResourceDrifts": [drift("A", "DELETED")], "NextToken": "n"}
    )
    added = difference("/AlarmActions/1", "ADD")
    changed = drift("B", "MODIFIED", difference("/Threshold", "NOT_EQUAL"), added)
    stub.add_response("describe_stack_resource_drifts", {"StackResourceDrifts": [changed]})
    assert hook.wait(STACK, hook.begin(STACK)) == [
        ResourceDrift("A", "AWS::CloudWatch::Alarm", "a", deleted=True),
        ResourceDrift("B", "AWS::CloudWatch::Alarm", "b", properties={"/Threshold": ("1", "2")}),
    ]
    stub.assert_no_pending_responses()


def test_gives_up_after_a_bounded_number_of_looks(hook):
    stub = stubbed(hook, "cloudformation")
    stub.add_response("detect_stack_drift", {"StackDriftDetectionId": "1"})
    for _ in range(len(PAUSES_SECONDS) + 1):
        stub.add_response("describe_stack_drift_detection_status", status("DETECTION_IN_PROGRESS"))
    with pytest.raises(AwsError, match="has not finished its drift detection"):
        hook.wait(STACK, hook.begin(STACK))
    stub.assert_no_pending_responses()
