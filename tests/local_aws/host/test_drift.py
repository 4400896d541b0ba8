"""Drift detection: what CloudFormation finds when a stack's resources were changed by hand, and that it finds no more.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-stack-drift.html
"""

import json
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from tests.local_aws.sagemaker_cases import IMAGE, ROLE, create_config, model_data, refused, unique, variant
from tests.local_aws.server import LocalAws, eventually

pytestmark = pytest.mark.local_aws

TEMPLATE = (Path(__file__).parents[3] / "plugins/slipway/deployment/endpoint.yaml").read_text()
SCHEDULE = "night|cron(0 22 * * ? *)|Europe/Berlin|1|2"
PRODUCTION = {"Environment": "production"}
SCALED = {**PRODUCTION, "AutoScaling": "true", "ScalingMaxCapacity": 3, "ScalingSchedule1": SCHEDULE}
ALARMS = {"AlarmError5xxShare": "0.05", "AlarmError4xxShare": "1", "AlarmLatencyP99Microseconds": "200000"}
CANARY = {"DeploymentStrategy": "CANARY", "DeploymentWaitSeconds": 60, "DeploymentMaximumSeconds": 3600}
TRIAL = {"ModelAWeight": 0.9, "ModelBImage": IMAGE, "ModelBWeight": 0.1}
CAPTURE = {"DataCapture": "true", "DataCaptureUri": "s3://mlops-us-west-2-123456789012/captured"}
# What no means of CloudFormation's can read.
UNREADABLE = "EndpointConfig"


class Stack:
    """A stack and what CloudFormation finds of its drift."""

    def __init__(self, aws: LocalAws, name: str) -> None:
        self.aws, self.name = aws, name
        self.cloudformation = aws.client("cloudformation")

    def deploy(self, operation: str = "create_stack", **parameters: object) -> "Stack":
        """Deploy endpoint.yaml."""
        url = model_data(self.aws)
        fixed = {
            "Revision": "0" * 32,
            "Sequence": "2026-01-01T00:00:00+00:00",
            "ModelPackageArn": "arn:aws:sagemaker:us-west-2:123456789012:model-package/mlops-iris/1",
            "EndpointName": self.name,
            "Environment": "development",
            "ExecutionRoleArn": ROLE,
            "InstanceType": "ml.m4.xlarge",
            "InitialInstanceCount": 1,
            "ModelAImage": IMAGE,
            "ModelADataUrl": url,
        }
        wanted = fixed | parameters | ({"ModelBDataUrl": url} if "ModelBImage" in parameters else {})
        getattr(self.cloudformation, operation)(
            StackName=self.name,
            TemplateBody=TEMPLATE,
            Parameters=[{"ParameterKey": name, "ParameterValue": str(value)} for name, value in wanted.items()],
            Tags=[{"Key": "slipway:revision", "Value": "r1"}],
        )
        assert self.aws.stack(self.name)["StackStatus"].removeprefix("CREATE").removeprefix("UPDATE") == "_COMPLETE"
        return self

    def detect(self, *logical_ids: str) -> dict:
        """Detect drift of the stack, or of some of its resources, and wait for the end."""
        wanted = {"LogicalResourceIds": list(logical_ids)} if logical_ids else {}
        detection = self.cloudformation.detect_stack_drift(StackName=self.name, **wanted)["StackDriftDetectionId"]
        return eventually(
            lambda: self.cloudformation.describe_stack_drift_detection_status(StackDriftDetectionId=detection),
            lambda seen: seen["DetectionStatus"] != "DETECTION_IN_PROGRESS",
        )

    def drifts(self, *statuses: str) -> dict[str, dict]:
        wanted = {"StackResourceDriftStatusFilters": list(statuses)} if statuses else {}
        found = self.cloudformation.describe_stack_resource_drifts(StackName=self.name, **wanted)
        return {drift["LogicalResourceId"]: drift for drift in found["StackResourceDrifts"]}

    def differences(self, logical_id: str) -> list[tuple[str, str, str, str]]:
        """Detect drift of a resource that was modified: path, kind, expected and actual value."""
        assert self.detect(logical_id)["StackDriftStatus"] == "DRIFTED"
        drift = self.drifts("MODIFIED")[logical_id]
        members = ("PropertyPath", "DifferenceType", "ExpectedValue", "ActualValue")
        return [tuple(one[member] for member in members) for one in drift["PropertyDifferences"]]

    def physical_ids(self) -> dict[str, str]:
        listed = self.cloudformation.describe_stack_resources(StackName=self.name)["StackResources"]
        return {one["LogicalResourceId"]: one["PhysicalResourceId"] for one in listed}

    def resources(self) -> dict[str, str]:
        """The drift status of each resource, as ListStackResources gives it."""
        listed = self.cloudformation.list_stack_resources(StackName=self.name)["StackResourceSummaries"]
        return {one["LogicalResourceId"]: one["DriftInformation"]["StackResourceDriftStatus"] for one in listed}

    def information(self) -> dict:
        return self.cloudformation.describe_stacks(StackName=self.name)["Stacks"][0]["DriftInformation"]


