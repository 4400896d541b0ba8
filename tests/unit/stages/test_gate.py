"""The gate: verdicts on a document that others change, and the runs they depend on."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from slipway.errors import PermanentError, SlipwayError
from slipway.stages import gate as module
from slipway.stages.board import Board, BoardPlace, Outcome
from slipway.stages.gate import StageGate, Ticket, decide_async
from slipway.states import BoardStage, ExecutionMode
from tests.unit.releases import release_plan
from tests.unit.stage_runs import MemoryDocuments
from tests.unit.stages.test_board import entry

SUPERSEDED = ExecutionMode.SUPERSEDED
KEY = "releases/iris-model/stages.json"


def ticket(number: int, stage: BoardStage = BoardStage.DEV, mode: ExecutionMode = SUPERSEDED) -> Ticket:
    return Ticket("bucket", KEY, stage, mode, entry(number))


def board(documents: MemoryDocuments) -> Board:
    return Board.from_json(documents.read("bucket", KEY).content)


class Airflow:
    """Runs by number, all of them going on until they end."""

    def __init__(self) -> None:
        self.ended, self.asked = set(), []

    def goes_on(self, dag_id, run_id):
        self.asked.append(run_id)
        return run_id not in self.ended


def test_a_ticket_names_the_running_release_and_survives_being_json():
    plan, run = release_plan(), SimpleNamespace(dag_id="iris-model", run_id="manual__1")
    made = Ticket.of(plan, run, BoardStage.TRAIN, ExecutionMode.QUEUED)
    assert (made.bucket, made.key) == (plan.revision.bucket, KEY)
    assert (made.entry.run, made.entry.sequence) == (("iris-model", "manual__1"), plan.sequence)
    assert Ticket.from_json(made.to_json()) == made


def test_the_verdict_is_on_the_board_before_it_is_told():
    documents, airflow = MemoryDocuments(), Airflow()
    gate = StageGate(documents, airflow.goes_on)
    assert gate.enter(ticket(1)).outcome is Outcome.ENTERED
    assert gate.enter(ticket(2)).outcome is Outcome.WAIT
    assert board(documents)[BoardStage.DEV].holder.run_id == "run1"
    assert [one.run_id for one in board(documents)[BoardStage.DEV].waiting] == ["run2"]
    assert airflow.asked == ["run1"]
    writes = documents.writes
    assert gate.enter(ticket(2)).outcome is Outcome.WAIT
    assert documents.writes == writes


def test_a_lease_of_a_run_that_has_ended_is_recovered():
    documents, airflow = MemoryDocuments(), Airflow()
    gate = StageGate(documents, airflow.goes_on)
    gate.enter(ticket(1))
    airflow.ended.add("run1")
    assert gate.enter(ticket(2)).outcome is Outcome.ENTERED
    assert board(documents)[BoardStage.DEV].holder.run_id == "run2"


def test_what_was_left_is_free_without_asking_for_anybody():
    documents, airflow = MemoryDocuments(), Airflow()
    gate = StageGate(documents, airflow.goes_on)
    gate.enter(ticket(1))
    gate.leave(ticket(1))
    assert gate.enter(ticket(2)).outcome is Outcome.ENTERED
    assert airflow.asked == []


def test_a_release_looks_for_newer_ones_without_changing_the_board():
    documents = MemoryDocuments()
    gate = StageGate(documents, Airflow().goes_on)
    gate.enter(ticket(1, BoardStage.APPROVE))
    gate.enter(ticket(2, BoardStage.APPROVE))
    writes = documents.writes
    assert gate.overtaken(ticket(1, BoardStage.APPROVE)).run_id == "run2"
    assert gate.overtaken(ticket(2, BoardStage.APPROVE)) is None
    assert documents.writes == writes


def test_the_holder_of_a_stage_is_seen_as_long_as_its_run_goes_on():
    documents, airflow = MemoryDocuments(), Airflow()
    gate = StageGate(documents, airflow.goes_on)
    assert gate.holder("bucket", KEY, BoardStage.DEV) is None
    gate.enter(ticket(1))
    writes = documents.writes
    assert gate.holder("bucket", KEY, BoardStage.DEV).run_id == "run1"
    assert gate.holder("bucket", KEY, BoardStage.PRD) is None
    airflow.ended.add("run1")
    assert gate.holder("bucket", KEY, BoardStage.DEV) is None
    assert documents.writes == writes


class Contended(MemoryDocuments):
    """Another writer is faster, a few times."""

    def __init__(self, losses: int) -> None:
        super().__init__()
        self.losses = losses

    def write(self, bucket, key, content, *, etag):
        if self.losses:
            self.losses -= 1
            return False
        return super().write(bucket, key, content, etag=etag)


def test_who_loses_a_write_reads_and_decides_again():
    documents = Contended(3)
    assert StageGate(documents, Airflow().goes_on).enter(ticket(1)).outcome is Outcome.ENTERED
    assert documents.reads == 4


def test_a_board_that_nobody_can_write_is_an_error(monkeypatch):
    monkeypatch.setattr(module, "_PAUSE_LIMIT_SECONDS", 0)
    with pytest.raises(SlipwayError, match=f"s3://bucket/{KEY}.*changed at each of 100 attempts"):
        StageGate(Contended(1000), Airflow().goes_on).enter(ticket(1))


@pytest.mark.parametrize(("ended", "outcome"), [(set(), Outcome.WAIT), ({"run1"}, Outcome.ENTERED)])
def test_a_trigger_comes_to_the_same_verdict(ended, outcome):
    documents, airflow = MemoryDocuments(), Airflow()
    StageGate(documents, airflow.goes_on).enter(ticket(1))
    airflow.ended |= ended

    async def goes_on(dag_id, run_id):
        return airflow.goes_on(dag_id, run_id)

    assert asyncio.run(decide_async(ticket(2), board(documents), goes_on)).outcome is outcome


@pytest.mark.parametrize("sequence", ["9999-12-31T23:59:59+00:00", "soon", "2026-05-01T12:00:00", "", None, []])
def test_a_release_of_the_future_on_the_board_stands_in_nobodys_way(sequence, caplog):
    documents = MemoryDocuments()
    forged = replace(entry(9), sequence=sequence)
    forged_board = Board(
        {BoardStage.DEV: BoardPlace(forged, (forged,), forged), BoardStage.PRD: BoardPlace(newest=forged)}
    )
    documents.write("bucket", KEY, forged_board.to_json(), etag=None)
    gate = StageGate(documents, Airflow().goes_on)
    assert gate.overtaken(ticket(1)) is None
    assert gate.holder("bucket", KEY, BoardStage.DEV) is None
    assert gate.enter(ticket(1)).outcome is Outcome.ENTERED
    assert "s3://bucket/releases/iris-model/stages.json names releases" in caplog.text
    assert "run9" in caplog.text
    # Written anew without it.
    assert {one.run_id for one in board(documents).entries()} == {"run1"}


def test_a_release_of_the_future_gets_no_ticket():
    run = SimpleNamespace(dag_id="iris-model", run_id="manual__1")
    for sequence in ("9999-12-31T23:59:59+00:00", "soon", "2026-05-01T12:00:00"):
        with pytest.raises(PermanentError, match="no place in the order of releases"):
            Ticket.of(replace(release_plan(), sequence=sequence), run, BoardStage.TRAIN, SUPERSEDED)
    now = datetime.now(UTC).isoformat()
    assert Ticket.of(replace(release_plan(), sequence=now), run, BoardStage.TRAIN, SUPERSEDED).entry.sequence == now
