"""Waiting to be let into a stage: behind the release that has it, or that comes first."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from airflow.sdk.exceptions import AirflowRuntimeError
from airflow.triggers.base import BaseTrigger, TriggerEvent
from asgiref.sync import sync_to_async

from slipway import runs
from slipway.board import Outcome, Verdict
from slipway.errors import AwsError, PermanentError
from slipway.gate import Ticket, decide_async
from slipway.hooks.calls import aws_call
from slipway.hooks.s3 import uri
from slipway.hooks.s3_documents import S3DocumentHook, read_document_async
from slipway.triggers.patience import WaitOutcome, WaitResult, backoff_seconds


class StageTrigger(BaseTrigger):
    """Fires one WaitResult when it is worth asking at the gate again; who fires first is decided there.

    There is no deadline: the wait lasts as long as the run that is waited for, whose own waits have deadlines.

    :param ticket: the release and the stage, as Ticket.to_json gives it
    :param aws_conn_id: Airflow connection with the AWS credentials
    :param poll_seconds: time between two looks at the board
    """

    def __init__(self, *, ticket: dict[str, Any], aws_conn_id: str | None, poll_seconds: float) -> None:
        super().__init__()
        self.ticket = Ticket.from_json(ticket)
        self.aws_conn_id = aws_conn_id
        self.poll_seconds = poll_seconds
        self._waits_for: str | None = None

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """:returns: the class path and the arguments that build this trigger again"""
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {"ticket": self.ticket.to_json(), "aws_conn_id": self.aws_conn_id, "poll_seconds": self.poll_seconds},
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """:returns: one event, made from a WaitResult"""
        failures = 0
        result: WaitResult | None = None
        # Not at once, for the reason that PatientWaiterTrigger.run gives.
        await asyncio.sleep(self.poll_seconds)
        while result is None:
            try:
                # To connect may mean to ask for a role's credentials.
                with aws_call("connect to", uri(self.ticket.bucket, self.ticket.key)):
                    async with await self.hook().get_async_conn() as client:
                        while result is None:
                            result = await self._poll(client)
                            failures = 0
                            if result is None:
                                await asyncio.sleep(self.poll_seconds)
            except (AwsError, PermanentError, AirflowRuntimeError) as error:
                failures += 1
                # An API server that does not answer is passing as well.
                passing = error.transient if isinstance(error, AwsError) else isinstance(error, AirflowRuntimeError)
                if not passing:
                    result = WaitResult(WaitOutcome.REFUSED, reason=str(error))
                else:
                    self.log.warning("%s; still waiting", error)
                    await asyncio.sleep(backoff_seconds(failures, base_seconds=self.poll_seconds))
        yield result.to_event()

    def hook(self) -> S3DocumentHook:
        """:returns: the hook whose connection is polled"""
        return S3DocumentHook(aws_conn_id=self.aws_conn_id)

    async def goes_on(self, dag_id: str, run_id: str) -> bool:
        """:returns: whether Airflow has the run and it has not ended"""
        return await sync_to_async(runs.goes_on)(dag_id, run_id)

    async def _poll(self, client: Any) -> WaitResult | None:
        document = await read_document_async(client, self.ticket.bucket, self.ticket.key)
        board = self.ticket.board(document)
        verdict = await decide_async(self.ticket, board, self.goes_on)
        # A release that is not in the line, because its run was thought to have ended, has to join it again.
        in_line = any(one.run == self.ticket.entry.run for one in board[self.ticket.stage].waiting)
        if verdict.outcome is not Outcome.WAIT or not in_line:
            return WaitResult(WaitOutcome.REACHED, status=verdict.outcome.value)
        self._say(verdict)
        return None

    def _say(self, verdict: Verdict) -> None:
        # Once for each release that is waited for, not at every poll.
        if verdict.other and verdict.other.run_id != self._waits_for:
            self._waits_for = verdict.other.run_id
            self.log.info("The stage %s waits for the run %s", self.ticket.stage, verdict.other.run_id)
