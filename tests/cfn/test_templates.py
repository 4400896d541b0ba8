"""The templates: strict about their parameters, and with the expected effect. `make lint` runs cfn-lint on them."""

import json
from pathlib import Path

import pytest
import yaml
from botocore.exceptions import ClientError

from slipway import paths
from tests.cfn.stacks import unique
from tests.local_aws.sagemaker_cases import model_data

ROOT = Path(__file__).parents[2]
TEMPLATES = {
    path.name: path for path in (*paths.set_up_template("model").parent.glob("*.yaml"), paths.endpoint_template())
}
BUCKET = "mlops-us-west-2-123456789012"

GOOD = {
    "Revision": "0" * 32,
    "Sequence": "2026-01-31T23:59:59+00:00",
    "ModelPackageArn": "arn:aws:sagemaker:us-west-2:123456789012:model-package/mlops-iris-model/1",
    "EndpointName": "iris-model-production",
    "Environment": "production",
    "ExecutionRoleArn": "arn:aws:iam::123456789012:role/slipway-endpoint-iris-model",
    "InstanceType": "ml.m4.xlarge",
    "InitialInstanceCount": "1",
    "ModelAImage": "246618743249.dkr.ecr.us-west-2.amazonaws.com/sagemaker-xgboost:1.7-1",
    "ModelADataUrl": f"s3://{BUCKET}/iris-model/mlops-iris-model-x/output/model.tar.gz",
}
TRIAL = {
    "ModelBImage": GOOD["ModelAImage"],
    "ModelBDataUrl": GOOD["ModelADataUrl"],
    "ModelBWeight": "0.1",
    "ModelAWeight": "0.9",
}
CAPTURE = {"DataCapture": "true", "DataCaptureSamplingPercent": "100", "DataCaptureUri": "s3://b-1/iris/monitoring/prd"}
SCALING = {"AutoScaling": "true", "ScalingMinCapacity": "1", "ScalingMaxCapacity": "10", "ScalingTargetValue": "200.0"}

ALARMS = {
    "AlarmError5xxShare": "0.01",
    "AlarmError4xxShare": "0.05",
    "AlarmModelErrorShare": "0",
    "AlarmLatencyP99Microseconds": "250000",
    "AlarmPeriods": "2",
    "AlarmTopicArn": "arn:aws:sns:us-west-2:123456789012:slipway-releases",
}
GUARDED = {**ALARMS, "DeploymentStrategy": "CANARY", "DeploymentStepSize": "10", "DeploymentWaitSeconds": "120"}
SCHEDULE = {"ScalingSchedule1": "morning|cron(0 7 ? * MON,TUE *)|Europe/Berlin|2|10"}
KINDS = ("Error5xx", "Error4xx", "ModelError", "Latency")


class Loader(yaml.SafeLoader):
    """Load CloudFormation's short forms as text, without their meaning."""


