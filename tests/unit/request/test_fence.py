"""The lab's own zip becomes the parameters of a training job, completed by the model file."""

import pytest
from botocore.session import get_session
from botocore.validate import ParamValidator

from slipway.errors import NameConflict, PolicyViolation, RequestRefused
from slipway.model.config import ModelConfig
from slipway.request.fence import fence, load_request, parse_zip
from slipway.request.process import process_request
from slipway.states import Environment
from tests.unit.request_samples import (
    AWS,
    BUCKET,
    KEY,
    DictStore,
    changed,
    deployment,
    iris_model,
    needs_sdk,
    request_zip,
    revision,
    training_job,
)

SERVER_SET = {"RoleArn", "Tags", "TrainingJobName", "EnableNetworkIsolation", "EnableInterContainerTrafficEncryption"}


@pytest.fixture
def released():
    data = request_zip()
    store = DictStore({(BUCKET, KEY, "v1"): data})
    return store, process_request(iris_model(), revision(data), s3=store, aws=AWS)


def test_the_labs_zip_is_changed_only_where_the_server_side_decides(released):
    store, plan = released
    parameters = load_request(store, plan, iris_model(), AWS).create_training_job_parameters(plan)
    asked = training_job()
    assert {key for key in parameters if parameters[key] != asked.get(key)} == SERVER_SET
    assert set(asked) <= set(parameters)
    assert parameters["TrainingJobName"] == plan.training_job_name
    assert parameters["RoleArn"] == "arn:aws:iam::123456789012:role/slipway-training-iris-model"
    assert parameters["EnableNetworkIsolation"] is True
    assert {tag["Key"]: tag["Value"] for tag in parameters["Tags"]} == plan.tags()


def test_the_parameters_are_valid_for_the_api(released):
    store, plan = released
    model = ModelConfig.model_validate(
        iris_model().model_dump()
        | {
            "policy": iris_model().policy.model_dump()
            | {
                "vpc": {"security_group_ids": ["sg-0123"], "subnets": ["subnet-0123"]},
                "kms_key": "alias/artefacts",
                "volume_kms_key": "alias/volumes",
                "inter_container_encryption": True,
            }
        }
    )
    parameters = load_request(store, plan, model, AWS).create_training_job_parameters(plan)
    assert parameters["VpcConfig"] == {"SecurityGroupIds": ["sg-0123"], "Subnets": ["subnet-0123"]}
    assert parameters["OutputDataConfig"]["KmsKeyId"] == "alias/artefacts"
    assert parameters["ResourceConfig"]["VolumeKmsKeyId"] == "alias/volumes"
    assert parameters["EnableInterContainerTrafficEncryption"] is True
    shape = get_session().get_service_model("sagemaker").operation_model("CreateTrainingJob").input_shape
    assert not ParamValidator().validate(parameters, shape).has_errors()


def test_isolation_may_be_turned_on_by_the_zip():
    model = ModelConfig.model_validate(changed(iris_model().model_dump(), "policy.network_isolation", False))
    assert not fence(parse_zip(request_zip()), model, AWS).network_isolation
    asked = request_zip(changed(training_job(), "EnableNetworkIsolation", True))
    assert fence(parse_zip(asked), model, AWS).network_isolation


@pytest.mark.parametrize(
    ("override", "image"),
    [
        pytest.param(
            {"algorithm": "xgboost", "version": "1.7-1"},
            "246618743249.dkr.ecr.us-west-2.amazonaws.com/sagemaker-xgboost:1.7-1",
            marks=needs_sdk,
        ),
        (
            "111122223333.dkr.ecr.{region}.amazonaws.com/x:1",
            "111122223333.dkr.ecr.us-west-2.amazonaws.com/x:1",
        ),
    ],
)
def test_the_model_file_may_replace_the_image(override, image):
    model = ModelConfig.model_validate(changed(iris_model().model_dump(), "policy.image", override))
    fenced = fence(parse_zip(request_zip()), model, AWS)
    assert fenced.training_parameters["AlgorithmSpecification"]["TrainingImage"] == fenced.image == image


