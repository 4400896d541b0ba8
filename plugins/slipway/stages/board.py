"""Which release of a model is at which stage: the rules of the execution modes, without AWS or Airflow.

The terms are those of CodePipeline.
https://docs.aws.amazon.com/codepipeline/latest/userguide/concepts-how-it-works.html
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Self

from slipway.formats.stored import FORMAT_VERSION, an_object, known, versioned
from slipway.states import BoardStage, ExecutionMode

RunKey = tuple[str, str]  # DAG id, run id

# One release at a time in every execution mode: two that write one environment would undo each other.
EXCLUSIVE = frozenset({BoardStage.DEV, BoardStage.PRD})
# Stages without a limit. An approval under SUPERSEDED blocks no release: a newer one takes its place.
_UNLIMITED = {
    ExecutionMode.SUPERSEDED: frozenset({BoardStage.APPROVE}),
    ExecutionMode.QUEUED: frozenset[BoardStage](),
    ExecutionMode.PARALLEL: frozenset({BoardStage.TRAIN, BoardStage.APPROVE}),
}


@dataclass(frozen=True)
class Entry:
    """A release at a stage.

    :param sequence: its place in the order of the model's releases; ISO 8601. A document may have anything there:
        slipway/stages/sequences.py tells what is wrong with it
    :param since: when it came, or when it last entered; ISO 8601
    :param rolls_back: whether it puts an earlier release back into production
    :param more: members that a newer version of Slipway wrote; they are kept
    """

    dag_id: str
    run_id: str
    revision_id: str
    sequence: Any
    since: str
    rolls_back: bool = False
    more: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def run(self) -> RunKey:
        """The key of the run."""
        return (self.dag_id, self.run_id)

    @property
    def order(self) -> tuple[datetime, str]:
        """The sort key, oldest first; the revision decides between equal moments."""
        return (datetime.fromisoformat(self.sequence), self.revision_id)

    def is_newer_than(self, other: Entry) -> bool:
        """Check whether this release is newer than another one."""
        return self.order > other.order

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        return _with_more(asdict(self))

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read what ``to_json`` returned."""
        return known(cls, value)


@dataclass(frozen=True)
class BoardPlace:
    """One stage: the release that holds it, those that wait, and the newest that has ever entered.

    :param more: members that a newer version of Slipway wrote; they are kept
    """

    holder: Entry | None = None
    waiting: tuple[Entry, ...] = ()
    newest: Entry | None = None
    more: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)

    def entries(self) -> list[Entry]:
        """Return every release on it."""
        return [one for one in (self.holder, *self.waiting, self.newest) if one]

    def ignoring(self, entries: Collection[Entry]) -> BoardPlace:
        """Return a copy without any trace of these releases."""
        holder, newest = (None if one in entries else one for one in (self.holder, self.newest))
        waiting = tuple(one for one in self.waiting if one not in entries)
        return replace(self, holder=holder, waiting=waiting, newest=newest)

    def without(self, runs: Collection[RunKey]) -> BoardPlace:
        """Return a copy in which these runs have left; ``newest`` stays."""
        holder = None if self.holder and self.holder.run in runs else self.holder
        return replace(self, holder=holder, waiting=tuple(one for one in self.waiting if one.run not in runs))

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        plain = {name: one and one.to_json() for name, one in (("holder", self.holder), ("newest", self.newest))}
        return {**plain, "waiting": [one.to_json() for one in self.waiting], **self.more}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read what ``to_json`` returned."""
        return known(cls, value, required=("holder", "newest", "waiting"))


@dataclass(frozen=True)
class Board:
    """All stages of one model.

    :param more: members that a newer version of Slipway wrote; they are kept
    """

    places: Mapping[BoardStage, BoardPlace] = field(default_factory=dict)
    more: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)

    def __getitem__(self, stage: BoardStage) -> BoardPlace:
        return self.places.get(stage, BoardPlace())

    def set(self, stage: BoardStage, place: BoardPlace) -> Board:
        """Return a copy with another place for the stage."""
        return replace(self, places={**self.places, stage: place})

    def without(self, runs: Collection[RunKey], stages: Iterable[BoardStage] = tuple(BoardStage)) -> Board:
        """Return a copy in which these runs have left these stages."""
        gone = set(stages)
        places = {stage: place.without(runs) if stage in gone else place for stage, place in self.places.items()}
        return replace(self, places=places)

    def entries(self) -> list[Entry]:
        """Return every release on it."""
        return [one for place in self.places.values() for one in place.entries()]

    def ignoring(self, entries: Collection[Entry]) -> Board:
        """Return a copy without any trace of these releases."""
        return replace(self, places={stage: place.ignoring(entries) for stage, place in self.places.items()})

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON, with the stages in their order."""
        places = {stage.value: self.places[stage].to_json() for stage in BoardStage if stage in self.places}
        return versioned({**places, **self.more})

    @classmethod
    def from_json(cls, value: Mapping[str, Any] | None) -> Self:
        """Read what ``to_json`` returned; None stands for a model without releases."""
        stages, given = set(BoardStage), {} if value is None else an_object(value, cls.__name__)
        places = {BoardStage(name): BoardPlace.from_json(fields) for name, fields in given.items() if name in stages}
        return cls(places, {name: one for name, one in given.items() if name not in {*stages, FORMAT_VERSION}})


