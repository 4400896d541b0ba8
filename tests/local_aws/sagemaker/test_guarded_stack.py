"""A stack whose endpoint is updated under guardrails: an alarm's roll-back rolls the stack back."""

import copy
import json

import pytest

from tests.local_aws.sagemaker.test_endpoint_stack import TEMPLATE
from tests.local_aws.sagemaker_cases import lend_model_data, predict, unique, wait_for_endpoint
from tests.local_aws.server import eventually

pytestmark = pytest.mark.local_aws


def template(alarm):
    """The template of the endpoint's stack with a canary that an alarm of the same stack watches."""
    guarded = copy.deepcopy(TEMPLATE)
    guarded["Resources"]["Errors"] = {
        "Type": "AWS::CloudWatch::Alarm",
        "Properties": {
            "AlarmName": alarm,
            "Namespace": "Tests",
            "MetricName": alarm,
            "Statistic": "Sum",
            "Period": 60,
            "EvaluationPeriods": 1,
            "Threshold": 1,
            "ComparisonOperator": "GreaterThanThreshold",
            "TreatMissingData": "ignore",
        },
    }
    guarded["Resources"]["Endpoint"]["Properties"]["DeploymentConfig"] = {
        "BlueGreenUpdatePolicy": {
            # The API requires WaitIntervalInSeconds, CloudFormation does not.
            "TrafficRoutingConfiguration": {"Type": "ALL_AT_ONCE"},
            "TerminationWaitInSeconds": "60",
        },
        "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": {"Ref": "Errors"}}]},
    }
    return guarded


def test_alarm_rolls_the_stack_back(fast_aws, local_aws):
    sagemaker, cloudformation = fast_aws.client("sagemaker"), fast_aws.client("cloudformation")
    stack, name, alarm = unique("stack"), unique("guarded"), unique("alarm")
    urls = [lend_model_data(local_aws, fast_aws, shift) for shift in (0, 1)]

    def parameters(url):
        values = {"ModelDataUrl": url, "EndpointName": name}
        return {"Parameters": [{"ParameterKey": key, "ParameterValue": value} for key, value in values.items()]}

    def set_alarm(state):
        fast_aws.client("cloudwatch").set_alarm_state(AlarmName=alarm, StateValue=state, StateReason="test")

    def status():
        return sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"]

    created = fast_aws.deploy(stack, template(alarm), **parameters(urls[0]))
    assert created["StackStatus"] == "CREATE_COMPLETE"
    before = wait_for_endpoint(fast_aws, name)
    assert before["LastDeploymentConfig"]["BlueGreenUpdatePolicy"]["TerminationWaitInSeconds"] == 60

    set_alarm("OK")
    cloudformation.update_stack(StackName=stack, TemplateBody=json.dumps(template(alarm)), **parameters(urls[1]))
    eventually(status, lambda seen: seen == "Updating")
    set_alarm("ALARM")
    assert fast_aws.stack(stack)["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    events = cloudformation.describe_stack_events(StackName=stack)["StackEvents"]
    (reason,) = [event["ResourceStatusReason"] for event in events if event["ResourceStatus"] == "UPDATE_FAILED"]
    assert "did not stabilize" in reason
    assert alarm in reason
    after = wait_for_endpoint(fast_aws, name)
    assert (after["EndpointStatus"], after["EndpointConfigName"]) == ("InService", before["EndpointConfigName"])
    assert predict(fast_aws, name)[0] == 0

    set_alarm("OK")
    assert fast_aws.deploy(stack, template(alarm), **parameters(urls[1]))["StackStatus"] == "UPDATE_COMPLETE"
    assert predict(fast_aws, name)[0] == 1
    cloudformation.delete_stack(StackName=stack)
    eventually(
        lambda: cloudformation.describe_stacks(StackName=created["StackId"])["Stacks"][0]["StackStatus"],
        lambda seen: seen == "DELETE_COMPLETE",
    )
