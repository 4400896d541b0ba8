"""What Airflow's own ApprovalOperator lets happen, on the instance where Slipway's approval is tried.

The counterparts are in test_who_approves.py. If one of these fails, Airflow has become better and ours may go.
"""

from __future__ import annotations

import pytest

from tools.airflow_api import ApiError

pytestmark = pytest.mark.e2e

DAG = "stock_approval"


def asked(slipway, **conf: bool) -> str:
    """Starts a run. Returns its id once alice is asked."""
    run_id = slipway.wait("the DAG to be there", lambda: slipway.api().trigger(DAG, conf))
    slipway.wait_approval(DAG, run_id)
    return run_id


def asks_again(slipway, run_id: str) -> bool:
    task = slipway.api().tasks(DAG, run_id)["approve"]
    # The third attempt where the answer came within a second of the question: docs/decisions.md, 11.
    return task["state"] == "awaiting_input" and task["try_number"] > 1


def test_anybody_who_may_edit_the_run_approves_by_marking_the_task_success(slipway):
    run_id = asked(slipway)
    with pytest.raises(ApiError) as refusal:
        slipway.api("bob").answer(DAG, run_id, "approve", "Approve")
    assert refusal.value.status == 403
    path = f"/dags/{DAG}/dagRuns/{run_id}/taskInstances/approve"
    slipway.api("bob").call("PATCH", path, {"new_state": "success"})
    assert slipway.wait_end(DAG, run_id) == "success"
    assert slipway.api().tasks(DAG, run_id)["deploy_prd"]["state"] == "success"
    assert not slipway.api().approval(DAG, run_id, "approve")["response_received"]


def test_an_answer_is_forgotten_when_the_task_is_killed_as_it_resumes(slipway):
    run_id = asked(slipway, kill_resumed=True)
    slipway.api("alice").answer(DAG, run_id, "approve", "Approve")
    assert slipway.api().approval(DAG, run_id, "approve")["response_received"]
    slipway.wait("another attempt to ask again", lambda: asks_again(slipway, run_id))
    screen = slipway.api().approval(DAG, run_id, "approve")
    assert not screen["response_received"]
    assert screen["responded_by_user"] is None