def test_the_deployment_is_read_by_environment():
    fenced = fence(parse_zip(request_zip()), iris_model(), AWS)
    dev, prd = fenced.endpoint(Environment.DEVELOPMENT), fenced.endpoint(Environment.PRODUCTION)
    assert (dev.ab_tests, dev.auto_scaling, dev.initial_variant_weight) == (False, None, None)
    assert (prd.ab_tests, prd.initial_variant_weight) == (True, 0.1)
    assert prd.auto_scaling is not None
    assert prd.auto_scaling.max_capacity == 10


@pytest.mark.parametrize("part", ["DevelopmentEndpoint", "ProductionEndpoint"])
def test_scaling_may_be_null_or_absent_anywhere(part):
    for value in (None, ...):
        assert parse_zip(request_zip(deploy=changed(deployment(), f"{part}.AutoScaling", value)))


def test_a_whole_number_does_for_the_scaling_target():
    assert parse_zip(request_zip(deploy=changed(deployment(), "ProductionEndpoint.AutoScaling.TargetValue", 200)))


def test_monitoring_off_needs_no_place():
    deploy = deployment()
    deploy["DevelopmentEndpoint"] = {
        "InferenceMonitoring": False,
        "ABTests": False,
        "InstanceType": "ml.m4.xlarge",
        "InitialInstanceCount": 1,
    }
    assert parse_zip(request_zip(deploy=deploy))


def test_a_changed_copy_is_noticed(released):
    store, plan = released
    copy_key = plan.request_uri.removeprefix(f"s3://{BUCKET}/")
    store.objects[BUCKET, copy_key, None] = request_zip(changed(training_job(), "HyperParameters.num_round", "99"))
    with pytest.raises(NameConflict, match=plan.digest):
        load_request(store, plan, iris_model(), AWS)


def test_a_stricter_policy_counts_for_a_running_release(released):
    store, plan = released
    model = ModelConfig.model_validate(changed(iris_model().model_dump(), "policy.instance_types", ["ml.m5.large"]))
    with pytest.raises(PolicyViolation):
        load_request(store, plan, model, AWS)


def test_a_channel_may_have_a_space_in_its_key():
    uri = f"s3://{BUCKET}/iris-model/input/new data"
    job = changed(training_job(), "InputDataConfig.0.DataSource.S3DataSource.S3Uri", uri)
    parameters = fence(parse_zip(request_zip(job)), iris_model(), AWS).training_parameters
    assert parameters["InputDataConfig"][0]["DataSource"]["S3DataSource"]["S3Uri"] == uri
    elsewhere = changed(training_job(), "InputDataConfig.0.DataSource.S3DataSource.S3Uri", f"s3://{BUCKET}/other data/")
    with pytest.raises(PolicyViolation, match="expected a place below"):
        fence(parse_zip(request_zip(elsewhere)), iris_model(), AWS)


@pytest.mark.parametrize("own", [None, "alias/artefacts"])
def test_an_empty_key_means_none_of_its_own(own):
    model = ModelConfig.model_validate(changed(iris_model().model_dump(), "policy.kms_key", own))
    job = changed(training_job(), "OutputDataConfig.KmsKeyId", "")
    parameters = fence(parse_zip(request_zip(job)), model, AWS).training_parameters
    assert parameters["OutputDataConfig"]["KmsKeyId"] == (own or "")
    job = changed(training_job(), "OutputDataConfig.KmsKeyId", "alias/other")
    with pytest.raises(PolicyViolation, match="KmsKeyId"):
        fence(parse_zip(request_zip(job)), model, AWS)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("Tags", [{"Key": "team", "Value": "data & science"}]),
        ("HyperParameters.eta", "0.1\n0.2"),
        ("Environment", {"1ST": "x"}),
    ],
)
def test_what_the_next_api_refuses_is_refused_with_the_zip(field, value):
    with pytest.raises(RequestRefused, match=field.partition(".")[0]):
        parse_zip(request_zip(changed(training_job(), field, value)))
