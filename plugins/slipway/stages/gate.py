"""The gate of a stage: it decides on the model's board, one document in S3 that only changes by compare-and-set."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Self

from slipway import names
from slipway.aws.documents import Document, Documents, read_document_async, reading
from slipway.aws.s3 import uri
from slipway.errors import SlipwayError
from slipway.formats import stored
from slipway.plan import ReleasePlan
from slipway.stages import sequences
from slipway.stages.board import Board, Entry, Outcome, RunKey, StageVerdict, enter, leave, overtaken_by
from slipway.states import BoardStage, ExecutionMode

log = logging.getLogger(__name__)

# When one write fails, another release has written. So many failures in a row have another cause.
_MAX_WRITES = 100
_PAUSE_LIMIT_SECONDS = 0.5


@dataclass(frozen=True)
class Ticket:
    """A release that wants to enter a stage, in a form that a trigger can take.

    :param bucket: the bucket of the model's board
    :param key: the board's key
    """

    bucket: str
    key: str
    stage: BoardStage
    mode: ExecutionMode
    entry: Entry

    @classmethod
    def of(cls, plan: ReleasePlan, dag_run: Any, stage: BoardStage, mode: ExecutionMode) -> Self:
        """Make the ticket of a running release.

        :param plan: the release
        :param dag_run: the run, with dag_id and run_id
        :param stage: the stage it wants to enter
        :param mode: the model's execution mode
        :raises PermanentError: when the release's sequence is invalid
        """
        sequence = sequences.check(plan.sequence, f"{dag_run.dag_id} {dag_run.run_id}")
        entry = Entry(dag_run.dag_id, dag_run.run_id, plan.revision_id, sequence, _now(), plan.rolls_back)
        # A roll-back waits only for the release that writes production now.
        mode = ExecutionMode.SUPERSEDED if plan.rolls_back else mode
        return cls(plan.home_bucket, names.board_key(plan.prefix), stage, mode, entry)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {
            "bucket": self.bucket,
            "key": self.key,
            "stage": self.stage.value,
            "mode": self.mode.value,
            "entry": self.entry.to_json(),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read what ``to_json`` returned."""
        ticket = stored.known(cls, value)
        if why := sequences.fault(ticket.entry.sequence):
            raise stored.unreadable("Ticket.entry.sequence", why)
        return ticket

    def overtaken_by(self, document: Document) -> Entry | None:
        """Return the newer release that the board shows at this stage or a later one; None while there is none."""
        return overtaken_by(self.board(document), self.stage, self.entry, self.mode)

    def board(self, document: Document) -> Board:
        """Read the model's board.

        :raises PermanentError: when the document is not a board
        """
        return _board(document, self.bucket, self.key)


class StageGate:
    """The gate that releases enter stages by.

    :param documents: S3
    :param goes_on: checks whether the run with a DAG id and a run id has not ended
    """

    def __init__(self, documents: Documents, goes_on: Callable[[str, str], bool]) -> None:
        self._documents = documents
        self._goes_on = goes_on

    def enter(self, ticket: Ticket) -> StageVerdict:
        """Ask to enter a stage; a release that is there already enters again.

        :param ticket: the release and the stage
        :returns: the verdict, which is on the board
        :raises slipway.errors.AwsError: when a call fails
        """
        ticket = replace(ticket, entry=replace(ticket.entry, since=_now()))
        return self._change(ticket, lambda board: decide(ticket, board, self._goes_on))

    def leave(self, ticket: Ticket) -> None:
        """Leave every stage.

        :param ticket: the release
        :raises slipway.errors.AwsError: when a call fails
        """
        self._change(ticket, lambda board: StageVerdict(leave(board, ticket.entry), Outcome.ENTERED))

    def overtaken(self, ticket: Ticket) -> Entry | None:
        """Check whether a newer release has taken this one's place; change nothing.

        :param ticket: the release and the stage
        :returns: the newer release; None while there is none
        :raises slipway.errors.AwsError: when the call fails
        """
        return ticket.overtaken_by(self._documents.read(ticket.bucket, ticket.key))

    def holder(self, bucket: str, key: str, stage: BoardStage) -> Entry | None:
        """Find the release that holds a stage; change nothing.

        :param bucket: the bucket of the model's board
        :param key: the board's key
        :param stage: the stage
        :returns: None while there is none, or when its run has ended
        :raises slipway.errors.AwsError: when the call fails
        """
        holder = _board(self._documents.read(bucket, key), bucket, key)[stage].holder
        return holder if holder and self._goes_on(*holder.run) else None

    def _change(self, ticket: Ticket, change: Callable[[Board], StageVerdict]) -> StageVerdict:
        for attempt in range(_MAX_WRITES):
            document = self._documents.read(ticket.bucket, ticket.key)
            board = ticket.board(document)
            verdict = change(board)
            if verdict.board == board:
                return verdict
            if self._documents.write(ticket.bucket, ticket.key, verdict.board.to_json(), etag=document.etag):
                return verdict
            time.sleep(random.uniform(0, min(_PAUSE_LIMIT_SECONDS, 0.02 * 2 ** min(attempt, 8))))
        raise SlipwayError(
            "The board of the model's stages cannot be written",
            resource=uri(ticket.bucket, ticket.key),
            why=f"it changed at each of {_MAX_WRITES} attempts",
            fix="find out who writes it, then clear this task",
        )


def decide(ticket: Ticket, board: Board, goes_on: Callable[[str, str], bool]) -> StageVerdict:
    """Decide whether a release may enter, after checking the runs that the verdict depends on.

    :param ticket: the release and the stage
    :param board: the board as it is
    :param goes_on: checks whether a run has not ended
    """
    ended: set[RunKey] = set()
    while True:
        verdict = enter(board, ticket.stage, ticket.entry, ticket.mode, ended)
        if verdict.other is None or not verdict.while_running or goes_on(*verdict.other.run):
            return verdict
        ended.add(verdict.other.run)


async def decide_async(ticket: Ticket, board: Board, goes_on: Callable[[str, str], Awaitable[bool]]) -> StageVerdict:
    """Do the same as decide() without blocking the event loop."""
    ended: set[RunKey] = set()
    while True:
        verdict = enter(board, ticket.stage, ticket.entry, ticket.mode, ended)
        if verdict.other is None or not verdict.while_running or await goes_on(*verdict.other.run):
            return verdict
        ended.add(verdict.other.run)


async def overtaken_async(client: Any, ticket: Ticket) -> Entry | None:
    """Do the same as StageGate.overtaken, for a trigger at each poll.

    :param client: an aiobotocore S3 client, which the caller keeps from poll to poll
    :param ticket: the release and the stage
    :returns: the newer release; None while there is none
    :raises slipway.errors.AwsError: when the call fails
    """
    return ticket.overtaken_by(await read_document_async(client, ticket.bucket, ticket.key))


def _board(document: Document, bucket: str, key: str) -> Board:
    with reading(uri(bucket, key)):
        board = Board.from_json(document.content)
    faulty = [entry for entry in board.entries() if sequences.fault(entry.sequence)]
    if not faulty:
        return board
    log.error(
        "%s names releases whose sequence is in the future or invalid: %s. They are ignored. Slipway does not write "
        "such sequences: find out who has written to the document. The next release that enters a stage removes them",
        uri(bucket, key),
        ", ".join(sorted({f"{entry.run_id} ({entry.sequence!s:.40})" for entry in faulty})),
    )
    return board.ignoring(faulty)


def _now() -> str:
    return datetime.now(UTC).isoformat()
