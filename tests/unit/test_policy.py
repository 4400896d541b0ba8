"""A hostile request is refused by the model's policy; the lab's own passes."""

import sys

import pytest

from slipway.errors import PolicyViolation, RequestRefused
from slipway.model_config import ModelConfig
from slipway.release_request import fence, parse_zip
from tests.unit.request_samples import AWS, changed, deployment, iris_model, request_zip, training_job

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
    "all that begins alike": (f"InputDataConfig.0.{S3_URI}", f"{MINE}/iris-model", "InputDataConfig[0]"),
    "up and away": (f"InputDataConfig.0.{S3_URI}", f"{MINE}/iris-model/../wine-model/x", "InputDataConfig[0]"),
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


def _fence(job=None, deploy=None, model=None):
    return fence(parse_zip(request_zip(job, deploy)), model or iris_model(), AWS)


def _model(path, value):
    return ModelConfig.model_validate(changed(iris_model().model_dump(), path, value))


@pytest.mark.parametrize("case", HOSTILE_JOBS)
def test_a_hostile_training_job_is_refused(case):
    path, value, field = HOSTILE_JOBS[case]
    with pytest.raises(PolicyViolation) as refusal:
        _fence(job=changed(training_job(), path, value))
    assert isinstance(refusal.value, RequestRefused)
    assert f"trainingjob.json, field {field}" in refusal.value.why
    assert "expected" in refusal.value.why


@pytest.mark.parametrize("case", HOSTILE_DEPLOYMENTS)
def test_a_hostile_deployment_is_refused(case):
    path, value, field = HOSTILE_DEPLOYMENTS[case]
    with pytest.raises(PolicyViolation) as refusal:
        _fence(deploy=changed(deployment(), path, value))
    assert f"deployment.json, field {field}: expected" in refusal.value.why


def test_every_violation_is_named_up_to_a_number():
    job = changed(training_job(), "ResourceConfig.InstanceCount", 100)
    deploy = changed(deployment(), "EndpointPrefix", "wine-model")
    with pytest.raises(PolicyViolation) as refusal:
        _fence(job, deploy)
    assert "ResourceConfig.InstanceCount" in refusal.value.why
    assert "EndpointPrefix" in refusal.value.why
    tags = [{"Key": f"aws:{index}", "Value": ""} for index in range(9)]
    with pytest.raises(PolicyViolation, match="and 4 more"):
        _fence(changed(training_job(), "Tags", tags))


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
        {"algorithm": "xgboost", "version": "1.7-1"},
    ],
)
def test_allowed_images(image):
    fenced = _fence(changed(training_job(), "AlgorithmSpecification.TrainingImage", image))
    named = "246618743249.dkr.ecr.us-west-2.amazonaws.com/sagemaker-xgboost:1.7-1"
    assert fenced.image == (named if isinstance(image, dict) else image)


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