def give_up(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> object:
    if isinstance(node, yaml.SequenceNode) and suffix == "If":
        return loader.construct_sequence(node, deep=True)
    return f"!{suffix}"


Loader.add_multi_constructor("!", give_up)


def load(name: str) -> dict:
    return yaml.load(TEMPLATES[name].read_text(), Loader)  # noqa: S506


def template_names() -> list[str]:
    return sorted(TEMPLATES)


@pytest.mark.parametrize("name", template_names())
def test_every_parameter_is_described_and_constrained(name):
    for key, parameter in load(name).get("Parameters", {}).items():
        assert parameter["Description"], key
        free = parameter["Type"] == "CommaDelimitedList" and parameter.get("Default") == ""
        constraints = {"AllowedPattern", "AllowedValues", "MaxLength", "MinValue"} & parameter.keys()
        assert constraints or free, f"{name}: {key} takes anything"


@pytest.mark.parametrize("name", template_names())
def test_every_resource_says_what_becomes_of_it(name):
    for key, resource in load(name)["Resources"].items():
        body = next(iter(resource[2].values())) if key.startswith("Fn::ForEach") else resource
        assert {"DeletionPolicy", "UpdateReplacePolicy"} <= body.keys(), f"{name}: {key}"


@pytest.mark.parametrize("name", template_names())
def test_a_template_can_be_sent(name):
    # https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
    assert len(TEMPLATES[name].read_bytes()) <= (51_200 if name in ROLES else 1_048_576)


def test_what_was_overwritten_or_deleted_leaves_no_delete_marker():
    rules = load("bootstrap.yaml")["Resources"]["Bucket"]["Properties"]["LifecycleConfiguration"]["Rules"]
    (rule,) = [rule for rule in rules if "NoncurrentVersionExpiration" in rule]
    assert rule["ExpiredObjectDeleteMarker"] is True
    # https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-properties-s3-bucket-rule.html
    assert not rule.keys() & {"ExpirationInDays", "ExpirationDate", "TagFilters"}


ROLES = ("bootstrap.yaml", "images.yaml", "model.yaml")


def statements() -> list[tuple[str, dict]]:
    roles = {
        key: body for name in ROLES for key, body in load(name)["Resources"].items() if body["Type"] == "AWS::IAM::Role"
    }
    return [
        (f"{role}/{statement['Sid']}", statement)
        for role, body in roles.items()
        for policy in body["Properties"]["Policies"]
        # A statement under a condition is the second of three.
        for statement in (item[1] if isinstance(item, list) else item for item in policy["PolicyDocument"]["Statement"])
    ]


def as_list(value: object) -> list:
    return value if isinstance(value, list) else [value]


@pytest.mark.parametrize("statement", [item[1] for item in statements()], ids=[item[0] for item in statements()])
def test_no_role_may_do_more_than_its_part(statement):
    assert all("*" not in action for action in as_list(statement["Action"]))
    if "iam:PassRole" in as_list(statement["Action"]):
        assert as_list(statement["Action"]) == ["iam:PassRole"]
        assert statement["Condition"]["StringEquals"].keys() == {"iam:PassedToService"}


@pytest.mark.parametrize("name", ROLES)
def test_every_wildcard_resource_has_its_reason_beside_it(name):
    lines = TEMPLATES[name].read_text().splitlines()
    wild = [number for number, line in enumerate(lines) if line.strip() == 'Resource: "*"']
    assert wild
    assert all(lines[number - 1].strip().startswith("#") for number in wild)


@pytest.fixture
def change_set(aws):
    """Make a change set of endpoint.yaml and delete it."""
    client = aws.client("cloudformation")

    def make(**changes: str) -> dict:
        stack, wanted = unique("parameters"), {**GOOD, **changes}
        client.create_change_set(
            StackName=stack,
            ChangeSetName="check",
            ChangeSetType="CREATE",
            TemplateBody=TEMPLATES["endpoint.yaml"].read_text(),
            Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in wanted.items()],
        )
        found = client.describe_change_set(StackName=stack, ChangeSetName="check")
        client.delete_change_set(StackName=stack, ChangeSetName="check")
        return found

    return make


@pytest.mark.local_aws
@pytest.mark.parametrize(
    ("given", "made"),
    [
        ({}, {"ModelA", "EndpointConfig", "Endpoint", "Dashboard"}),
        ({"Environment": "development"}, {"ModelA", "EndpointConfig", "Endpoint"}),
        (TRIAL, {"ModelA", "ModelB", "EndpointConfig", "Endpoint"}),
        (CAPTURE, {"ModelA", "EndpointConfig", "Endpoint"}),
        (SCALING, {"ModelA", "EndpointConfig", "Endpoint", "ModelAScaling", "ModelAScalingPolicy"}),
        (
            TRIAL | SCALING,
            {"ModelA", "ModelB", "EndpointConfig", "Endpoint", "ModelAScaling", "ModelAScalingPolicy"}
            | {"ModelBScaling", "ModelBScalingPolicy"},
        ),
        (ALARMS | TRIAL, {f"Model{variant}{kind}Alarm" for variant in "AB" for kind in KINDS}),
        (GUARDED, {"Endpoint"} | {f"ModelA{kind}Alarm" for kind in KINDS}),
        (SCALING | SCHEDULE, {"ModelAScaling", "ModelAScalingPolicy"}),
    ],
    ids=["plain", "development", "trial", "capture", "scaling", "trial and scaling", "alarms", "guarded", "schedule"],
)
def test_good_parameters_make_what_they_say(change_set, given, made):
    found = change_set(**given)
    assert found["Status"] == "CREATE_COMPLETE", found["StatusReason"]
    # The local CloudFormation lists resources whose condition is false as well; AWS does not.
    assert made <= {change["ResourceChange"]["LogicalResourceId"] for change in found["Changes"]}


