"""A hostile request is refused by the model's policy; the lab's own passes."""

import sys
from typing import get_args

import pytest
from pydantic import ValidationError

from slipway.errors import PolicyViolation, RequestRefused
from slipway.model.config import ModelConfig
from slipway.request.fence import fence, parse_zip
from tests.unit.model.test_serving import ALARMS, CANARY, with_sections
from tests.unit.request_samples import AWS, changed, deployment, iris_model, needs_sdk, request_zip, training_job

S3_URI = "DataSource.S3DataSource.S3Uri"
OTHER_IMAGE = "246618743249.dkr.ecr.us-west-2.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"
MINE = "s3://mlops-us-west-2-123456789012"

HOSTILE_JOBS = {
    "another role": ("RoleArn", "arn:aws:iam::123456789012:role/Admin", "RoleArn"),
    "another account's role": ("RoleArn", "arn:aws:iam::999999999999:role/MLOps", "RoleArn"),
    "another image": ("AlgorithmSpecification.TrainingImage", OTHER_IMAGE, "AlgorithmSpecification.TrainingImage"),
    "a look-alike image": (
        "AlgorithmSpecification.TrainingImage",
        "246618743249.dkr.ecr.us-west-2.amazonaws.com/sagemaker-xgboost.evil.com/x:1",
        "AlgorithmSpecification.TrainingImage",
    ),
    "another registry": (
        "AlgorithmSpecification.TrainingImage",
        "999999999999.dkr.ecr.us-west-2.amazonaws.com/sagemaker-xgboost:1.7-1",
        "AlgorithmSpecification.TrainingImage",
    ),
    "another bucket": (f"InputDataConfig.0.{S3_URI}", "s3://secrets/iris-model/", "InputDataConfig[0]"),
    "a longer bucket": (f"InputDataConfig.1.{S3_URI}", f"{MINE}-b/iris-model/x", "InputDataConfig[1]"),
    "another team's data": (f"InputDataConfig.0.{S3_URI}", f"{MINE}/wine-model/input", "InputDataConfig[0]"),
    "a neighbour's data": (f"InputDataConfig.0.{S3_URI}", f"{MINE}/iris-model2/input", "InputDataConfig[0]"),
    "every key with this prefix": (f"InputDataConfig.0.{S3_URI}", f"{MINE}/iris-model", "InputDataConfig[0]"),
    "a parent folder": (f"InputDataConfig.0.{S3_URI}", f"{MINE}/iris-model/../wine-model/x", "InputDataConfig[0]"),
    "output elsewhere": ("OutputDataConfig.S3OutputPath", "s3://elsewhere/iris-model", "OutputDataConfig.S3OutputPath"),
    "another key": ("OutputDataConfig.KmsKeyId", "alias/theirs", "OutputDataConfig.KmsKeyId"),
    "another volume key": ("ResourceConfig.VolumeKmsKeyId", "alias/theirs", "ResourceConfig.VolumeKmsKeyId"),
    "huge fleet": ("ResourceConfig.InstanceCount", 100, "ResourceConfig.InstanceCount"),
    "huge instance": ("ResourceConfig.InstanceType", "ml.p5.48xlarge", "ResourceConfig.InstanceType"),
    "huge disk": ("ResourceConfig.VolumeSizeInGB", 16384, "ResourceConfig.VolumeSizeInGB"),
    "endless": ("StoppingCondition.MaxRuntimeInSeconds", 2419200, "StoppingCondition.MaxRuntimeInSeconds"),
    "isolation off": ("EnableNetworkIsolation", False, "EnableNetworkIsolation"),
    "another network": ("VpcConfig", {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]}, "VpcConfig"),
    "forged tag": ("Tags", [{"Key": "slipway:digest", "Value": "x"}], "Tags[0].Key"),
    "forged tag in capitals": ("Tags", [{"Key": "Slipway:Digest", "Value": "x"}], "Tags[0].Key"),
    "tag of AWS": ("Tags", [{"Key": "aws:cloudformation:stack-name", "Value": "x"}], "Tags[0].Key"),
    "unknown tag": ("Tags", [{"Key": "team", "Value": "x"}], "Tags[0].Key"),
    "environment": ("Environment", {"LD_PRELOAD": "/tmp/x.so"}, "Environment.LD_PRELOAD"),
    "code from elsewhere": (
        "HyperParameters.sagemaker_submit_directory",
        '"s3://elsewhere/code.tar.gz"',
        "HyperParameters.sagemaker_submit_directory",
    ),
    "checkpoints elsewhere": ("CheckpointConfig", {"S3Uri": "s3://elsewhere/x"}, "CheckpointConfig.S3Uri"),
}

