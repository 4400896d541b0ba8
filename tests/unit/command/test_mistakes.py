"""The mistakes that people make most: `check` names field, what is allowed, what was found, and what to do."""

import io
import json
import zipfile

import pytest

from slipway.command.exits import Exit
from tests.unit.request_samples import IRIS, changed, deployment, request_zip, training_job, zip_of

S3 = "InputDataConfig.0.DataSource.S3DataSource.S3Uri"
OBJECTIVE, ROUNDS = "HyperParameters.objective", "HyperParameters.num_round"
PRODUCTION = "ProductionEndpoint"


def job(field: str, value: object) -> bytes:
    return request_zip(changed(training_job(), field, value))


def endpoints(field: str, value: object) -> bytes:
    return request_zip(None, changed(deployment(), field, value))


def without_validation() -> bytes:
    return job("InputDataConfig", training_job()["InputDataConfig"][:1])


def named(first: str, second: str) -> bytes:
    return zip_of((first, json.dumps(training_job())), (second, json.dumps(deployment())))


# A zip that cannot be read does not say which of the models it is for.
CHECK = ("trainingjob.zip", "--offline", "--models", str(IRIS.parent), "--model", "iris-model")
# name: the zip, and what the problem must name: field or file, what is allowed, what was found, what to do.
MISTAKES = {
    "a member's name": (
        named("training_job.json", "deployment.json"),
        "trainingjob.json",
        "this file",
        "no file",
        "zip",
    ),
    "a folder in the zip": (
        named("release/trainingjob.json", "release/deployment.json"),
        "release/",
        "only",
        "too",
        "not the folder",
    ),
    "no zip": (b"trainingjob.json", "trainingjob.zip", "a zip archive", "something else", "zip trainingjob.json"),
    "a comma too many": (
        request_zip(json.dumps(training_job())[:-1] + ",}"),
        "trainingjob.json",
        "valid JSON",
        "line 1 column",
        "correct the file",
    ),
    "a byte order mark": (
        request_zip(b"\xef\xbb\xbf" + json.dumps(training_job()).encode()),
        "trainingjob.json",
        "JSON from the first",
        "byte order mark",
        "without BOM",
    ),
    "a missing section": (job("ResourceConfig", ...), "ResourceConfig", "a value", "nothing", "add the field"),
    "a misspelt field": (
        job("ResourceConfig.InstanceTyp", "ml.m4.xlarge"),
        "ResourceConfig.InstanceTyp",
        "InstanceType",
        "an unknown field",
        "did you mean InstanceType",
    ),
    "a hyperparameter that is no text": (job(ROUNDS, 30), ROUNDS, "text", "type int", "in quotes"),
    "an unknown objective": (
        job(OBJECTIVE, "multi:sofmax"),
        OBJECTIVE,
        "multi:softmax",
        "multi:sofmax",
        "did you mean multi:softmax",
    ),
    "no num_class": (
        job("HyperParameters.num_class", ...),
        "HyperParameters.num_class",
        "a whole number",
        "nothing",
        "how many classes",
    ),
    "no num_round": (job(ROUNDS, ...), ROUNDS, "a whole number", "nothing", "how many rounds"),
    "an instance type that is not allowed": (
        job("ResourceConfig.InstanceType", "ml.p3.2xlarge"),
        "ResourceConfig.InstanceType",
        "ml.m4.xlarge",
        "ml.p3.2xlarge",
        "policy",
    ),
    "an instance type of EC2": (
        endpoints("DevelopmentEndpoint.InstanceType", "m4.xlarge"),
        "DevelopmentEndpoint.InstanceType",
        "ml",
        "m4.xlarge",
        "InstanceType",
    ),
    "another bucket": (
        job(S3, "s3://my-own-bucket/iris/train/"),
        "InputDataConfig[0].DataSource.S3DataSource.S3Uri",
        "a place below s3://mlops-us-west-2-123456789012/iris-model/",
        "s3://my-own-bucket",
        "policy",
    ),
    "an address without s3://": (
        job(S3, "mlops-us-west-2-123456789012/iris-model/input/train/"),
        "S3Uri",
        "s3://",
        "mlops-us-west-2",
        "S3Uri",
    ),
    "no channel named train": (
        job("InputDataConfig.0.ChannelName", "training"),
        "InputDataConfig",
        "exactly one channel named train",
        "a list of 2",
        "as the channel train",
    ),
    "no channel for a gate": (
        without_validation(),
        "InputDataConfig",
        "a channel named validation",
        "train",
        "add the channel",
    ),
    "a role that is not the model's": (
        job("RoleArn", "arn:aws:iam::123456789012:role/admin"),
        "RoleArn",
        "slipway-training-iris-model",
        "role/admin",
        "policy",
    ),
    "a placeholder left in the role": (
        job("RoleArn", "arn:aws:iam::{account}:role/slipway-training-iris-model"),
        "RoleArn",
        "arn:aws:iam::123456789012:role/slipway-training-iris-model",
        "{account}",
        "did you mean",
    ),
    "an image of another account": (
        job("AlgorithmSpecification.TrainingImage", "999999999999.dkr.ecr.us-west-2.amazonaws.com/mine:1"),
        "AlgorithmSpecification.TrainingImage",
        "sagemaker-xgboost",
        "999999999999",
        "policy",
    ),
    "another endpoint's name": (endpoints("EndpointPrefix", "iris"), "EndpointPrefix", "iris-model", "iris", "policy"),
    "scaling of development": (
        endpoints("DevelopmentEndpoint.AutoScaling", deployment()[PRODUCTION]["AutoScaling"]),
        "(the whole document)",
        "null as DevelopmentEndpoint.AutoScaling",
        "an object",
        "set it to null",
    ),
    "a share that is missing": (
        endpoints(f"{PRODUCTION}.InitialVariantWeight", ...),
        PRODUCTION,
        "InitialVariantWeight above 0",
        "an object",
        "share of the traffic",
    ),
    "more instances than allowed": (
        endpoints(f"{PRODUCTION}.AutoScaling.MaxCapacity", 50),
        f"{PRODUCTION}.AutoScaling.MaxCapacity",
        "at most 10",
        "50",
        "policy",
    ),
    "a job that runs too long": (
        job("StoppingCondition.MaxRuntimeInSeconds", 999999),
        "StoppingCondition.MaxRuntimeInSeconds",
        "at most 360000",
        "999999",
        "policy",
    ),
    "an objective without an accuracy": (
        job(OBJECTIVE, "reg:squarederror"),
        "test.accuracy_minimum",
        None,
        "a number and no class",
        "HyperParameters.objective",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_told_with_field_allowed_found_and_fix(slipway, name):
    body, where, allowed, found, fix = MISTAKES[name]
    (slipway.folder / "trainingjob.zip").write_bytes(body)
    said = slipway("check", *CHECK, "--json")
    assert said.code == Exit.REFUSED
    problems = said.json["problems"]
    assert said.json["ok"] is False
    one = next((one for one in problems if where in f"{one['where']} {one['field']} {one['why']}"), problems)
    assert isinstance(one, dict), one
    assert found in (one["found"] or one["why"])
    assert fix in one["fix"]
    if allowed is not None:
        assert allowed in one["allowed"]


@pytest.mark.parametrize("name", MISTAKES)
def test_the_same_is_printed_for_people(slipway, name):
    body, where, _, found, fix = MISTAKES[name]
    (slipway.folder / "trainingjob.zip").write_bytes(body)
    said = slipway("check", *CHECK)
    assert said.code == Exit.REFUSED
    assert all(label in said.err for label in ("  Where: ", "  Why:   ", "  Fix:   "))
    assert all(part in said.err for part in (where, found, fix))


def test_a_good_zip_passes(slipway):
    (slipway.folder / "trainingjob.zip").write_bytes(request_zip())
    said = slipway("check", "trainingjob.zip", "--offline", "--models", str(IRIS.parent))
    assert said.code == Exit.DONE, said.err
    assert "nothing is wrong" in said.out


# The rows of a file, and what the problem must say.
ROWS = {
    "a header": ("species,length\n0,5.1\n", "row 1", "found 'species'", "remove the header"),
    "the label is not first": ("0,5.1\n5.1,0\n", "row 2", "a whole number from 0 to 2", "the label first"),
    "a class that does not exist": ("0,5.1\n3,5.1\n", "row 2", "found '3'", "the label first"),
    "a text as label": ("0,5.1\nsetosa,5.1\n", "row 2", "found 'setosa'", "the label first"),
    "no label": ("5.1\n4.9\n", "train.csv", "not a label and its features", "the label first"),
    "another number of features": ("0,5.1,3.5\n1,4.9\n", "row 2", "expected 2 as in row 1, found 1", "the same number"),
    "nothing": ("\n", "train.csv", "an empty file", "CSV without a header"),
}


@pytest.mark.parametrize("name", ROWS)
def test_the_rows_beside_the_sources_are_checked(slipway, name):
    text, where, why, fix = ROWS[name]
    sources(slipway.folder)
    train = slipway.folder / "data" / "train"
    train.mkdir(parents=True)
    (train / "train.csv").write_text(text)
    said = slipway("check", ".", "--offline", "--models", str(IRIS.parent), "--json")
    assert said.code == Exit.REFUSED, said.out
    [problem] = said.json["problems"]
    assert where in problem["where"]
    assert why in problem["why"]
    assert fix in problem["fix"]


def test_data_of_no_channel_is_told(slipway):
    sources(slipway.folder)
    folder = slipway.folder / "data" / "training"
    folder.mkdir(parents=True)
    (folder / "train.csv").write_text("0,1\n")
    said = slipway("check", "--offline", "--models", str(IRIS.parent), "--json")
    assert (
        "expected a folder for one of the channels train, validation, found training" in said.json["problems"][0]["why"]
    )


def test_the_model_is_found_by_the_folder_the_endpoint_prefix_or_the_option(slipway):
    sources(slipway.folder)
    assert slipway("check", "--offline", "--models", str(IRIS.parent), "--json").json["model"] == "iris-model"
    said = slipway("check", "--offline", "--models", str(IRIS.parent), "--model", "wine", "--json")
    assert said.code == Exit.NOT_FOUND
    assert "iris-model" in said.json["error"]["why"]


@pytest.mark.parametrize(
    ("name", "body", "found"),
    [
        (
            "mine.zip",
            request_zip(None, changed(deployment(), "EndpointPrefix", "iris-model-b")),
            "deployment.json names EndpointPrefix iris-model-b",
        ),
        ("mine.zip", zip_of(("trainingjob.json", "{}")), "deployment.json names no EndpointPrefix"),
        ("rows.csv", b"0,5.1\n", "found a file that is no zip"),
    ],
)
def test_a_file_of_no_known_model_says_what_was_found_and_how_to_name_it(slipway, name, body, found):
    models = slipway.folder / "models"
    models.mkdir()
    for prefix in ("rose", "wine"):
        (models / f"{prefix}.yaml").write_text(IRIS.read_text().replace("iris-model", prefix))
    (slipway.folder / name).write_bytes(body)
    said = slipway("check", name, "--offline", "--models", "models", "--json")
    assert said.code == Exit.NOT_FOUND
    error = said.json["error"]
    assert (error["where"], found in error["why"], "rose, wine" in error["why"]) == (name, True, True), error
    assert "--model" in error["fix"]


def test_a_broken_model_file_is_told(slipway):
    models = slipway.folder / "models"
    models.mkdir()
    (models / "iris-model.yaml").write_text(IRIS.read_text().replace("max_rows: 200", "max_rows: many"))
    (slipway.folder / "trainingjob.zip").write_bytes(request_zip())
    said = slipway("check", "trainingjob.zip", "--offline", "--models", "models", "--json")
    assert said.code == Exit.REFUSED
    assert "field test.max_rows: expected a whole number, found the text 'many'" in said.json["error"]["why"]


def test_where_there_is_nothing_it_says_so(slipway):
    said = slipway("check", "--offline", "--json")
    assert said.code == Exit.NOT_FOUND
    assert said.json["error"]["fix"].startswith("slipway init")
    assert slipway("check", "nowhere", "--offline", "--json").code == Exit.NOT_FOUND


def test_the_same_files_make_the_same_zip(slipway):
    sources(slipway.folder)
    words = ("check", "--offline", "--models", str(IRIS.parent), "--json")
    first = slipway(*words).json["digest"]
    (slipway.folder / "trainingjob.json").touch()
    assert slipway(*words).json["digest"] == first


def sources(folder) -> None:
    with zipfile.ZipFile(io.BytesIO(request_zip())) as archive:
        archive.extractall(folder)
