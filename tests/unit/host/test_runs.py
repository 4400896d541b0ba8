"""Runs and their tasks, as Airflow answers in the task's own channel."""

import pytest
from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.comms import ErrorResponse, OKResponse
from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

from slipway.host import runs


@pytest.fixture
def airflow(monkeypatch):
    """Runs by id with their state; answers as the API server counts."""
    known = {"waits": "queued", "works": "running", "done": "success", "red": "failed"}

    def count(*, dag_id, run_ids, states):
        assert dag_id == "iris-model"
        return sum(run in known and (states is None or known[run] in states) for run in run_ids)

    monkeypatch.setattr(RuntimeTaskInstance, "get_dr_count", staticmethod(count))


@pytest.mark.parametrize(
    ("run_id", "goes_on", "exists"),
    [
        ("waits", True, True),
        ("works", True, True),
        ("done", False, True),
        ("red", False, True),
        ("deleted", False, False),
    ],
)
def test_a_run_goes_on_until_it_has_ended(airflow, run_id, goes_on, exists):
    assert runs.goes_on("iris-model", run_id) is goes_on
    assert runs.exists("iris-model", run_id) is exists


def test_a_task_that_is_not_there_counts_as_removed(monkeypatch):
    def states(*, dag_id, map_index, task_ids, run_ids):
        return {"works": {"train": "deferred", "evaluate": None}}

    monkeypatch.setattr(RuntimeTaskInstance, "get_task_states", staticmethod(states))
    asked = [("works", "train"), ("works", "evaluate"), ("works", "gone"), ("deleted", "train")]
    found = [runs.task_state("iris-model", run_id, task_id) for run_id, task_id in asked]
    assert found == ["deferred", None, "removed", "removed"]


def refusal(status_code: int, reason: str) -> AirflowRuntimeError:
    detail = {"status_code": status_code, "message": "", "detail": {"detail": {"reason": reason}}}
    return AirflowRuntimeError(ErrorResponse(error=ErrorType.API_SERVER_ERROR, detail=detail))


class Channel:
    """The supervisor's channel: gives one answer, or raises it."""

    def __init__(self, answer) -> None:
        self.answer = answer

    def send(self, message):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def start(monkeypatch, answer) -> bool:
    # Only a process that Airflow supervises has the channel.
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", Channel(answer), raising=False)
    return runs.start("iris-model", "s3__1", {"key": "k"}, "3f2a")


@pytest.mark.parametrize("answer", [OKResponse(ok=True), ErrorResponse(error=ErrorType.DAGRUN_ALREADY_EXISTS)])
def test_a_run_is_started_once(monkeypatch, answer):
    assert start(monkeypatch, answer) is True


@pytest.mark.parametrize("error", [refusal(404, "not_found"), refusal(400, "import_errors")])
def test_a_dag_that_is_not_there_starts_no_run(monkeypatch, error):
    assert start(monkeypatch, error) is False


@pytest.mark.parametrize(
    "answer",
    [
        refusal(400, "value_error"),
        refusal(500, ""),
        AirflowRuntimeError(ErrorResponse(error=ErrorType.GENERIC_ERROR)),
        ErrorResponse(error=ErrorType.GENERIC_ERROR),
    ],
)
def test_other_refusals_fail_the_task(monkeypatch, answer):
    with pytest.raises(AirflowRuntimeError):
        start(monkeypatch, answer)
