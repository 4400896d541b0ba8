"""Rows as people keep them, and objectives whose answers mean different things, up to the test of a real endpoint."""

import gzip
import random

import pytest

from slipway.aws.sagemaker import SageMakerHook
from slipway.errors import EndpointTestFailed, StressRefused
from slipway.load.answers import Answers
from slipway.model.config import ModelConfig
from slipway.stress.answers import answers_under_load
from tests.cfn.releases import DEV, PRD, Model
from tests.cfn.test_endpoint_tests import change, tried
from tests.local_aws.sagemaker_cases import BUCKET, ROWS, csv, model_data, training_request, unique, wait_for_job
from tests.unit.request_samples import changed, training_job

pytestmark = pytest.mark.local_aws

GOOD, WRONG = csv(seed=9), "".join(f"9,{row}\n" for row in ROWS.values())


def keep(aws, model: Model, data: str, **objects: bytes) -> None:
    """Put objects into the model's bucket, by the end of their keys, and name the place of its rows."""
    for name, body in objects.items():
        aws.client("s3").put_object(Bucket=BUCKET, Key=f"{model.prefix}/input/{name}", Body=body)
    place = f"s3://{BUCKET}/{model.prefix}/input/{data}"
    change(model, test={"data": place, "accuracy_minimum": 1.0, "max_rows": 60}, golden={"data": place})


@pytest.mark.parametrize(
    ("data", "objects"),
    [
        ("a.csv", {"a.csv": GOOD.encode(), "a.csv.bak": WRONG.encode()}),
        ("rows", {"rows/a.csv": GOOD.encode(), "rows-old/a.csv": WRONG.encode()}),
        (
            "rows/",
            {
                "rows/": b"",
                "rows/.part-0.csv.crc": b"crc\0\0\0\2\0\xff",
                "rows/_SUCCESS": b"",
                "rows/_temporary/0/part-0.csv": WRONG.encode(),
                "rows/part-0.csv": GOOD.encode(),
            },
        ),
        ("rows/", {"rows/a.csv": b"\xef\xbb\xbf" + GOOD.encode(), "rows/b.csv": b"\xef\xbb\xbf" + GOOD.encode()}),
        ("rows/", {"rows/a.csv.gz": gzip.compress(GOOD.replace("\n", "\r\n\r\n").encode())}),
    ],
    ids=["object", "folder", "spark", "bom", "gzip"],
)
def test_rows_are_read_as_they_are_kept(aws, data, objects):
    model = Model(aws)
    keep(aws, model, data, **objects)
    found = tried(model.release(model_data(aws), ABTests=False))
    assert found["accuracy"] == 1.0
    assert (found["rows"], found["golden_rows"] % 60) == (60, 0)


def test_an_object_that_is_not_text_is_named(aws):
    model = Model(aws)
    keep(aws, model, "rows/", **{"rows/a.csv": f"0,{ROWS[0]}\n".encode("utf-16")})
    with pytest.raises(EndpointTestFailed, match=rf"s3://{BUCKET}/{model.prefix}/input/rows/a\.csv.*not UTF-8 text"):
        tried(model.release(model_data(aws), ABTests=False))


def two_classes(seed: int) -> str:
    """Write separable rows of two classes."""
    noise = random.Random(seed)
    return "".join(f"{row % 2},{5 * (row % 2) + noise.uniform(-1, 1):.3f},{noise.random():.3f}\n" for row in range(40))


def trained(aws, objective: str, **hyper_parameters: str) -> tuple[str, dict]:
    """Train a model; its artefact, and the training job of its zip."""
    prefix, name = unique("objective"), unique("objective")
    for channel, seed in (("train", 1), ("validation", 2)):
        key = f"{prefix}/input/{channel}/data.csv"
        aws.client("s3").put_object(Bucket=BUCKET, Key=key, Body=two_classes(seed).encode())
    given = {"objective": objective, "num_round": "5", **hyper_parameters}
    aws.client("sagemaker").create_training_job(**training_request(name, prefix, HyperParameters=given))
    job = wait_for_job(aws, name)
    return job["ModelArtifacts"]["S3ModelArtifacts"], changed(training_job(), "HyperParameters", given)


def test_models_of_other_objectives_are_measured_and_compared_by_what_they_answer(aws):
    model = Model(aws)
    model_data(aws)  # It makes the bucket.
    keep(aws, model, "rows.csv", **{"rows.csv": two_classes(3).encode()})
    change(model, champion={"not_worse_than": 0.0})
    url, job = trained(aws, "binary:logitraw")
    margins = model.release(url, job=job, ABTests=False)
    found = tried(margins)
    assert (found["accuracy"], found["golden_rows"], found["champion"]) == (1.0, 40, None)
    margins.approve().deploy(PRD)
    assert tried(margins, PRD)["accuracy"] == 1.0

    url, job = trained(aws, "multi:softprob", num_class="2")
    champion = tried(model.release(url, job=job, ABTests=False))["champion"]
    assert (champion["candidate"], champion["live"]) == (1.0, 1.0)


def test_no_accuracy_is_asked_of_a_load_on_a_regression(aws):
    model = Model(aws)
    model_data(aws)  # It makes the bucket.
    url, job = trained(aws, "reg:squarederror")
    fields = model.config.model_dump()
    fields["test"] = {"data": f"s3://{BUCKET}/{model.prefix}/input/", "rmse_maximum": 1.0}
    model.config = ModelConfig.model_validate(fields | {"golden": None, "champion": None})
    release = model.release(url, job=job, ABTests=False)
    release.deploy(DEV)
    endpoint = SageMakerHook(aws_conn_id=None).describe_endpoint(release.plan.endpoint(DEV))
    asked = {"target_variant": None, "aws_conn_id": None}
    assert answers_under_load(endpoint, min_accuracy=None, **asked) == {"model-a": Answers.NUMBER}
    with pytest.raises(StressRefused, match=r"model-a name no class.*leave min_accuracy out"):
        answers_under_load(endpoint, min_accuracy=0.5, **asked)
