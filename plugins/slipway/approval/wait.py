"""The wait for a person's answer in Airflow, or for a decision in the Model Registry."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from airflow.sdk.exceptions import AirflowRuntimeError
from airflow.triggers.base import TriggerEvent

from slipway.aws.calls import aws_call
from slipway.aws.s3 import S3Hook
from slipway.aws.translation import needs_new_client
from slipway.errors import AwsError, PermanentError
from slipway.host.questions import is_answered
from slipway.registry.hook import ModelRegistryHook
from slipway.registry.record import decision_of
from slipway.stages.gate import Ticket, overtaken_async
from slipway.waiting.polling import PollingTrigger


class ApprovalOutcome(StrEnum):
    """Why the wait for a decision ended."""

    ANSWERED = "answered"  # in Airflow; the operator reads the answer in the task's state store
    RECORDED = "recorded"  # in the Model Registry; the operator reads the record itself
    UNASKED = "unasked"  # Airflow has no question to answer
    NOTICE = "notice"  # a notice is due
    SUPERSEDED = "superseded"  # a newer release has reached this stage or a later one
    TIMEOUT = "timeout"
    REFUSED = "refused"  # AWS does not show the record

    def to_event(self) -> TriggerEvent:
        """Return the event for the operator."""
        return TriggerEvent({"outcome": self.value})


class ApprovalTrigger(PollingTrigger):
    """A trigger that polls for a decision until a deadline.

    Airflow resumes a deferred task at once when its question is answered. This trigger asks for the answer too, because
    one that is given after the question and before the deferral would go unnoticed.

    :param ti_id: id of the asking task instance
    :param model_package_arn: the model package that is decided on
    :param deadline: when to give up, in seconds since the epoch
    :param notice_at: when the task resumes to send a notice, in seconds since the epoch
    :param ticket: the release at this stage, from Ticket.to_json; None to ignore newer releases
    """

    def __init__(
        self,
        *,
        ti_id: str,
        model_package_arn: str,
        deadline: float,
        notice_at: float | None = None,
        ticket: dict[str, Any] | None = None,
        poll_seconds: float = 3.0,
        aws_conn_id: str | None = "aws_default",
        **polling: Any,
    ) -> None:
        super().__init__(poll_seconds=poll_seconds, aws_conn_id=aws_conn_id, **polling)
        self.ti_id = ti_id
        self.model_package_arn = model_package_arn
        self.deadline = deadline
        self.notice_at = notice_at
        self.ticket = ticket

    def arguments(self) -> dict[str, Any]:
        """Return the arguments that build this trigger again."""
        return {
            **super().arguments(),
            "ti_id": self.ti_id,
            "model_package_arn": self.model_package_arn,
            "deadline": self.deadline,
            "notice_at": self.notice_at,
            "ticket": self.ticket,
        }

    async def answer(self) -> TriggerEvent | None:
        """Ask Airflow whether a person has answered.

        :returns: an event with ANSWERED or UNASKED; None while the question is open
        """
        try:
            answered = await asyncio.to_thread(is_answered, self.ti_id)
        except AirflowRuntimeError as error:
            self.log.warning("Cannot read the question from Airflow, trying again: %s", error)
            return None
        if answered is None:
            return ApprovalOutcome.UNASKED.to_event()
        return ApprovalOutcome.ANSWERED.to_event() if answered else None

    def is_decided(self, package: Mapping[str, Any]) -> bool:
        """Check whether the model package has the decision."""
        return decision_of(package) is not None

    async def look(self) -> TriggerEvent | None:
        """Return the event that ends the wait; None while it goes on."""
        if answer := await self.answer():
            return answer
        client = await self.client(ModelRegistryHook)
        with aws_call("read the decision", self.model_package_arn):
            package = await client.describe_model_package(ModelPackageName=self.model_package_arn)
        if self.is_decided(package):
            return ApprovalOutcome.RECORDED.to_event()
        if await self._overtaken():
            return ApprovalOutcome.SUPERSEDED.to_event()
        return self._due()

    async def while_away(self, error: Exception) -> TriggerEvent | None:
        """Return the event of an answer, a notice or the deadline; none of them needs AWS."""
        return await self.answer() or self._due()

    def pause_seconds(self) -> float:
        """Return how long to wait before the next look, never beyond the deadline or the next notice."""
        due = self.deadline if self.notice_at is None else min(self.deadline, self.notice_at)
        return max(0.0, min(super().pause_seconds(), due - time.time()))

    async def _overtaken(self) -> bool:
        """Read the model's board; a failure counts as no, because the next poll and deploy_prd read it again."""
        if self.ticket is None:
            return False
        try:
            client = await self.client(S3Hook)
            return await overtaken_async(client, Ticket.from_json(self.ticket)) is not None
        except (AwsError, PermanentError) as error:
            self.log.warning("Cannot look for newer releases, trying again: %s", error.problem)
            if isinstance(error, AwsError) and needs_new_client(error):
                await self.renew_clients()
            return False

    def _due(self) -> TriggerEvent | None:
        now = time.time()
        if now >= self.deadline:
            return ApprovalOutcome.TIMEOUT.to_event()
        if self.notice_at is not None and now >= self.notice_at:
            return ApprovalOutcome.NOTICE.to_event()
        return None
