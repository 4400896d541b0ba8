"""An upload becomes one plan and one copy, however often the task runs."""

import hashlib
import logging
from dataclasses import replace

import pytest

from slipway.errors import ModelFileError, NameConflict, PermanentError, PolicyViolation, RequestRefused
from slipway.model.config import ModelConfig
from slipway.request.archive import MAX_BYTES
from slipway.request.process import process_request
from tests.unit.request_samples import (
    AWS,
    BUCKET,
    KEY,
    DictStore,
    changed,
    iris_model,
    request_zip,
    revision,
    training_job,
)


def _store(data):
    return DictStore({(BUCKET, KEY, "v1"): data})


def test_the_plan_names_everything_of_the_release():
    data = request_zip()
    plan = process_request(iris_model(), revision(data), s3=_store(data), aws=AWS)
    assert plan.digest == hashlib.sha256(data).hexdigest()
    assert plan.sequence == "2024-01-31T23:59:59+00:00"
    assert plan.training_job_name == f"mlops-iris-model-2024-01-31-23-59-59-{plan.revision_id[:8]}"
    assert plan.request_uri == f"s3://{BUCKET}/releases/iris-model/{plan.revision_id}/trainingjob.zip"
    assert plan.model_package_group == "mlops-iris-model"
    assert plan.stacks == {"dev": "mlops-deploy-iris-model-dev", "prd": "mlops-deploy-iris-model-prd"}
    assert plan.endpoints == {"dev": "iris-model-development", "prd": "iris-model-production"}


def test_the_upload_is_read_once_and_copied_as_it_is():
    data = request_zip()
    store = _store(data)
    plan = process_request(iris_model(), revision(data), s3=store, aws=AWS)
    assert store.calls == ["read_version", "put_if_absent", "uploader", "put_if_absent"]
    assert store.objects[BUCKET, plan.request_uri.removeprefix(f"s3://{BUCKET}/"), None] == data


def test_run_again_it_comes_to_the_same_plan():
    data = request_zip()
    store = _store(data)
    first = process_request(iris_model(), revision(data), s3=store, aws=AWS)
    assert process_request(iris_model(), revision(data), s3=store, aws=AWS) == first


def test_run_again_after_the_upload_was_deleted_it_takes_its_copy():
    data = request_zip()
    store = _store(data)
    first = process_request(iris_model(), revision(data), s3=store, aws=AWS)
    del store.objects[BUCKET, KEY, "v1"]
    assert process_request(iris_model(), revision(data), s3=store, aws=AWS) == first


def test_an_upload_that_was_deleted_before_it_was_read_is_said_to_be_missing():
    with pytest.raises(PermanentError, match="does not exist"):
        process_request(iris_model(), revision(b"x"), s3=DictStore(), aws=AWS)


def test_another_zip_at_the_runs_place_stops_it():
    data = request_zip()
    store = _store(data)
    plan = process_request(iris_model(), revision(data), s3=store, aws=AWS)
    store.objects[BUCKET, plan.request_uri.removeprefix(f"s3://{BUCKET}/"), None] = b"forged"
    with pytest.raises(NameConflict, match=plan.digest):
        process_request(iris_model(), revision(data), s3=store, aws=AWS)


def test_what_is_too_large_is_never_read():
    store = _store(b"")
    large = revision(b"x" * (MAX_BYTES + 1))
    with pytest.raises(RequestRefused, match=f"expected at most {MAX_BYTES} bytes"):
        process_request(iris_model(), large, s3=store, aws=AWS)
    assert store.calls == []


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"no zip", RequestRefused),
        (request_zip(changed(training_job(), "ResourceConfig.InstanceCount", 100)), PolicyViolation),
    ],
)
def test_what_is_refused_leaves_nothing_behind(data, error):
    store = _store(data)
    with pytest.raises(error):
        process_request(iris_model(), revision(data), s3=store, aws=AWS)
    assert store.calls == ["read_version"]


def test_two_versions_are_two_releases():
    data = request_zip()
    store = DictStore({(BUCKET, KEY, "v1"): data, (BUCKET, KEY, "v2"): data})
    plans = [process_request(iris_model(), revision(data, version), s3=store, aws=AWS) for version in ("v1", "v2")]
    assert plans[0].training_job_name != plans[1].training_job_name
    assert plans[0].request_uri != plans[1].request_uri


def test_metric_definitions_of_a_zip_are_ignored_and_the_log_says_so(caplog):
    job = training_job()
    job["AlgorithmSpecification"]["MetricDefinitions"] = [{"Name": "validation:merror", "Regex": "merror:(0)"}]
    for given, said in ((request_zip(job), 1), (request_zip(), 0)):
        caplog.clear()
        with caplog.at_level(logging.INFO, logger="slipway.request.process"):
            process_request(iris_model(), revision(given), s3=_store(given), aws=AWS)
        assert caplog.text.count("MetricDefinitions of trainingjob.json are ignored") == said


def model_with_metric(name: str) -> ModelConfig:
    return ModelConfig.model_validate(iris_model().model_dump() | {"metrics": {name: "error=([0-9.]+)"}})


@pytest.mark.parametrize("name", ["x" * 122, "%" * 41, "ü" * 21])
def test_a_metric_that_the_registry_cannot_keep_is_refused_before_anything_costs_money(name):
    data = request_zip()
    store = _store(data)
    with pytest.raises(ModelFileError, match="cannot keep the names"):
        process_request(model_with_metric(name), revision(data), s3=store, aws=AWS)
    assert set(store.calls) == {"read_version"}


@pytest.mark.parametrize("name", ["x" * 121, "error (%)"])
def test_a_metric_that_the_registry_can_keep_is_accepted(name):
    data = request_zip()
    assert process_request(model_with_metric(name), revision(data), s3=_store(data), aws=AWS)


def test_a_version_id_that_no_tag_can_keep_is_refused():
    data = request_zip()
    long = replace(revision(data), version_id="v" * 257)
    with pytest.raises(PermanentError, match="257 characters"):
        process_request(iris_model(), long, s3=DictStore({(BUCKET, KEY, long.version_id): data}), aws=AWS)