@pytest.mark.local_aws
def test_what_the_template_makes_carries_the_models_tag_without_the_stacks_help(aws):
    cloudformation, sagemaker, stack = aws.client("cloudformation"), aws.client("sagemaker"), unique("untagged")
    wanted = GOOD | {"ModelADataUrl": model_data(aws), "EndpointName": stack, "Environment": "development"}
    cloudformation.create_stack(
        StackName=stack,
        TemplateBody=TEMPLATES["endpoint.yaml"].read_text(),
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in wanted.items()],
    )
    cloudformation.get_waiter("stack_create_complete").wait(StackName=stack, WaiterConfig={"Delay": 1})
    endpoint = sagemaker.describe_endpoint(EndpointName=stack)
    config = sagemaker.describe_endpoint_config(EndpointConfigName=endpoint["EndpointConfigName"])
    model = sagemaker.describe_model(ModelName=config["ProductionVariants"][0]["ModelName"])
    for arn in (endpoint["EndpointArn"], config["EndpointConfigArn"], model["ModelArn"]):
        assert {"Key": "slipway:model-prefix", "Value": "iris-model"} in sagemaker.list_tags(ResourceArn=arn)["Tags"]
    cloudformation.delete_stack(StackName=stack)


@pytest.mark.local_aws
@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"Revision": "latest"}, "Revision"),
        ({"Sequence": "yesterday"}, "Sequence"),
        ({"ModelPackageArn": "arn:aws:s3:::bucket"}, "ModelPackageArn"),
        ({"ModelPackageArn": GOOD["ModelPackageArn"].replace("mlops-", "")}, "ModelPackageArn"),
        ({"EndpointName": "-iris-"}, "EndpointName"),
        ({"EndpointName": "x" * 64}, "EndpointName"),
        ({"Environment": "staging"}, "Environment"),
        ({"ExecutionRoleArn": "slipway-endpoint"}, "ExecutionRoleArn"),
        ({"InstanceType": "m4.xlarge"}, "InstanceType"),
        ({"InitialInstanceCount": "0"}, "InitialInstanceCount"),
        ({"InitialInstanceCount": "many"}, "InitialInstanceCount"),
        ({"ModelAImage": ""}, "ModelAImage"),
        ({"ModelADataUrl": "https://example.com/model.tar.gz"}, "ModelADataUrl"),
        ({"ModelAWeight": "1.1"}, "ModelAWeight"),
        ({"ModelBWeight": "-0.1"}, "ModelBWeight"),
        ({"DataCapture": "yes"}, "DataCapture"),
        ({"DataCaptureSamplingPercent": "101"}, "DataCaptureSamplingPercent"),
        ({"DataCaptureUri": "bucket/monitoring"}, "DataCaptureUri"),
        ({"AutoScaling": "maybe"}, "AutoScaling"),
        ({"ScalingMinCapacity": "0"}, "ScalingMinCapacity"),
        ({"ScalingTargetValue": "0"}, "ScalingTargetValue"),
        ({"NetworkIsolation": "1"}, "NetworkIsolation"),
        ({**TRIAL, "ModelBImage": ""}, "model-b needs ModelBImage"),
        ({**TRIAL, "ModelBWeight": "0"}, "model-b needs a ModelBWeight"),
        ({"ModelBWeight": "0.1"}, "need a ModelBDataUrl"),
        ({"DataCapture": "true"}, "DataCapture needs a DataCaptureUri"),
        ({**SCALING, "Environment": "development"}, "only the production endpoint is scaled"),
        ({"DeploymentStrategy": "BLUE_GREEN"}, "DeploymentStrategy"),
        ({"DeploymentStepSize": "0"}, "DeploymentStepSize"),
        ({"DeploymentMaximumSeconds": "599"}, "DeploymentMaximumSeconds"),
        ({"AlarmError5xxShare": "1.5"}, "AlarmError5xxShare"),
        ({"AlarmLatencyP99Microseconds": "0"}, "AlarmLatencyP99Microseconds"),
        ({"AlarmPeriodSeconds": "45"}, "AlarmPeriodSeconds"),
        ({"AlarmTopicArn": "slipway-releases"}, "AlarmTopicArn"),
        ({**SCALING, "ScalingSchedule1": "morning|0 7 * * *|Etc/UTC|1|2"}, "ScalingSchedule1"),
        (SCHEDULE, "a ScalingSchedule needs AutoScaling"),
        ({**GUARDED, "Environment": "development"}, "only the production endpoint has a DeploymentStrategy"),
        ({**GUARDED, **TRIAL}, "a DeploymentStrategy and a model-b exclude each other"),
        ({"DeploymentStrategy": "ALL_AT_ONCE"}, "a DeploymentStrategy needs an alarm"),
    ],
    ids=lambda value: json.dumps(value)[:60] if isinstance(value, dict) else None,
)
def test_bad_parameters_are_refused_by_name(change_set, given, named):
    with pytest.raises(ClientError, match=named):
        change_set(**given)