@pytest.fixture(scope="module")
def stack(local_aws) -> Stack:
    """Production with everything that can drift; each test changes another resource of it."""
    return Stack(local_aws, unique("drift")).deploy(**SCALED, **ALARMS, **TRIAL)


def change_alarm(aws, name, **changes):
    """Put an alarm again, as a person does who changes some of it."""
    cloudwatch = aws.client("cloudwatch")
    found = cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"][0]
    members = cloudwatch.meta.service_model.operation_model("PutMetricAlarm").input_shape.members
    cloudwatch.put_metric_alarm(**{key: value for key, value in found.items() if key in members} | changes)


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        CAPTURE,
        PRODUCTION,
        {**SCALED, **ALARMS, **CANARY},
        {**SCALED, **ALARMS, **TRIAL, **CAPTURE},
        {**SCALED, "ScalingSchedule1": "", "ScalingTargetValue": "99.5", "ScaleInCooldownSeconds": 0},
        {**PRODUCTION, **ALARMS, "AlarmTopicArn": "arn:aws:sns:us-west-2:123456789012:slipway-releases"},
    ],
)
def test_an_untouched_stack_is_in_sync(local_aws, parameters):
    stack = Stack(local_aws, unique("sync")).deploy(**parameters)
    status = stack.detect()
    assert stack.drifts("MODIFIED", "DELETED", "UNKNOWN") == {}
    assert (status["DetectionStatus"], status["StackDriftStatus"]) == ("DETECTION_COMPLETE", "IN_SYNC")
    assert status["DriftedStackResourceCount"] == 0
    resources = stack.resources()
    assert resources.pop(UNREADABLE) == "NOT_CHECKED"
    assert set(resources.values()) == {"IN_SYNC"}
    assert UNREADABLE not in stack.drifts()
    local_aws.client("cloudformation").delete_stack(StackName=stack.name)


def test_the_account_s_own_stack_is_in_sync(local_aws):
    status = Stack(local_aws, "slipway-bootstrap").detect()
    assert (status["DetectionStatus"], status["StackDriftStatus"]) == ("DETECTION_COMPLETE", "IN_SYNC")


def test_bounds_that_were_changed(local_aws, stack):
    target = {
        "ServiceNamespace": "sagemaker",
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
        "ResourceId": f"endpoint/{stack.name}/variant/model-a",
    }
    scaling = local_aws.client("application-autoscaling")
    scaling.register_scalable_target(**target, MaxCapacity=5)
    assert stack.differences("ModelAScaling") == [("/MaxCapacity", "NOT_EQUAL", "3", "5")]
    scaling.put_scheduled_action(
        **target, ScheduledActionName="day", Schedule="cron(0 6 * * ? *)", ScalableTargetAction={"MinCapacity": 2}
    )
    changed, added = sorted(stack.differences("ModelAScaling"))
    assert changed == ("/MaxCapacity", "NOT_EQUAL", "3", "5")
    assert added[:3] == ("/ScheduledActions/1", "ADD", "null")
    assert json.loads(added[3])["ScheduledActionName"] == "day"
    scaling.put_scheduled_action(**target, ScheduledActionName="night", Schedule="cron(0 23 * * ? *)")
    scaling.delete_scheduled_action(**target, ScheduledActionName="day")
    path = "/ScheduledActions/0/Schedule"
    assert (path, "NOT_EQUAL", "cron(0 22 * * ? *)", "cron(0 23 * * ? *)") in stack.differences("ModelAScaling")


def test_a_policy_that_was_changed(local_aws, stack):
    policy = local_aws.client("application-autoscaling").describe_scaling_policies(
        ServiceNamespace="sagemaker", ResourceId=f"endpoint/{stack.name}/variant/model-a"
    )["ScalingPolicies"][0]
    wanted = {
        key: policy[key] for key in ("PolicyName", "PolicyType", "ServiceNamespace", "ResourceId", "ScalableDimension")
    }
    configuration = policy["TargetTrackingScalingPolicyConfiguration"] | {"TargetValue": 300.0, "DisableScaleIn": True}
    local_aws.client("application-autoscaling").put_scaling_policy(
        **wanted, TargetTrackingScalingPolicyConfiguration=configuration
    )
    # DisableScaleIn is not in the template, so it is not compared.
    assert [found[:2] for found in stack.differences("ModelAScalingPolicy")] == [
        ("/TargetTrackingScalingPolicyConfiguration/TargetValue", "NOT_EQUAL")
    ]


