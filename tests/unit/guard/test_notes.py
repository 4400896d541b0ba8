"""Decisions in the notes of runs and tasks; on Airflow's own server."""

import json

import pytest
from airflow.models.dagrun import DagRun, DagRunNote
from airflow.models.task_state_store import TaskStateStoreModel
from airflow.models.taskinstance import TaskInstanceNote
from airflow.utils.session import create_session
from sqlalchemy import delete, select

from slipway.approval.answers import DECIDED
from slipway.guard.notes import MAX_CHARS, decision_line
from tests.unit.guard.real_server import FOREIGN, IRIS, RUN

APPROVE = (IRIS, "approve")
ALICE = {
    "format_version": 1,
    "decision": "Approved",
    "decided_by": "alice",
    "decided_at": "2026-11-29T14:03:05+00:00",
    "how": "Airflow",
    "comment": "better on\nall classes",
}
LINE = "approved by alice, 2026-11-29 14:03 UTC: better on all classes"
NOTE = f"/api/v2/dags/{IRIS}/dagRuns/{RUN}"


@pytest.fixture
def server(real_server):
    yield real_server
    with create_session() as session:
        session.execute(delete(TaskStateStoreModel).where(TaskStateStoreModel.key == DECIDED))
        for note in (DagRunNote, TaskInstanceNote):
            session.execute(delete(note))


def decide(server, task=APPROVE, value=ALICE, key=DECIDED) -> None:
    target = f"/store/ti/{server.tasks[task]}/{key}"
    status, answer = server.works("PUT", target, {"value": value}, task=task)
    assert status == 204, answer


def notes(server, task=APPROVE) -> list[str | None]:
    """The notes of the run and of the task."""
    with create_session(scoped=False) as session:
        run = session.scalars(select(DagRun.id).where(DagRun.dag_id == task[0], DagRun.run_id == RUN)).one()
        of_run, of_task = session.get(DagRunNote, run), session.get(TaskInstanceNote, server.tasks[task])
        return [one.content if one else None for one in (of_run, of_task)]


def test_a_decision_is_in_both_notes_once(server):
    assert server.send("PATCH", NOTE, {"note": "3f2a · 2026-11-28 14:03"}, user="alice")[0] == 200
    # A task that is tried again stores it again.
    for _ in range(2):
        decide(server)
        assert notes(server) == [f"3f2a · 2026-11-28 14:03\n\n{LINE}", LINE]
    withdrawn = ALICE | {"decision": "Rejected", "decided_by": "carol", "comment": "", "how": "SageMaker"}
    decide(server, value=withdrawn)
    assert notes(server)[1] == f"{LINE}\n\nrejected by carol, 2026-11-29 14:03 UTC (SageMaker)"
    # What people read is what Airflow's own API shows.
    _, shown = server.send("GET", f"{NOTE}/taskInstances/approve", user="alice")
    assert shown["note"] == notes(server)[1]


def test_a_note_that_is_full_is_left_to_its_authors(server):
    full = "x" * (MAX_CHARS - len(LINE))
    assert server.send("PATCH", NOTE, {"note": full}, user="alice")[0] == 200
    decide(server)
    assert notes(server) == [full, LINE]


@pytest.mark.parametrize(
    ("key", "value"),
    [("asked", ALICE), (DECIDED, "text"), (DECIDED, 3), (DECIDED, {"decision": "Approved"})],
)
def test_what_is_no_decision_is_in_no_note(server, key, value):
    """The question of the release that waits is put back as it was."""
    with create_session(scoped=False) as session:
        stored = session.execute(select(TaskStateStoreModel.__table__)).mappings().all()
    decide(server, value=value, key=key)
    assert notes(server) == [None, None]
    for row in stored:
        decide(server, value=json.loads(row["value"]), key=row["key"])


def test_a_dag_of_somebody_else_gets_no_notes(server):
    decide(server, task=(FOREIGN, "first"))
    assert notes(server, (FOREIGN, "first")) == [None, None]


AT = "2026-11-29 14:03 UTC"
RULE = {"decision": "keep", "decided_by": "the rule", "how": "the rule", "comment": ""}
MARKED = {"how": "marked success in Airflow", "comment": ""}


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({}, LINE),
        (MARKED, f"approved by alice, {AT} (marked success in Airflow)"),
        ({"decision": "promote", "comment": "faster"}, f"trial: promote, decided by alice, {AT}: faster"),
        (RULE, f"trial: keep, decided by the rule, {AT}"),
        ({"decided_at": "unknown", "comment": ""}, "approved by alice, at an unknown time"),
        ({"decided_at": "2026-11-29T15:03:05+01:00", "comment": ""}, f"approved by alice, {AT}"),
        # Nothing that a database refuses, and no second line.
        ({"comment": "a\x00b\ud800\nrejected by bob"}, f"approved by alice, {AT}: a b rejected by bob"),
    ],
)
def test_a_decision_is_one_line(changed, line):
    assert decision_line(json.dumps(ALICE | changed)) == line


def test_a_long_comment_is_cut():
    line = decision_line(json.dumps(ALICE | {"comment": "x" * 1024}))
    assert (len(line), line[-1]) == (400, "…")
