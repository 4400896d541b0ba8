"""Code and metrics that an uploader could bring: every way in, and what allows it."""

import json

import pytest
import yaml
from botocore.session import get_session

from slipway import paths
from slipway.errors import ModelFileError, PolicyViolation, RequestRefused
from slipway.model.config import ModelConfig
from slipway.model.files import load_model
from slipway.request.fence import fence, parse_zip
from slipway.request.schema import AlgorithmSpecification, Deployment, EndpointSettings, TrainingJob
from tests.unit.request_samples import AWS, changed, iris, iris_model, request_zip, training_job, write_model

PLACE = "s3://mlops-us-west-2-123456789012/iris-model"
# Names of https://github.com/aws/sagemaker-training-toolkit/blob/master/src/sagemaker_training/params.py that make it
# run other code, and some that do not exist yet.
TOOLKIT = (
    "sagemaker_program",
    "sagemaker_submit_directory",
    "default_user_module_name",
    "sagemaker_mpi_enabled",
    "sagemaker_mpi_custom_mpi_options",
    "sagemaker_distributed_dataparallel_custom_mpi_options",
    "sagemaker_parameter_server_enabled",
    "SAGEMAKER_PROGRAM",
    " sagemaker_program",
    "sagemaker_of_tomorrow",
)
# The fields of CreateTrainingJob that a zip may have. Add one only if it cannot bring code: entry points, private
# registries, rule and profiler images, remote shells and other people's algorithms are not among them.
ACCEPTED = {
    "TrainingJobName",
    "AlgorithmSpecification",
    "RoleArn",
    "InputDataConfig",
    "OutputDataConfig",
    "ResourceConfig",
    "StoppingCondition",
    "HyperParameters",
    "Environment",
    "VpcConfig",
    "EnableNetworkIsolation",
    "EnableInterContainerTrafficEncryption",
    "EnableManagedSpotTraining",
    "CheckpointConfig",
    "Tags",
}
ACCEPTED_OF_ALGORITHM = {
    "TrainingImage",
    "TrainingInputMode",
    "MetricDefinitions",
    "EnableSageMakerMetricsTimeSeries",
}


def shape(name: str):
    return get_session().get_service_model("sagemaker").shape_for(name)


def names(schema) -> set[str]:
    return {field.alias for field in schema.model_fields.values()}


def script_mode(*, isolated: bool = True, **section) -> ModelConfig:
    content = iris_model().model_dump()
    content["policy"] |= {
        "script_mode": {"s3_prefixes": [f"{PLACE}/code/"], **section},
        "network_isolation": isolated,
    }
    return ModelConfig.model_validate(content)


def job(directory: str | None, program: str | None = "train.py", code_at: str = f"{PLACE}/code/") -> dict:
    made = training_job()
    channel = json.loads(json.dumps(made["InputDataConfig"][0]).replace("train", "code", 1))
    channel["DataSource"]["S3DataSource"]["S3Uri"] = code_at
    made["InputDataConfig"].append(channel | {"ChannelName": "code"})
    given = {"sagemaker_program": program, "sagemaker_submit_directory": directory}
    made["HyperParameters"] |= {name: text for name, text in given.items() if text is not None}
    return made


def fenced(job: dict, model: ModelConfig | None = None):
    return fence(parse_zip(request_zip(job)), model or iris_model(), AWS)


@pytest.mark.parametrize("name", TOOLKIT)
def test_no_hyperparameter_brings_code_unless_the_policy_allows_it(name):
    with pytest.raises(PolicyViolation, match=r"policy\.script_mode does not allow code") as refusal:
        fenced(changed(training_job(), f"HyperParameters.{name}", "train.py"))
    assert f"field HyperParameters.{name}" in refusal.value.why


@pytest.mark.parametrize("name", ["sagemaker_program", "sagemaker_submit_directory"])
def test_a_submitted_directory_below_the_policys_prefixes_is_still_code(name):
    with pytest.raises(PolicyViolation, match="script_mode"):
        fenced(changed(training_job(), f"HyperParameters.{name}", f'"{PLACE}/code/sourcedir.tar.gz"'))


@pytest.mark.parametrize(
    ("directory", "isolated"),
    [
        ("/opt/ml/input/data/code/sourcedir.tar.gz", True),
        ('"/opt/ml/input/data/code/sourcedir.tar.gz"', True),
        (f"{PLACE}/code/sourcedir.tar.gz", False),
        (f'"{PLACE}/code/sourcedir.tar.gz"', False),
    ],
)
def test_allowed_code_comes_from_where_the_policy_says(directory, isolated):
    given = fenced(job(directory), script_mode(isolated=isolated)).training_parameters["HyperParameters"]
    assert given["sagemaker_submit_directory"] == directory