def test_a_target_that_was_deregistered(local_aws, stack):
    local_aws.client("application-autoscaling").deregister_scalable_target(
        ServiceNamespace="sagemaker",
        ScalableDimension="sagemaker:variant:DesiredInstanceCount",
        ResourceId=f"endpoint/{stack.name}/variant/model-b",
    )
    status = stack.detect("ModelBScaling", "ModelBScalingPolicy")
    assert (status["StackDriftStatus"], status["DriftedStackResourceCount"]) == ("DRIFTED", 2)
    gone = stack.drifts("DELETED")
    assert gone.keys() >= {"ModelBScaling", "ModelBScalingPolicy"}
    assert not gone["ModelBScaling"].keys() & {"ExpectedProperties", "ActualProperties", "PropertyDifferences"}


def test_an_alarm_that_was_changed(local_aws, stack):
    name = stack.physical_ids()["ModelAError5xxAlarm"]
    found = local_aws.client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"][0]
    change_alarm(local_aws, name, Dimensions=found["Dimensions"][::-1])
    assert stack.detect("ModelAError5xxAlarm")["StackDriftStatus"] == "IN_SYNC"
    change_alarm(local_aws, name, Threshold=0.5, AlarmActions=["arn:aws:sns:us-west-2:123456789012:mine"])
    # AlarmActions are not in the template.
    assert stack.differences("ModelAError5xxAlarm") == [("/Threshold", "NOT_EQUAL", "0.05", "0.5")]


def test_an_alarm_that_was_deleted(local_aws, stack):
    local_aws.client("cloudwatch").delete_alarms(AlarmNames=[stack.physical_ids()["ModelBError5xxAlarm"]])
    stack.detect("ModelBError5xxAlarm")
    assert "ModelBError5xxAlarm" in stack.drifts("DELETED")


def test_a_dashboard_that_was_changed_and_deleted(local_aws, stack):
    cloudwatch, name = local_aws.client("cloudwatch"), stack.physical_ids()["Dashboard"]
    body = json.loads(cloudwatch.get_dashboard(DashboardName=name)["DashboardBody"])
    cloudwatch.put_dashboard(DashboardName=name, DashboardBody=json.dumps(body, indent=1, sort_keys=True))
    assert stack.detect("Dashboard")["StackDriftStatus"] == "IN_SYNC"
    cloudwatch.put_dashboard(DashboardName=name, DashboardBody=json.dumps({"widgets": body["widgets"][:1]}))
    assert [found[:2] for found in stack.differences("Dashboard")] == [("/DashboardBody", "NOT_EQUAL")]
    cloudwatch.delete_dashboards(DashboardNames=[name])
    stack.detect("Dashboard")
    assert "Dashboard" in stack.drifts("DELETED")


def test_tags_that_were_changed(local_aws, stack):
    sagemaker, arn = local_aws.client("sagemaker"), stack.physical_ids()["ModelA"]
    tags = [{"Key": "slipway:model-prefix", "Value": "wine"}, {"Key": "mine", "Value": "yes"}]
    sagemaker.add_tags(ResourceArn=arn, Tags=tags)
    found = stack.differences("ModelA")
    assert [(kind, expected, actual) for _, kind, expected, actual in found] == [
        ("NOT_EQUAL", "iris", "wine"),
        ("ADD", "null", json.dumps(tags[1])),
    ]


def test_an_endpoint_that_serves_something_else(local_aws, stack):
    sagemaker = local_aws.client("sagemaker")
    before = sagemaker.describe_endpoint(EndpointName=stack.name)["EndpointConfigName"]
    names = [
        one["ModelName"] for one in sagemaker.describe_endpoint_config(EndpointConfigName=before)["ProductionVariants"]
    ]
    config = create_config(local_aws, variant(names[0]), variant(names[1], "model-b"))
    sagemaker.update_endpoint(EndpointName=stack.name, EndpointConfigName=config)
    eventually(
        lambda: sagemaker.describe_endpoint(EndpointName=stack.name), lambda seen: seen["EndpointStatus"] == "InService"
    )
    assert stack.differences("Endpoint") == [("/EndpointConfigName", "NOT_EQUAL", before, config)]


