"""The owner of a training job: how tags store it, and in which states of Airflow it still waits."""

import re

import pytest
from airflow.utils.state import TaskInstanceState

from slipway.training.owner import JobOwner, airflow_id, ensure_airflow_id, has_ended

OWNER = JobOwner("a" * 32, "iris-model", "train", "s3__0123456789abcdef0123456789abcdef")
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_Tag.html
TAG_VALUE = re.compile(r"[\w .:/=+\-@]{0,256}")


@pytest.mark.parametrize(
    "run_id",
    [
        OWNER.run_id,
        "manual__2026-05-01T12:00:00.123456+00:00",
        "by~hand=100%",
        "für Ömer, zum Üben (?)",
        "x" * 250,
    ],
)
def test_an_owner_comes_back_from_tags_that_aws_allows(run_id):
    owner = JobOwner("a", "iris.model_1", "train", run_id)
    tags = owner.to_tags()
    assert JobOwner.from_tags({"slipway:digest": "d", **tags}) == owner
    assert all(TAG_VALUE.fullmatch(value) for value in tags.values())


def test_a_run_id_that_no_tag_holds_leaves_the_job_without_an_owner():
    assert JobOwner("a", "iris-model", "train", "~" * 250).to_tags() == {}


@pytest.mark.parametrize("missing", sorted(OWNER.to_tags()))
def test_a_job_that_lacks_a_tag_has_no_owner(missing):
    tags = OWNER.to_tags()
    del tags[missing]
    assert JobOwner.from_tags(tags) is None


@pytest.mark.parametrize("run_is_open", [True, False])
@pytest.mark.parametrize("state", [None, *TaskInstanceState])
def test_only_a_task_that_will_not_come_back_has_ended(state, run_is_open):
    final = {"success", "failed", "skipped", "upstream_failed", "removed"}
    # As text, which the API server sends.
    text = None if state is None else state.value
    assert has_ended(text, run_is_open=run_is_open) is (text in final or not run_is_open)


def test_a_state_that_is_unknown_does_not_stop_a_job():
    with pytest.raises(ValueError, match="dreaming"):
        has_ended("dreaming", run_is_open=True)


def test_an_airflow_is_named_once(monkeypatch):
    stored = {}

    class Variables:
        @staticmethod
        def get(key, default=None):
            return stored.get(key, default)

        @staticmethod
        def set(key, value, description):
            stored[key] = value

    monkeypatch.setattr("slipway.training.owner.Variable", Variables)
    assert airflow_id() is None
    first = ensure_airflow_id()
    assert first == ensure_airflow_id() == airflow_id()
    assert len(first) == 32