class Outcome(StrEnum):
    """The answer to a release that wants to enter a stage."""

    ENTERED = "entered"
    WAIT = "wait"
    OVERTAKEN = "overtaken"


@dataclass(frozen=True)
class StageVerdict:
    """Whether a release may enter.

    :param board: the board after this decision
    :param other: the release that it waits for, or that has overtaken it
    :param while_running: whether the verdict holds only until the other run ends
    """

    board: Board
    outcome: Outcome
    other: Entry | None = None
    while_running: bool = False


def enter(
    board: Board, stage: BoardStage, me: Entry, mode: ExecutionMode, ended: Collection[RunKey] = frozenset()
) -> StageVerdict:
    """Decide whether a release may enter a stage; it then leaves the stages before.

    Only the places of this release and of ended runs change. Another release stays in the waiting line until it asks
    itself, so that none is lost.

    :param board: the board as it is
    :param stage: where the release has come to
    :param me: the release
    :param mode: the model's execution mode
    :param ended: runs that are known to have ended; their places are free
    """
    ended = set(ended) - {me.run}
    board = board.without(ended).without({me.run}, list(BoardStage)[: list(BoardStage).index(stage)])
    place = board[stage]
    if place.holder and place.holder.run == me.run:
        # A retried or cleared task goes on with what it began.
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
    """Return the board after a release has left every stage."""
    return board.without({me.run})


def overtaken_by(board: Board, stage: BoardStage, me: Entry, mode: ExecutionMode) -> Entry | None:
    """Look for a newer release that has been at this stage or at a later one.

    An exclusive stage is checked in every mode, because an older release would overwrite the newer one. The other
    stages are checked under SUPERSEDED only.

    :returns: the newest such release; None while there is none
    """
    if stage not in EXCLUSIVE and mode is not ExecutionMode.SUPERSEDED:
        return None
    ahead = list(BoardStage)[list(BoardStage).index(stage) :]
    been = [one for one in (board[each].newest for each in ahead) if one and one.is_newer_than(me)]
    return max(been, key=lambda one: one.order, default=None)


def _let_in(board: Board, stage: BoardStage, me: Entry, mode: ExecutionMode) -> StageVerdict:
    place = board[stage].without({me.run})
    newest = me if place.newest is None or not place.newest.is_newer_than(me) else place.newest
    # Each entry writes a new ``since``: a decision that took this run for ended can then no longer be written.
    holder = place.holder if stage in _UNLIMITED[mode] else me
    return StageVerdict(board.set(stage, replace(place, holder=holder, newest=newest)), Outcome.ENTERED)


def _with_more(plain: Mapping[str, Any]) -> dict[str, Any]:
    return {**{name: item for name, item in plain.items() if name != "more"}, **plain["more"]}