HOSTILE_DEPLOYMENTS = {
    "another team's endpoint": ("EndpointPrefix", "wine-model", "EndpointPrefix"),
    "huge instance": ("ProductionEndpoint.InstanceType", "ml.p5.48xlarge", "ProductionEndpoint.InstanceType"),
    "huge fleet": ("DevelopmentEndpoint.InitialInstanceCount", 11, "DevelopmentEndpoint.InitialInstanceCount"),
    "huge scaling": (
        "ProductionEndpoint.AutoScaling.MaxCapacity",
        1000,
        "ProductionEndpoint.AutoScaling.MaxCapacity",
    ),
    "traffic elsewhere": (
        "ProductionEndpoint.InferenceMonitoringOutputBucket",
        "s3://elsewhere/monitoring",
        "ProductionEndpoint.InferenceMonitoringOutputBucket",
    ),
}


# What tools in a container read as a place outside the policy.
HOSTILE_PLACES = [
    "s3://elsewhere/x",
    "S3://elsewhere/x",
    "s3a://elsewhere/x",
    "S3N://elsewhere/x",
    "s3:/elsewhere/x",
    f"{MINE.upper()}/iris-model/x",
    f"{MINE}/iris-model/x,s3a://elsewhere/x",
    f"{MINE}/iris-model/x?next=s3://elsewhere/x",
    "https://elsewhere.s3.amazonaws.com/x",
    "HTTPS://ELSEWHERE.S3.AMAZONAWS.COM/x",
    "https://elsewhere.s3.us-west-2.amazonaws.com/x",
    "https://elsewhere.s3-us-west-2.amazonaws.com:443/x",
    "https://elsewhere.s3.dualstack.us-west-2.amazonaws.com/x",
    "https://elsewhere.s3-accelerate.amazonaws.com/x",
    "http://elsewhere.s3-website-us-west-2.amazonaws.com/x",
    "https://s3.us-west-2.amazonaws.com/elsewhere/x",
    "https://s3.amazonaws.com/elsewhere/x",
    "https://s3.cn-north-1.amazonaws.com.cn/elsewhere/x",
    "elsewhere.s3.us-west-2.amazonaws.com/x",
    # A bucket whose name begins like the host of S3.
    f"https://s3-elsewhere.s3.amazonaws.com/{MINE.removeprefix('s3://')}/iris-model/x",
    f"https://{MINE.removeprefix('s3://')}.s3.amazonaws.com.evil.com/iris-model/x",
    f"https://{MINE.removeprefix('s3://')}.s3.amazonaws.com@evil.com/iris-model/x",
    "https://point-123456789012.s3-accesspoint.us-west-2.amazonaws.com/x",
    "https://elsewhere.vpce-1a2b.s3.us-west-2.vpce.amazonaws.com/x",
    "https://elsewhere--usw2-az1--x-s3.s3express-usw2-az1.us-west-2.amazonaws.com/x",
    "arn:aws:s3:::elsewhere/x",
    "ARN:AWS:S3:::elsewhere/x",
    "arn:aws:s3:us-west-2:123456789012:accesspoint/point/object/x",
    "arn:aws:s3-object-lambda:us-west-2:123456789012:accesspoint/point",
    r'"s3:\/\/elsewhere\/x"',
    r'{"a": ["\u00733://elsewhere/x"]}',
    '"\\"s3:\\\\/\\\\/elsewhere/x\\""',
    "s3%3A%2F%2Felsewhere%2Fx",
    "s3%253A%252F%252Felsewhere%252Fx",
    f"{MINE}/iris-model/%2e%2e/wine-model/x",
    "http://evil.com/x",
    "https://evil.com",
    "ftp://evil.com/x",
    "file:///etc/passwd",
    "file:/etc/passwd",
    "hdfs://name/x",
    "gs://bucket/x",
    "https://sts.amazonaws.com/",
]
HARMLESS = [
    "0.2",
    "multi:softmax",
    "reg:squarederror",
    '{"a": [1, 2], "b": "c:d"}',
    "1e-3,5",
    "/opt/ml/input/data/train",
    "1" * 400,
    f"{MINE}/iris-model/x",
    f'"{MINE}/iris-model/code/a.tar.gz"',
    f"{MINE}/iris-model/a,{MINE}/iris-model/b",
    f"s3a{MINE.removeprefix('s3')}/iris-model/x",
    f"https://{MINE.removeprefix('s3://')}.s3.us-west-2.amazonaws.com/iris-model/x",
    f"https://s3.us-west-2.amazonaws.com/{MINE.removeprefix('s3://')}/iris-model/x",
    f"arn:aws:s3:::{MINE.removeprefix('s3://')}/iris-model/x",
]


