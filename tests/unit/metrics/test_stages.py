"""One attempt of a task is one value, however many blocks are inside of each other and however it ends."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from airflow.sdk.exceptions import AirflowSkipException, DownstreamTasksSkipped, TaskDeferred

from slipway.metrics import stages
from slipway.metrics.catalogue import STAGE_DURATION, STAGE_RETRIES
from slipway.metrics.stages import measured


@pytest.fixture
def recorded(monkeypatch):
    """What is recorded, and how often it is sent."""
    found = SimpleNamespace(values=[], flushes=0)
    monkeypatch.setattr(stages, "enabled", lambda: True)
    monkeypatch.setattr(stages, "record", lambda metric, value, **labels: found.values.append((metric, value, labels)))
    monkeypatch.setattr(stages, "flush", lambda: setattr(found, "flushes", found.flushes + 1))
    return found


@pytest.fixture
def in_task(monkeypatch):
    """Pretends to be in a task that has started an hour ago."""

    def pretend(*, try_number=1, tags=("slipway", "release")):
        ti = SimpleNamespace(
            dag_id="iris-model",
            task_id="train",
            try_number=try_number,
            start_date=datetime.now(UTC) - timedelta(hours=1),
            task=SimpleNamespace(dag=SimpleNamespace(tags=set(tags))),
        )
        monkeypatch.setattr(stages, "get_current_context", lambda: {"ti": ti})

    pretend()
    return pretend


def run(error: BaseException | None = None) -> None:
    with measured(), measured():
        if error:
            raise error


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (None, "success"),
        (AirflowSkipException("skipped"), "skipped"),
        (DownstreamTasksSkipped(tasks=["settle_trial"]), "success"),
        (ValueError("broken"), "failed"),
    ],
)
def test_an_attempt_is_measured_once_with_its_waits(recorded, in_task, error, outcome):
    try:
        run(error)
    except Exception as raised:
        assert raised is error
    ((metric, seconds, labels),) = recorded.values
    assert (metric, recorded.flushes) == (STAGE_DURATION, 1)
    assert seconds >= 3600
    assert labels == {"model": "iris-model", "stage": "train", "outcome": outcome}


def test_a_task_that_defers_has_not_ended_but_sends_what_it_has(recorded, in_task):
    with pytest.raises(TaskDeferred):
        run(TaskDeferred(trigger=None, method_name="resume"))
    assert (recorded.values, recorded.flushes) == ([], 1)


def test_a_further_attempt_is_a_retry(recorded, in_task):
    in_task(try_number=2)
    run()
    assert [metric for metric, _, _ in recorded.values] == [STAGE_DURATION, STAGE_RETRIES]


def test_tasks_of_other_dags_only_send(recorded, in_task):
    in_task(tags=("slipway",))
    run()
    assert (recorded.values, recorded.flushes) == ([], 1)
