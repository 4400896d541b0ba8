"""The board of a model's stages: who is let in, who waits behind whom, who is overtaken."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.stages.board import EXCLUSIVE, Board, BoardPlace, Entry, Outcome, enter, leave, overtaken_by
from slipway.states import BoardStage, ExecutionMode

BEGIN = datetime(2025, 5, 1, 12, 0, tzinfo=UTC)
SUPERSEDED, QUEUED, PARALLEL = ExecutionMode
TRAIN, DEV, APPROVE, PRD = BoardStage
# Stages that at most one release has.
HELD = {SUPERSEDED: {TRAIN, DEV, PRD}, QUEUED: set(BoardStage), PARALLEL: {DEV, PRD}}


def entry(number: int) -> Entry:
    moment = (BEGIN + timedelta(seconds=number)).isoformat()
    return Entry("iris-model", f"run{number}", f"{number:032x}", moment, moment)


def entered(board: Board, stage: BoardStage, *numbers: int, mode=SUPERSEDED) -> Board:
    """The board after these have been let in, one after the other, and have left."""
    for number in numbers:
        verdict = enter(board, stage, entry(number), mode)
        assert verdict.outcome is Outcome.ENTERED
        board = leave(verdict.board, entry(number))
    return board


def ask(board: Board, stage: BoardStage, number: int, mode=SUPERSEDED, ended=()):
    verdict = enter(board, stage, entry(number), mode, {entry(each).run for each in ended})
    return verdict.board, verdict.outcome, verdict.other and verdict.other.run_id


@pytest.mark.parametrize("mode", ExecutionMode)
@pytest.mark.parametrize("stage", BoardStage)
def test_an_empty_stage_lets_in_and_lets_in_again(mode, stage):
    board, outcome, _ = ask(Board(), stage, 1, mode)
    assert outcome is Outcome.ENTERED
    assert ask(board, stage, 1, mode)[1] is Outcome.ENTERED


def test_entering_again_writes_anew_so_that_who_thought_it_ended_fails_to_write():
    board = enter(Board(), DEV, entry(1), SUPERSEDED).board
    again = replace(entry(1), since="2026-05-02T00:00:00+00:00")
    assert enter(board, DEV, again, SUPERSEDED).board != board


def test_of_those_that_wait_the_newest_alone_stays():
    board, _, _ = ask(Board(), TRAIN, 1)
    board, outcome, behind = ask(board, TRAIN, 2)
    assert (outcome, behind) == (Outcome.WAIT, "run1")
    board, outcome, behind = ask(board, TRAIN, 3)
    assert (outcome, behind) == (Outcome.WAIT, "run1")
    board, outcome, by = ask(board, TRAIN, 2)
    assert (outcome, by) == (Outcome.OVERTAKEN, "run3")
    # What is being trained goes on, and a retried task of it too.
    assert ask(board, TRAIN, 1)[1] is Outcome.ENTERED


def test_an_older_release_that_waits_is_not_overtaken_by_one_that_has_ended():
    board = Board({TRAIN: BoardPlace(entry(1), (entry(2), entry(3)))})
    _, outcome, behind = ask(board, TRAIN, 2, ended=[3])
    assert (outcome, behind) == (Outcome.WAIT, "run1")
    assert ask(board, TRAIN, 2, ended=[1, 3])[1] is Outcome.ENTERED


def test_the_pending_approval_is_overtaken_when_a_newer_release_arrives():
    board, outcome, _ = ask(Board(), APPROVE, 1)
    assert outcome is Outcome.ENTERED
    assert overtaken_by(board, APPROVE, entry(1), SUPERSEDED) is None
    board, outcome, _ = ask(board, APPROVE, 2)
    assert outcome is Outcome.ENTERED
    assert overtaken_by(board, APPROVE, entry(1), SUPERSEDED).run_id == "run2"
    assert overtaken_by(board, APPROVE, entry(2), SUPERSEDED) is None


@pytest.mark.parametrize("been", [DEV, APPROVE, PRD])
def test_where_a_newer_release_has_been_an_older_one_is_too_late(been):
    board = entered(Board(), been, 5)
    assert ask(board, DEV, 3)[1:] == (Outcome.OVERTAKEN, "run5")
    assert ask(board, DEV, 7)[1] is Outcome.ENTERED


@pytest.mark.parametrize("mode", ExecutionMode)
@pytest.mark.parametrize("stage", sorted(EXCLUSIVE))
def test_in_no_mode_does_an_older_release_write_over_a_newer_one(mode, stage):
    board = entered(Board(), stage, 5, mode=mode)
    assert ask(board, stage, 3, mode)[1:] == (Outcome.OVERTAKEN, "run5")


def test_queued_releases_come_in_the_order_of_their_uploads():
    board, _, _ = ask(Board(), APPROVE, 1, QUEUED)
    for late in (4, 2, 3):
        board, outcome, _ = ask(board, APPROVE, late, QUEUED)
        assert outcome is Outcome.WAIT
    board = leave(board, entry(1))
    assert ask(board, APPROVE, 4, QUEUED)[1:] == (Outcome.WAIT, "run2")
    # The one that comes first has been deleted while it waited.
    assert ask(board, APPROVE, 3, QUEUED, ended=[2])[1] is Outcome.ENTERED
    board, outcome, _ = ask(board, APPROVE, 2, QUEUED)
    assert outcome is Outcome.ENTERED
    assert ask(board, APPROVE, 3, QUEUED)[1:] == (Outcome.WAIT, "run2")


def test_parallel_releases_train_at_once_and_deploy_one_after_the_other():
    board = Board()
    for number in (1, 2, 3):
        board, outcome, _ = ask(board, TRAIN, number, PARALLEL)
        assert outcome is Outcome.ENTERED
    board, _, _ = ask(board, DEV, 1, PARALLEL)
    assert ask(board, DEV, 2, PARALLEL)[1:] == (Outcome.WAIT, "run1")


def test_coming_to_a_stage_leaves_those_before_it_and_none_behind_it():
    board, _, _ = ask(Board(), TRAIN, 1)
    board, _, _ = ask(board, DEV, 1)
    assert board[TRAIN].holder is None
    assert board[TRAIN].newest == entry(1)
    board, _, _ = ask(board, PRD, 1)
    # A person clears deploy_dev and what follows: production is not given away in the meantime.
    board, outcome, _ = ask(board, DEV, 1)
    assert (outcome, board[PRD].holder) == (Outcome.ENTERED, entry(1))


def test_a_tie_of_two_uploads_is_broken_the_same_way_for_both():
    one, other = entry(1), replace(entry(2), sequence=entry(1).sequence)
    assert one.is_newer_than(other) != other.is_newer_than(one)


moves = st.lists(
    st.tuples(st.integers(0, 5), st.sampled_from(["ask", "ask", "ask", "advance", "end"])), min_size=1, max_size=60
)


class Releases:
    """Releases that walk through the stages as the operators make them, and what must be so at every step."""

    def __init__(self, mode: ExecutionMode) -> None:
        self.mode, self.board = mode, Board()
        self.at = dict.fromkeys(range(6), 0)
        self.let_in: dict[int, BoardStage] = {}
        self.done: set[int] = set()
        self.writers: dict[BoardStage, list[int]] = {stage: [] for stage in EXCLUSIVE}

    def move(self, number: int, action: str) -> None:
        if number in self.done:
            return
        if action == "end":
            self.let_in.pop(number, None)
            self.done.add(number)
        elif action == "advance" and number in self.let_in:
            del self.let_in[number]
            self.at[number] += 1
            if self.at[number] == len(BoardStage):
                self.board = leave(self.board, entry(number))
                self.done.add(number)
        else:
            self.ask(number)
        self.check()

    def ask(self, number: int) -> None:
        stage = list(BoardStage)[self.at[number]]
        ended = {entry(each).run for each in self.done}
        verdict = enter(self.board, stage, entry(number), self.mode, ended)
        self.board = Board.from_json(verdict.board.to_json())
        if verdict.outcome is Outcome.ENTERED:
            if stage in EXCLUSIVE and number not in self.let_in:
                self.writers[stage].append(number)
            self.let_in[number] = stage
        elif verdict.outcome is Outcome.WAIT:
            assert number not in self.let_in
            assert entry(number).run in {one.run for one in self.board[stage].waiting}
            assert verdict.other.run != entry(number).run
        else:
            # Only by a newer one, and never what is at work.
            assert verdict.other.is_newer_than(entry(number))
            assert number not in self.let_in
            self.done.add(number)

    def check(self) -> None:
        for stage in HELD[self.mode]:
            assert len([number for number, at in self.let_in.items() if at is stage]) <= 1
        for numbers in self.writers.values():
            assert numbers == sorted(numbers)
        lines = [one.run for place in self.board.places.values() for one in place.waiting]
        assert len(lines) == len(set(lines))


@given(mode=st.sampled_from(ExecutionMode), moves=moves)
def test_nobody_is_lost_and_no_two_have_what_is_for_one(mode, moves):
    releases = Releases(mode)
    for number, action in moves:
        releases.move(number, action)
    # Whatever happened, those left come through: nobody waits for somebody who has gone.
    for _ in range(100):
        for number in range(6):
            releases.move(number, "ask")
            releases.move(number, "advance")
        if releases.done == set(range(6)):
            break
    assert releases.done == set(range(6))


@given(moves=moves)
def test_the_newest_release_is_never_overtaken(moves):
    releases = Releases(SUPERSEDED)
    for number, action in moves:
        if not (number == 5 and action == "end"):
            releases.move(number, action)
    for _ in range(20):
        for number in range(6):
            releases.move(number, "ask")
            releases.move(number, "advance")
    assert releases.writers[PRD][-1] == 5
