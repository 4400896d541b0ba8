"""A stage is a group of tasks, and marking the group decides nothing: in Airflow's own server."""

from tests.unit.guard.real_server import IRIS, RUN

GROUPS = f"/api/v2/dags/{IRIS}/dagRuns/{RUN}/taskGroupInstances"


def test_an_approver_who_marks_the_stage_is_sent_to_the_question(real_server):
    before = real_server.watched()
    status, answer = real_server.send("PATCH", f"{GROUPS}/3_approval", {"new_state": "success"}, user="alice")
    assert (status, answer["detail"]) == (
        409,
        "approve waits for a decision. Mark only this task, or answer its question.",
    )
    assert real_server.watched() == before


def test_nobody_else_marks_the_stage(real_server):
    before = real_server.watched()
    for state in ("success", "failed", "skipped"):
        status, answer = real_server.send("PATCH", f"{GROUPS}/3_approval", {"new_state": state}, user="bob")
        assert (status, "bob may not change approve" in answer["detail"]) == (403, True)
    assert real_server.watched() == before
