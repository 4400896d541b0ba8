"""The wait until a release may enter a stage."""

from __future__ import annotations

from typing import Any

from airflow.triggers.base import TriggerEvent
from asgiref.sync import sync_to_async

from slipway.aws.documents import read_document_async
from slipway.aws.s3 import S3Hook
from slipway.host import runs
from slipway.stages.board import Outcome, StageVerdict
from slipway.stages.gate import Ticket, decide_async
from slipway.waiting.polling import PollingTrigger
from slipway.waiting.results import WaitOutcome, WaitResult


class StageTrigger(PollingTrigger):
    """A trigger that fires one WaitResult when the release may enter; the operator then asks at the gate.

    There is no deadline: the wait lasts as long as the other run, whose own waits have deadlines.

    :param ticket: the release and the stage, as Ticket.to_json gives it
    """

    def __init__(self, *, ticket: dict[str, Any], **polling: Any) -> None:
        super().__init__(**polling)
        self.ticket = Ticket.from_json(ticket)
        self._waits_for: str | None = None

    def arguments(self) -> dict[str, Any]:
        """Return the arguments that build this trigger again."""
        return {**super().arguments(), "ticket": self.ticket.to_json()}

    async def goes_on(self, dag_id: str, run_id: str) -> bool:
        """Check whether Airflow has the run and it has not ended."""
        return await sync_to_async(runs.goes_on)(dag_id, run_id)

    async def look(self) -> TriggerEvent | None:
        """Return the event that ends the wait; None while it goes on."""
        client = await self.client(S3Hook)
        document = await read_document_async(client, self.ticket.bucket, self.ticket.key)
        board = self.ticket.board(document)
        verdict = await decide_async(self.ticket, board, self.goes_on)
        # A release that was removed from the line, because its run seemed to have ended, has to join it again.
        in_line = any(one.run == self.ticket.entry.run for one in board[self.ticket.stage].waiting)
        if verdict.outcome is not Outcome.WAIT or not in_line:
            return WaitResult(WaitOutcome.REACHED, status=verdict.outcome.value).to_event()
        self._say(verdict)
        return None

    def _say(self, verdict: StageVerdict) -> None:
        # Log once for each release that is waited for, not at every poll.
        if verdict.other and verdict.other.run_id != self._waits_for:
            self._waits_for = verdict.other.run_id
            self.log.info("Not in the stage %s yet: waiting for the run %s", self.ticket.stage, verdict.other.run_id)