@pytest.mark.parametrize("field", ["HyperParameters", "Environment"])
@pytest.mark.parametrize("value", HOSTILE_PLACES)
def test_a_place_outside_is_refused_however_it_is_spelt(value, field):
    model = _model("policy.training.environment", ["PLACE"])
    job = changed(training_job(), field, {**training_job().get(field, {}), "PLACE": value})
    with pytest.raises(PolicyViolation, match=rf"field {field}\.PLACE: expected a place below") as refusal:
        _fence(job, model=model)
    # It may be a credential.
    assert "evil" not in str(refusal.value)


@pytest.mark.parametrize("value", HARMLESS)
def test_a_value_that_names_no_place_or_an_allowed_one_passes(value):
    job = changed(training_job(), "HyperParameters.place", value)
    assert _fence(job).training_parameters["HyperParameters"]["place"] == value


def test_the_policy_may_allow_urls():
    model = _model("policy.training.urls", ["https://mlflow.example.com/api/"])
    job = training_job()
    assert _fence(changed(job, "HyperParameters.url", "https://mlflow.example.com/api/2.0"), model=model)
    for url in ("https://mlflow.example.com/", "https://mlflow.example.com/api/../x", "http://mlflow.example.com/api/"):
        with pytest.raises(PolicyViolation, match=r"or a URL below https://mlflow\.example\.com/api/, found"):
            _fence(changed(job, "HyperParameters.url", url), model=model)


@pytest.mark.parametrize(
    "url", ["https://host", "https://", "s3://bucket/x", "s3a://bucket/x", "https://a@b/", "host/"]
)
def test_a_policys_url_ends_its_host(url):
    with pytest.raises(ValidationError, match="the beginning of a URL"):
        _model("policy.training.urls", [url])


def _fence(job=None, deploy=None, model=None):
    return fence(parse_zip(request_zip(job, deploy)), model or iris_model(), AWS)


def _model(path, value):
    return ModelConfig.model_validate(changed(iris_model().model_dump(), path, value))


def _rules(resource):
    """Return the fields of the model file that a refusal names; each must be there."""
    _, _, named = resource.rpartition("model file of iris-model: ")
    for path in named.split(", "):
        kind = ModelConfig
        for name in path.split("."):
            assert name in kind.model_fields, path
            annotation = kind.model_fields[name].annotation
            kind = next((one for one in (annotation, *get_args(annotation)) if hasattr(one, "model_fields")), None)
    return named


@pytest.mark.parametrize("case", HOSTILE_JOBS)
def test_a_hostile_training_job_is_refused(case):
    path, value, field = HOSTILE_JOBS[case]
    with pytest.raises(PolicyViolation) as refusal:
        _fence(job=changed(training_job(), path, value))
    assert isinstance(refusal.value, RequestRefused)
    assert f"trainingjob.json, field {field}" in refusal.value.why
    assert "expected" in refusal.value.why
    assert refusal.value.resource.startswith(f"trainingjob.json in trainingjob.zip: {field}")
    assert _rules(refusal.value.resource)


@pytest.mark.parametrize("case", HOSTILE_DEPLOYMENTS)
def test_a_hostile_deployment_is_refused(case):
    path, value, field = HOSTILE_DEPLOYMENTS[case]
    with pytest.raises(PolicyViolation) as refusal:
        _fence(deploy=changed(deployment(), path, value))
    assert f"deployment.json, field {field}: expected" in refusal.value.why
    assert refusal.value.resource.startswith(f"deployment.json in trainingjob.zip: {field}; ")
    assert _rules(refusal.value.resource)


def test_every_violation_is_named_up_to_a_number():
    job = changed(training_job(), "ResourceConfig.InstanceCount", 100)
    deploy = changed(deployment(), "EndpointPrefix", "wine-model")
    with pytest.raises(PolicyViolation) as refusal:
        _fence(job, deploy)
    assert "ResourceConfig.InstanceCount" in refusal.value.why
    assert "EndpointPrefix" in refusal.value.why
    tags = [{"Key": f"aws:{index}", "Value": ""} for index in range(29)]
    with pytest.raises(PolicyViolation, match="and 9 more problems") as refusal:
        _fence(changed(training_job(), "Tags", tags))
    assert refusal.value.resource.endswith("model file of iris-model: policy.tags")


def test_policy_and_guardrails_answer_together_with_the_nearest_allowed_value():
    model = with_sections(alarms=ALARMS, deployment=CANARY)
    job = changed(training_job(), "ResourceConfig.InstanceType", "ml.m4.xlrge")
    with pytest.raises(PolicyViolation) as refusal:
        _fence(changed(job, "ResourceConfig.InstanceCount", 100), changed(deployment(), "EndpointPrefix", "x"), model)
    lines = refusal.value.why.splitlines()
    for expected in [
        "trainingjob.json, field ResourceConfig.InstanceType: expected one of",
        "(did you mean ml.m4.xlarge?)",
        "trainingjob.json, field ResourceConfig.InstanceCount: expected at most",
        "deployment.json, field EndpointPrefix: expected iris-model, found the text 'x'",
        "deployment.json, ProductionEndpoint: field ABTests: expected false",
    ]:
        assert any(expected in line for line in lines), expected
    assert refusal.value.resource == (
        "trainingjob.json in trainingjob.zip: ResourceConfig.InstanceType, ResourceConfig.InstanceCount; "
        "deployment.json in trainingjob.zip: EndpointPrefix; "
        "model file of iris-model: policy.instance_types, policy.training.max_instance_count, "
        "policy.endpoint.endpoint_prefix; "
        "deployment.json in trainingjob.zip: ProductionEndpoint; "
        "model file of iris-model: deployment, scaling_schedule"
    )


