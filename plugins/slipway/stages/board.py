"""Which release of a model is at which stage: the arithmetic of execution modes and leases, without AWS or Airflow.

The words are CodePipeline's.
https://docs.aws.amazon.com/codepipeline/latest/userguide/concepts-how-it-works.html
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Self

from slipway.states import BoardStage, ExecutionMode

RunKey = tuple[str, str]  # DAG id, run id

# Two releases that write one environment would undo each other, whatever the execution mode.
EXCLUSIVE = frozenset({BoardStage.DEV, BoardStage.PRD})
# Stages that let any number in. An approval under SUPERSEDED holds nobody up: a newer release takes its place.
_UNLIMITED = {
    ExecutionMode.SUPERSEDED: frozenset({BoardStage.APPROVE}),
    ExecutionMode.QUEUED: frozenset[BoardStage](),
    ExecutionMode.PARALLEL: frozenset({BoardStage.TRAIN, BoardStage.APPROVE}),
}


@dataclass(frozen=True)
class Entry:
    """A release at a stage.

    :param sequence: orders the releases of a model; ISO 8601
    :param since: when it came, or was last let in; ISO 8601
    :param rolls_back: whether it puts an earlier release back into production
    """

    dag_id: str
    run_id: str
    revision_id: str
    sequence: str
    since: str
    rolls_back: bool = False

    @property
    def run(self) -> RunKey:
        """What tells the run from every other."""
        return (self.dag_id, self.run_id)

    @property
    def order(self) -> tuple[datetime, str]:
        """Sorts releases from the oldest to the newest; the revision breaks a tie in the same way for everybody."""
        return (datetime.fromisoformat(self.sequence), self.revision_id)

    def is_newer_than(self, other: Entry) -> bool:
        """:returns: whether this release is the newer of the two"""
        return self.order > other.order


@dataclass(frozen=True)
class BoardPlace:
    """One stage: who has it, who waits for it, and the newest release that was ever let in."""

    holder: Entry | None = None
    waiting: tuple[Entry, ...] = ()
    newest: Entry | None = None

    def entries(self) -> list[Entry]:
        """:returns: every release that it names"""
        return [one for one in (self.holder, *self.waiting, self.newest) if one]

    def ignoring(self, entries: Collection[Entry]) -> BoardPlace:
        """:returns: the same as if these had never been here"""
        holder, newest = (None if one in entries else one for one in (self.holder, self.newest))
        return BoardPlace(holder, tuple(one for one in self.waiting if one not in entries), newest)

    def without(self, runs: Collection[RunKey]) -> BoardPlace:
        """:returns: the same as if these runs had left; that they have been here stays"""
        holder = None if self.holder and self.holder.run in runs else self.holder
        return replace(self, holder=holder, waiting=tuple(one for one in self.waiting if one.run not in runs))


@dataclass(frozen=True)
class Board:
    """All stages of one model."""

    places: Mapping[BoardStage, BoardPlace] = field(default_factory=dict)

    def __getitem__(self, stage: BoardStage) -> BoardPlace:
        return self.places.get(stage, BoardPlace())

    def set(self, stage: BoardStage, place: BoardPlace) -> Board:
        """:returns: the same with another place"""
        return Board({**self.places, stage: place})

    def without(self, runs: Collection[RunKey], stages: Iterable[BoardStage] = tuple(BoardStage)) -> Board:
        """:returns: the same as if these runs had left these stages"""
        gone = set(stages)
        return Board({stage: place.without(runs) if stage in gone else place for stage, place in self.places.items()})

    def entries(self) -> list[Entry]:
        """:returns: every release that it names"""
        return [one for place in self.places.values() for one in place.entries()]

    def ignoring(self, entries: Collection[Entry]) -> Board:
        """:returns: the same as if these had never been anywhere"""
        return Board({stage: place.ignoring(entries) for stage, place in self.places.items()})

    def to_json(self) -> dict[str, Any]:
        """:returns: plain JSON, stages in their order"""
        return {stage.value: asdict(self.places[stage]) for stage in BoardStage if stage in self.places}

    @classmethod
    def from_json(cls, value: Mapping[str, Any] | None) -> Self:
        """:param value: what ``to_json`` returned; None for a model without releases"""
        return cls({BoardStage(name): _place(fields) for name, fields in (value or {}).items()})


class Outcome(StrEnum):
    """What becomes of a release that wants to enter a stage."""

    ENTERED = "entered"
    WAIT = "wait"
    OVERTAKEN = "overtaken"


@dataclass(frozen=True)
class StageVerdict:
    """Whether a release may enter.

    :param board: the board with this decided
    :param other: whom it waits for, or who has overtaken it
    :param while_running: whether this is so only while the other run goes on
    """

    board: Board
    outcome: Outcome
    other: Entry | None = None
    while_running: bool = False


def enter(
    board: Board, stage: BoardStage, me: Entry, mode: ExecutionMode, ended: Collection[RunKey] = frozenset()
) -> StageVerdict:
    """Decide whether a release may enter a stage; coming to a stage means having left those before it.

    Nobody's place but the caller's is changed, those of ended runs excepted: a release leaves the waiting line by its
    own look at the board, so none is lost between two looks.

    :param board: the board as it is
    :param stage: where the release has come to
    :param me: the release
    :param mode: the model's execution mode
    :param ended: runs that are known to have ended, whose places are free
    """
    ended = set(ended) - {me.run}
    board = board.without(ended).without({me.run}, list(BoardStage)[: list(BoardStage).index(stage)])
    place = board[stage]
    if place.holder and place.holder.run == me.run:
        # A retried or cleared task; what it began goes on.
        return _let_in(board, stage, me, mode)
    if newer := overtaken_by(board, stage, me, mode):
        return StageVerdict(board.without({me.run}), Outcome.OVERTAKEN, newer)
    if stage in _UNLIMITED[mode]:
        return _let_in(board, stage, me, mode)
    rivals = [one for one in place.waiting if one.run != me.run]
    newest = max(rivals, key=lambda one: one.order, default=None)
    if mode is ExecutionMode.SUPERSEDED and newest and newest.is_newer_than(me):
        return StageVerdict(board.without({me.run}), Outcome.OVERTAKEN, newest, while_running=True)
    oldest = min(rivals, key=lambda one: one.order, default=None)
    ahead = place.holder
    if ahead is None and mode is not ExecutionMode.SUPERSEDED and oldest and me.is_newer_than(oldest):
        ahead = oldest
    if ahead is None:
        return _let_in(board, stage, me, mode)
    if len(rivals) == len(place.waiting):
        board = board.set(stage, replace(place, waiting=(*rivals, me)))
    return StageVerdict(board, Outcome.WAIT, ahead, while_running=True)


def leave(board: Board, me: Entry) -> Board:
    """:returns: the board after a release has left every stage it was at"""
    return board.without({me.run})


def overtaken_by(board: Board, stage: BoardStage, me: Entry, mode: ExecutionMode) -> Entry | None:
    """Look for a newer release that has been at this stage or at a later one.

    Leases ask in every mode, because an older release would overwrite the newer one; the other stages ask under
    SUPERSEDED.

    :returns: the newest of them
    """
    if stage not in EXCLUSIVE and mode is not ExecutionMode.SUPERSEDED:
        return None
    ahead = list(BoardStage)[list(BoardStage).index(stage) :]
    been = [one for one in (board[each].newest for each in ahead) if one and one.is_newer_than(me)]
    return max(been, key=lambda one: one.order, default=None)


def _let_in(board: Board, stage: BoardStage, me: Entry, mode: ExecutionMode) -> StageVerdict:
    place = board[stage].without({me.run})
    newest = me if place.newest is None or not place.newest.is_newer_than(me) else place.newest
    # Written anew at every entry: it makes a write fail that was decided while this run was thought to have ended.
    holder = place.holder if stage in _UNLIMITED[mode] else me
    return StageVerdict(board.set(stage, replace(place, holder=holder, newest=newest)), Outcome.ENTERED)


def _place(fields: Mapping[str, Any]) -> BoardPlace:
    entry = Entry(**fields["holder"]) if fields["holder"] else None
    newest = Entry(**fields["newest"]) if fields["newest"] else None
    return BoardPlace(entry, tuple(Entry(**each) for each in fields["waiting"]), newest)
