"""Whether a run goes on, as Airflow's own channel tells."""

import pytest
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