@pytest.mark.local_aws
def test_bootstrap_makes_a_versioned_private_bucket(aws):
    s3 = aws.client("s3")
    assert s3.get_bucket_versioning(Bucket=BUCKET)["Status"] == "Enabled"
    assert all(s3.get_public_access_block(Bucket=BUCKET)["PublicAccessBlockConfiguration"].values())
    assert "aws:SecureTransport" in aws.bucket_policy
    assert s3.get_bucket_encryption(Bucket=BUCKET)


@pytest.mark.local_aws
def test_bootstraps_queue_gets_messages_about_uploads_only(aws):
    s3, sqs = aws.client("s3"), aws.client("sqs")
    url = sqs.get_queue_url(QueueName="slipway-uploads")["QueueUrl"]
    s3.put_object(Bucket=BUCKET, Key="iris-model/input/train/heard", Body=b"")
    version = s3.put_object(Bucket=BUCKET, Key="training_jobs/heard/trainingjob.zip", Body=b"")["VersionId"]
    heard = []
    while not any(record["s3"]["object"]["versionId"] == version for record in heard):
        message = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=10)["Messages"][0]
        heard += json.loads(message["Body"]).get("Records", [])
    assert all(record["s3"]["object"]["key"].startswith("training_jobs/") for record in heard)


@pytest.mark.local_aws
def test_what_nobody_reads_goes_to_the_dead_letter_queue(aws):
    sqs = aws.client("sqs")
    url = sqs.get_queue_url(QueueName="slipway-uploads")["QueueUrl"]
    dead = sqs.get_queue_url(QueueName="slipway-uploads-dead-letters")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["RedrivePolicy"])["Attributes"]["RedrivePolicy"]
    assert json.loads(found) == {"deadLetterTargetArn": arn, "maxReceiveCount": 20}


@pytest.mark.local_aws
def test_an_account_has_a_role_for_each_service_and_two_for_each_model(aws):
    roles = {role["RoleName"] for role in aws.client("iam").list_roles()["Roles"]}
    assert {"slipway-cloudformation", "slipway-airflow"} <= roles
    assert {"slipway-training-iris-model", "slipway-endpoint-iris-model"} <= roles
    assert not {"slipway-training", "slipway-endpoint"} & roles
    outputs = {item["OutputKey"]: item["OutputValue"] for item in aws.stack("slipway-bootstrap")["Outputs"]}
    assert outputs["BucketName"] == BUCKET
