"""Waiting for a person: for the answer given in Airflow, and for a decision made in the Model Registry."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from airflow.sdk.exceptions import AirflowRuntimeError
from airflow.triggers.base import TriggerEvent

from slipway.aws.calls import aws_call
from slipway.aws.documents import S3DocumentHook
from slipway.errors import AwsError, PermanentError
from slipway.host.questions import is_answered
from slipway.registry.hook import ModelRegistryHook
from slipway.registry.record import decision_of
from slipway.stages.gate import Ticket, overtaken_async
from slipway.waiting.polling import PollingTrigger


class ApprovalOutcome(StrEnum):
    """Why the wait for a decision ended."""

    ANSWERED = "answered"  # in Airflow; whoever resumes reads the answer in the task's state store
    RECORDED = "recorded"  # in the Model Registry; whoever resumes reads the record itself
    UNASKED = "unasked"  # Airflow holds no question that could be answered
    NOTICE = "notice"  # there is something to tell the approvers
    SUPERSEDED = "superseded"  # a newer release has come to the approval, or beyond
    TIMEOUT = "timeout"
    REFUSED = "refused"  # AWS does not show the record

    def to_event(self) -> TriggerEvent:
        """:returns: the event that carries it to the operator"""
        return TriggerEvent({"outcome": self.value})


class ApprovalTrigger(PollingTrigger):
    """Polls for a decision until a deadline.

    Airflow resumes a deferred task by itself when it is answered. The answer is polled for nevertheless: one given in
    the moment between the question and the deferral would otherwise go unnoticed.

    :param ti_id: id of the asking task instance
    :param model_package_arn: the model package that is decided upon
    :param deadline: when to give up, in seconds since the epoch
    :param notice_at: when the task is to be resumed to tell somebody something, in seconds since the epoch
    :param ticket: the release at this stage, as Ticket.to_json gives it; None to look out for no newer one
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
        first_look: float | None = None,
    ) -> None:
        super().__init__(poll_seconds=poll_seconds, aws_conn_id=aws_conn_id, first_look=first_look)
        self.ti_id = ti_id
        self.model_package_arn = model_package_arn
        self.deadline = deadline
        self.notice_at = notice_at
        self.ticket = ticket

    def arguments(self) -> dict[str, Any]:
        """:returns: the arguments that build this trigger again"""
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
            self.log.warning("Airflow does not show the question, asking again: %s", error)
            return None
        if answered is None:
            return ApprovalOutcome.UNASKED.to_event()
        return ApprovalOutcome.ANSWERED.to_event() if answered else None

    def is_decided(self, package: Mapping[str, Any]) -> bool:
        """:returns: whether the model package says what is waited for"""
        return decision_of(package) is not None

    async def look(self) -> TriggerEvent | None:
        """:returns: the event that ends the wait; None while it goes on"""
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
        """:returns: an answer given in Airflow, a notice, or the end of the time"""
        return await self.answer() or self._due()

    async def _overtaken(self) -> bool:
        """Look at the model's board; one that cannot be read now is read at the next poll, and by deploy_prd."""
        if self.ticket is None:
            return False
        try:
            client = await self.client(S3DocumentHook)
            return await overtaken_async(client, Ticket.from_json(self.ticket)) is not None
        except (AwsError, PermanentError) as error:
            self.log.warning("Cannot look for newer releases, asking again: %s", error)
            # New clients read the credentials anew.
            await self.cleanup()
            return False

    def _due(self) -> TriggerEvent | None:
        now = time.time()
        if now >= self.deadline:
            return ApprovalOutcome.TIMEOUT.to_event()
        if self.notice_at is not None and now >= self.notice_at:
            return ApprovalOutcome.NOTICE.to_event()
        return None
