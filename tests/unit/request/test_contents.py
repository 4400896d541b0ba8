"""What the board may know of a zip: settings and plain values; of what may be a credential only a mark."""

import hashlib
import json

import pytest

from slipway.request.contents import Contents, compare, contents_of, shown_value
from slipway.request.process import plan_again, process_request
from tests.unit.request_samples import (
    AWS,
    BUCKET,
    KEY,
    DictStore,
    changed,
    deployment,
    iris_model,
    request_zip,
    revision,
    training_job,
)


def test_settings_and_hyperparameters_are_there_and_each_file_has_its_size():
    data = request_zip()
    found = contents_of(data)
    assert found.digest == hashlib.sha256(data).hexdigest()
    assert found.settings["Training: instances"] == "1 x ml.m4.xlarge"
    assert found.settings["Data: train"].startswith("s3://")
    assert found.settings["Production: instances"].endswith("2 x ml.c5.xlarge")
    assert found.hyperparameters["objective"] == "multi:softmax"
    assert found.hyperparameters["max_depth"] == "10"
    assert list(found.files) == ["deployment.json", "trainingjob.json"]
    assert found.files["trainingjob.json"].startswith(f"{len(json.dumps(training_job()))} bytes, mark ")


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("eta", "0.2", True),
        ("eta", "1e-3", True),
        ("silent", "False", True),
        ("objective", "multi:softmax", True),
        ("eval_metric", "merror, mlogloss", True),
        ("eta", "hunter2", False),
        ("objective", "https://u:hunter2@host/", False),
        ("api_token", "1234", False),
        ("DB_PASSWORD", "true", False),
        ("pin", "1234", False),
        ("wandb", "hunter2", False),
        ("eta", "nan", False),
        ("eta", "1" * 40, False),
    ],
)
def test_a_value_is_shown_only_where_it_cannot_be_a_credential(name, value, shown):
    found = shown_value(name, value)
    assert (found == value) is shown
    assert shown or (found.startswith("not shown, mark ") and value not in found and len(found) < 30)


def test_no_credential_is_in_the_xcom():
    job = training_job()
    job["HyperParameters"] |= {"wandb": "hunter2-of-alice", "api_key": "98765431"}
    job["Environment"] = {"PASSWORD": "hunter2-of-bob"}
    text = json.dumps(contents_of(request_zip(job)).to_xcom())
    for secret in ("hunter2", "98765431"):
        assert secret not in text
    assert "api_key" in text


def test_a_hidden_value_that_changed_is_seen_to_have_changed():
    def hidden(value):
        return contents_of(request_zip(changed(training_job(), "HyperParameters.wandb", value)))

    differing = [one.name for one in compare(hidden("one"), hidden("two")) if one.differs]
    assert differing == ["trainingjob.json", "wandb"]
    assert not any(one.differs for one in compare(hidden("one"), hidden("one")))


def test_what_was_added_and_removed_differs():
    job = changed(changed(training_job(), "HyperParameters.max_depth", ...), "HyperParameters.eta", "0.3")
    new = contents_of(request_zip(job, changed(deployment(), "ProductionEndpoint.InitialInstanceCount", 3)))
    found = {one.name: (one.new, one.live) for one in compare(new, contents_of(request_zip())) if one.differs}
    assert found["max_depth"] == (None, "10")
    assert found["Production: instances"][0].startswith("3 x")
    assert [one.live for one in compare(new, None)].count(None) == len(compare(new, None))


def test_it_stays_small_whatever_is_in_the_zip():
    """CreateTrainingJob takes 100 hyperparameters; https://docs.aws.amazon.com/sagemaker/latest/APIReference."""
    job = training_job()
    job["HyperParameters"] = {f"{number:03d}{'n' * 253}": "v" * 2500 for number in range(100)}
    job["Environment"] = {f"E{number:03d}{'n' * 508}": "v" * 512 for number in range(100)}
    job["InputDataConfig"][0]["DataSource"]["S3DataSource"]["S3Uri"] = "s3://b/" + "k" * 900
    xcom = contents_of(request_zip(job)).to_xcom()
    assert len(json.dumps(xcom)) < 100_000
    assert Contents.from_xcom(xcom).to_xcom() == xcom


@pytest.mark.parametrize("value", [None, {}, {"digest": 1}, {"digest": "d", "files": []}, "text", []])
def test_what_cannot_be_read_is_not_known(value):
    assert Contents.from_xcom(value) is None


def test_a_release_and_a_roll_back_to_it_tell_the_same():
    data, told = request_zip(), []
    store = DictStore({(BUCKET, KEY, "v1"): data})
    plan = process_request(iris_model(), revision(data), s3=store, aws=AWS, tell=told.append)
    plan_again(iris_model(), plan.revision_id, plan.digest, s3=store, aws=AWS, tell=told.append)
    assert told[0] == told[1] == contents_of(data).to_xcom()
