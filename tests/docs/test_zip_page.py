"""The JSON of docs/zip.md is what the release's own code reads, complete, and that of docs/examples/zip."""

import json
import typing

import pytest

from demo import training_job as demo
from slipway.request.fence import fence, parse_zip
from slipway.request.measurable import check_measurable
from slipway.request.schema import Deployment, TrainingJob
from slipway.validation import Strict
from tests.docs.pages import DOCS, blocks, without_comments
from tests.unit.request_samples import AWS, iris_model

EXAMPLES = DOCS / "examples" / "zip"


@pytest.fixture(scope="module")
def documents():
    return [json.loads(without_comments(block)) for block in blocks(DOCS / "zip.md", "jsonc")]


def test_a_release_of_the_iris_model_takes_both_members(documents):
    training_job, deployment, _ = documents
    fenced = fence(parse_zip(demo.pack(training_job, deployment)), iris_model(), AWS)
    check_measurable(fenced)
    assert fenced.request.deployment.endpoint_prefix == "iris-model"


def test_they_are_the_labs(documents):
    training_job, deployment, _ = documents
    bucket = "mlops-us-west-2-123456789012"
    lab = demo.training_job("iris-model", bucket, demo.HYPERPARAMETERS)
    assert {**training_job, "RoleArn": ""} == {**lab, "RoleArn": ""}
    assert deployment == demo.deployment("iris-model", bucket)


def test_the_files_without_comments_are_the_same(documents):
    assert [json.loads((EXAMPLES / name).read_text()) for name in ("trainingjob.json", "deployment.json")] == documents[
        :2
    ]


def test_the_other_fields_are_read(documents):
    TrainingJob.model_validate(documents[2])


def _fields(kind):
    """Return the names of all fields below a model, in AWS's spelling."""
    if isinstance(kind, type) and issubclass(kind, Strict):
        fields = kind.model_fields.items()
        return [one for key, field in fields for one in (field.alias or key, *_fields(field.annotation))]
    return [one for part in typing.get_args(kind) for one in _fields(part)]


def _keys(value):
    if isinstance(value, dict):
        return {*value, *(key for part in value.values() for key in _keys(part))}
    return {key for part in value for key in _keys(part)} if isinstance(value, list) else set()


def test_no_field_is_missing(documents):
    known = {*_fields(TrainingJob), *_fields(Deployment)}
    assert {"S3Uri", "ABTests", "LocalPath", "Seed"} <= known
    assert known - _keys(documents) == set()