@pytest.mark.parametrize(
    ("directory", "program", "code_at", "isolated", "says"),
    [
        (
            f"{PLACE}/input/sourcedir.tar.gz",
            "train.py",
            None,
            False,
            r"sagemaker_submit_directory: expected code below",
        ),
        (f"{PLACE}/code/../input/x", "train.py", None, False, r"sagemaker_submit_directory: expected code below"),
        (
            f"{PLACE}/code/sourcedir.tar.gz",
            "train.py",
            None,
            True,
            r"without a network the container downloads nothing",
        ),
        ("/opt/ml/input/data/train/x", "train.py", None, True, r"sagemaker_submit_directory: expected code below"),
        ("/opt/ml/input/data/code/x", "train.py", f"{PLACE}/input/train/", True, r"expected code below"),
        ("/opt/ml/input/data/code/../train/x", "train.py", None, True, r"expected code below"),
        ("/opt/ml/input/data/code/code-2/x", "train.py", f"{PLACE}/code", True, r"expected code below"),
        ("/opt/ml/input/data/none/x", "train.py", None, True, r"expected code below"),
        ("/tmp/x", "train.py", None, True, r"expected code below"),
        (None, "train.py", None, True, r"expected code below"),
        ("/opt/ml/input/data/code/x", "../train/evil.py", None, True, r"sagemaker_program: expected a file"),
        ("/opt/ml/input/data/code/x", "/opt/ml/input/data/train/evil.py", None, True, r"sagemaker_program: expected"),
        ("/opt/ml/input/data/code/x", '"a/../../b.py"', None, True, r"sagemaker_program: expected a file"),
        ("/opt/ml/input/data/code/x", None, None, True, r"sagemaker_program: expected a file"),
    ],
)
def test_allowed_code_comes_from_nowhere_else(directory, program, code_at, isolated, says):
    with pytest.raises(PolicyViolation, match=says):
        fenced(job(directory, program, code_at or f"{PLACE}/code/"), script_mode(isolated=isolated))


def test_a_policy_that_allows_code_does_not_require_it():
    assert fenced(training_job(), script_mode())


@pytest.mark.parametrize("name", ["SAGEMAKER_PROGRAM", "SAGEMAKER_SUBMIT_DIRECTORY", "sagemaker_training_module"])
def test_no_environment_variable_brings_code(tmp_path, name):
    with pytest.raises(PolicyViolation, match=f"Environment.{name}"):
        fenced(changed(training_job(), "Environment", {name: "train.py"}))
    content = iris()
    content["policy"]["training"]["environment"] = [name]
    with pytest.raises(ModelFileError, match=r"training toolkit.*policy\.script_mode"):
        load_model(write_model(tmp_path, content))


def test_every_field_that_a_zip_may_use_is_one_of_these():
    assert names(TrainingJob) == ACCEPTED
    assert names(AlgorithmSpecification) == ACCEPTED_OF_ALGORITHM
    assert names(Deployment) == {"EndpointPrefix", "DevelopmentEndpoint", "ProductionEndpoint"}
    assert names(EndpointSettings) == {
        "InferenceMonitoring",
        "InferenceMonitoringSampling",
        "InferenceMonitoringOutputBucket",
        "ABTests",
        "InstanceType",
        "InitialInstanceCount",
        "InitialVariantWeight",
        "AutoScaling",
    }


@pytest.mark.parametrize("field", sorted(set(shape("CreateTrainingJobRequest").members) - ACCEPTED))
def test_every_other_field_of_create_training_job_is_refused(field):
    with pytest.raises(RequestRefused, match=field):
        fenced(training_job() | {field: {}})


@pytest.mark.parametrize("field", sorted(set(shape("AlgorithmSpecification").members) - ACCEPTED_OF_ALGORITHM))
def test_every_other_field_of_an_algorithm_is_refused(field):
    with pytest.raises(RequestRefused, match=field):
        fenced(changed(training_job(), f"AlgorithmSpecification.{field}", ["sh", "-c", "evil"]))


@pytest.mark.parametrize("resource", ["ModelA", "ModelB"])
def test_endpoints_run_an_image_and_an_artefact_and_nothing_that_a_zip_says(resource):
    class Loader(yaml.SafeLoader):
        """Takes CloudFormation's short forms for their arguments."""

    Loader.add_multi_constructor("!", lambda loader, tag, node: str(node.value))
    template = yaml.load(paths.endpoint_template().read_text(), Loader)  # noqa: S506 (a SafeLoader)
    assert set(template["Resources"][resource]["Properties"]["PrimaryContainer"]) == {"Image", "ModelDataUrl"}
    assert template["Parameters"]["NetworkIsolation"]["Default"] == "true"


def test_there_is_no_network_unless_the_model_file_says_so():
    content = iris_model().model_dump()
    del content["policy"]["network_isolation"]
    made = fenced(training_job(), ModelConfig.model_validate(content))
    assert made.network_isolation and made.training_parameters["EnableNetworkIsolation"] is True


FORGED = [{"Name": "validation:merror", "Regex": "validation-merror:(0)"}]
METRICS = {"validation:loss": r"loss=([0-9.]{1,9})"}


@pytest.mark.parametrize(
    "image",
    [
        "246618743249.dkr.ecr.us-west-2.amazonaws.com/sagemaker-xgboost:1.0-1-cpu-py3",
        "123456789012.dkr.ecr.us-west-2.amazonaws.com/iris-model:latest",
    ],
)
@pytest.mark.parametrize("metrics", [{}, METRICS])
def test_a_zip_defines_no_metric_of_its_own_gate(image, metrics):
    asked = changed(training_job(), "AlgorithmSpecification.TrainingImage", image)
    asked["AlgorithmSpecification"]["MetricDefinitions"] = FORGED
    model = ModelConfig.model_validate(iris_model().model_dump() | {"metrics": metrics})
    given = fenced(asked, model).training_parameters["AlgorithmSpecification"].get("MetricDefinitions", [])
    assert given == [{"Name": name, "Regex": regex} for name, regex in metrics.items()]


@pytest.mark.parametrize(
    ("regex", "says"),
    [("loss=[0-9]+", "with one group"), ("(a)(b)", "with one group"), ("loss=([0-9]+", "a regular expression, found")],
)
def test_a_metric_is_one_number_of_a_line(tmp_path, regex, says):
    with pytest.raises(ModelFileError, match=says):
        load_model(write_model(tmp_path, iris() | {"metrics": {"validation:loss": regex}}))