def test_count_times_runtime_has_a_ceiling_of_its_own():
    training = {"max_instance_count": 4, "max_runtime_seconds": 3600, "max_instance_seconds": 7200}
    model = _model("policy.training", training)
    job = changed(training_job(), "StoppingCondition.MaxRuntimeInSeconds", 3600)
    assert _fence(changed(job, "ResourceConfig.InstanceCount", 2), model=model)
    with pytest.raises(PolicyViolation, match="at most 7200 instance seconds, found the number 10800"):
        _fence(changed(job, "ResourceConfig.InstanceCount", 3), model=model)


def test_what_the_policy_allows_passes():
    model = _model("policy.tags", ["team"])
    job = changed(training_job(), "Tags", [{"Key": "team", "Value": "flowers"}])
    assert _fence(job, model=model).training_parameters["Tags"] == [{"Key": "team", "Value": "flowers"}]
    model = _model("policy.training.environment", ["LOG_LEVEL"])
    assert _fence(changed(training_job(), "Environment", {"LOG_LEVEL": "debug"}), model=model)
    model = _model("policy.vpc", {"security_group_ids": ["sg-1"], "subnets": ["a", "b"]})
    vpc = {"SecurityGroupIds": ["sg-1"], "Subnets": ["b", "a"]}
    assert _fence(changed(training_job(), "VpcConfig", vpc), model=model)


@pytest.mark.parametrize(
    "image",
    [
        "246618743249.dkr.ecr.us-west-2.amazonaws.com/sagemaker-xgboost:1.0-1-cpu-py3",
        "246618743249.dkr.ecr.us-west-2.amazonaws.com/sagemaker-xgboost:1.7-1",
        "123456789012.dkr.ecr.us-west-2.amazonaws.com/iris-model:latest",
        pytest.param({"algorithm": "xgboost", "version": "1.7-1"}, marks=needs_sdk),
    ],
)
def test_allowed_images(image):
    fenced = _fence(changed(training_job(), "AlgorithmSpecification.TrainingImage", image))
    named = "246618743249.dkr.ecr.us-west-2.amazonaws.com/sagemaker-xgboost:1.7-1"
    assert fenced.image == (named if isinstance(image, dict) else image)


@needs_sdk
def test_one_version_may_be_the_only_one_allowed():
    model = _model("policy.images", [{"algorithm": "xgboost", "version": "1.7-1"}])
    with pytest.raises(PolicyViolation, match=r"AWS's xgboost 1\.7-1"):
        _fence(model=model)
    job = changed(training_job(), "AlgorithmSpecification.TrainingImage", {"algorithm": "xgboost", "version": "1.7-1"})
    assert _fence(job, model=model)


def test_the_wildcard_of_an_image_does_not_reach_across_accounts():
    image = "666666666666.dkr.ecr.us-west-2.amazonaws.com/iris-model:latest"
    with pytest.raises(PolicyViolation):
        _fence(changed(training_job(), "AlgorithmSpecification.TrainingImage", image))


def test_the_labs_zip_needs_no_sdk_where_its_uri_is_allowed(monkeypatch):
    monkeypatch.setitem(sys.modules, "sagemaker.core", None)
    assert _fence()


def test_without_the_sdk_another_image_is_refused_as_with_it_and_what_was_not_looked_up_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "sagemaker.core", None)
    missing = r"TrainingImage.*AWS's xgboost \(any version\) \(looked up only with airflow-slipway\[sdk\]\)"
    with pytest.raises(PolicyViolation, match=missing):
        _fence(changed(training_job(), "AlgorithmSpecification.TrainingImage", OTHER_IMAGE))


@pytest.mark.parametrize("name", ["sagemaker_program", "sagemaker_submit_directory"])
def test_a_deep_document_as_the_name_of_code_is_refused(name):
    job = changed(training_job(), f"HyperParameters.{name}", "[" * 2500)
    with pytest.raises(PolicyViolation, match=r"HyperParameters\.sagemaker_program"):
        _fence(job=job, model=_model("policy.script_mode", {"s3_prefixes": ["s3://code/iris-model/"]}))