def test_a_model_that_was_deleted(local_aws, stack):
    name = stack.physical_ids()["ModelB"].rpartition("/")[2]
    local_aws.client("sagemaker").delete_model(ModelName=name)
    drift = stack.cloudformation.detect_stack_resource_drift(StackName=stack.name, LogicalResourceId="ModelB")
    assert drift["StackResourceDrift"]["StackResourceDriftStatus"] == "DELETED"
    refused(
        lambda: stack.cloudformation.detect_stack_resource_drift(StackName=stack.name, LogicalResourceId=UNREADABLE),
        "ValidationError",
        "not supported",
    )


def test_a_status_lasts_until_the_next_detection_or_the_next_update(local_aws):
    stack = Stack(local_aws, unique("kept")).deploy(**PRODUCTION)
    assert stack.information() == {"StackDriftStatus": "NOT_CHECKED"}
    dashboard = {"DashboardName": stack.physical_ids()["Dashboard"]}
    local_aws.client("cloudwatch").put_dashboard(**dashboard, DashboardBody='{"widgets": []}')
    status = stack.detect()
    assert stack.information() == {"StackDriftStatus": "DRIFTED", "LastCheckTimestamp": status["Timestamp"]}
    listed = [
        one for page in stack.cloudformation.get_paginator("list_stacks").paginate() for one in page["StackSummaries"]
    ]
    assert [one["DriftInformation"]["StackDriftStatus"] for one in listed if one["StackName"] == stack.name] == [
        "DRIFTED"
    ]
    detail = stack.cloudformation.describe_stack_resource(StackName=stack.name, LogicalResourceId="Dashboard")
    assert detail["StackResourceDetail"]["DriftInformation"]["StackResourceDriftStatus"] == "MODIFIED"

    stack.deploy("update_stack", **PRODUCTION, Revision="1" * 32, ModelAWeight=0.5)
    assert stack.information() == {"StackDriftStatus": "NOT_CHECKED"}
    assert set(stack.resources().values()) == {"NOT_CHECKED"}
    assert stack.drifts() == {}
    # The update had nothing to change in the dashboard, so the drift is still there.
    assert stack.detect()["StackDriftStatus"] == "DRIFTED"


TOPIC = {"Resources": {"Topic": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": "one"}}}}


def test_a_detection_takes_its_time_and_is_the_only_one_of_its_stack(new_local_aws):
    aws = new_local_aws("--pace", "2").start()
    aws.deploy("one", TOPIC)
    cloudformation = aws.client("cloudformation")
    detect = lambda: cloudformation.detect_stack_drift(StackName="one")["StackDriftDetectionId"]  # noqa: E731
    look = lambda: cloudformation.describe_stack_drift_detection_status(StackDriftDetectionId=detection)  # noqa: E731
    detection = detect()
    begun = look()
    assert (begun["DetectionStatus"], begun["StackDriftStatus"]) == ("DETECTION_IN_PROGRESS", "NOT_CHECKED")
    assert "DriftedStackResourceCount" not in begun
    refused(detect, "ValidationError", "Drift detection is already in progress for stack [arn:")
    ended = eventually(look, lambda seen: seen["DetectionStatus"] != "DETECTION_IN_PROGRESS")
    assert (ended["DetectionStatus"], ended["StackDriftStatus"]) == ("DETECTION_COMPLETE", "IN_SYNC")

    detection = detect()
    aws.restart()
    assert (look()["DetectionStatus"], look()["StackDriftStatus"]) == ("DETECTION_FAILED", "IN_SYNC")
    assert Stack(aws, "one").detect()["StackDriftStatus"] == "IN_SYNC"


def test_an_unknown_stack_and_an_unknown_detection(local_aws):
    cloudformation = local_aws.client("cloudformation")
    with pytest.raises(ClientError, match="does not exist"):
        cloudformation.detect_stack_drift(StackName="nobody")
    with pytest.raises(ClientError, match="does not exist"):
        cloudformation.describe_stack_drift_detection_status(StackDriftDetectionId="nothing")


def test_a_stack_that_changes_is_not_compared(local_aws):
    stack = Stack(local_aws, unique("busy"))
    wait = {"Type": "AWS::CloudFormation::WaitCondition", "Properties": {"Handle": {"Ref": "Handle"}, "Timeout": "60"}}
    handle = {"Type": "AWS::CloudFormation::WaitConditionHandle"}
    body = json.dumps({"Resources": {"Handle": handle, "Wait": wait}})
    stack.cloudformation.create_stack(StackName=stack.name, TemplateBody=body)
    refused(stack.detect, "ValidationError", "CREATE_IN_PROGRESS")
    stack.cloudformation.delete_stack(StackName=stack.name)
