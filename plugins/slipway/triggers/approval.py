"""Waiting for a person: for the answer given in Airflow, and for a decision made in the Model Registry."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from enum import StrEnum
from http import HTTPStatus
from typing import Any
from uuid import UUID

from airflow.sdk.exceptions import AirflowRuntimeError
from airflow.triggers.base import BaseTrigger, TriggerEvent
from botocore.exceptions import BotoCoreError, ClientError

from slipway.approval_record import decision_of
from slipway.errors import AwsError, PermanentError, translate
from slipway.gate import Ticket, overtaken_async
from slipway.hooks.model_registry import ModelRegistryHook
from slipway.hooks.s3_documents import S3DocumentHook
from slipway.triggers.patience import backoff_seconds


class ApprovalOutcome(StrEnum):
    """Why the wait for a decision ended."""

    ANSWERED = "answered"  # in Airflow; whoever resumes reads the answer in the task's state store
    RECORDED = "recorded"  # in the Model Registry; whoever resumes reads the record itself
    UNASKED = "unasked"  # Airflow holds no question that could be answered
    NOTICE = "notice"  # there is something to tell the approvers
    SUPERSEDED = "superseded"  # a newer release has come to the approval, or beyond
    TIMEOUT = "timeout"
    REFUSED = "refused"  # AWS does not show the record


class ApprovalTrigger(BaseTrigger):
    """Polls for a decision until a deadline.

    Airflow resumes a deferred task by itself when it is answered. The answer is polled for nevertheless: one given in
    the moment between the question and the deferral would otherwise go unnoticed.

    :param ti_id: id of the asking task instance
    :param model_package_arn: the model package that is decided upon
    :param deadline: when to give up, in seconds since the epoch
    :param notice_at: when the task is to be resumed to tell somebody something, in seconds since the epoch
    :param ticket: the release at this stage, as Ticket.to_json gives it; None to look out for no newer one
    :param poll_seconds: time between two polls
    :param aws_conn_id: Airflow connection with the AWS credentials
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
    ) -> None:
        super().__init__()
        self.ti_id = ti_id
        self.model_package_arn = model_package_arn
        self.deadline = deadline
        self.notice_at = notice_at
        self.ticket = ticket
        self.poll_seconds = poll_seconds
        self.aws_conn_id = aws_conn_id
        self._s3_clients = AsyncExitStack()
        self._s3_client: Any = None

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """:returns: the class path and the arguments that build this trigger again"""
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "ti_id": self.ti_id,
                "model_package_arn": self.model_package_arn,
                "deadline": self.deadline,
                "notice_at": self.notice_at,
                "ticket": self.ticket,
                "poll_seconds": self.poll_seconds,
                "aws_conn_id": self.aws_conn_id,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """:returns: one event with an ApprovalOutcome under ``outcome``"""
        failures = 0
        event: dict[str, Any] | None = None
        # Not at once, for the reason that PatientWaiterTrigger.run gives.
        await asyncio.sleep(self.poll_seconds)
        while event is None:
            try:
                async with await self.hook().get_async_conn() as client:
                    while event is None:
                        event = await self._poll(client)
                        failures = 0
                        if event is None:
                            await asyncio.sleep(self.poll_seconds)
            except (ClientError, BotoCoreError) as error:
                failures += 1
                event = await self._outlast(error)
                if event is None:
                    await asyncio.sleep(backoff_seconds(failures, base_seconds=self.poll_seconds))
        yield TriggerEvent(event)

    def hook(self) -> ModelRegistryHook:
        """:returns: the hook whose connection is polled"""
        return ModelRegistryHook(aws_conn_id=self.aws_conn_id)

    async def answer(self) -> dict[str, Any] | None:
        """Ask Airflow whether a person has answered.

        :returns: an event with ANSWERED or UNASKED; None while the question is open
        """
        from airflow.sdk.execution_time.hitl import get_hitl_detail_content_detail

        try:
            detail = await asyncio.to_thread(get_hitl_detail_content_detail, ti_id=UUID(self.ti_id))
        except AirflowRuntimeError as error:
            if (error.error.detail or {}).get("status_code") == HTTPStatus.NOT_FOUND:
                return {"outcome": ApprovalOutcome.UNASKED.value}
            self.log.warning("Airflow does not show the question, asking again: %s", error)
            return None
        return {"outcome": ApprovalOutcome.ANSWERED.value} if detail.response_received else None

    def is_decided(self, package: Mapping[str, Any]) -> bool:
        """:returns: whether the model package says what is waited for"""
        return decision_of(package) is not None

    async def _poll(self, client: Any) -> dict[str, Any] | None:
        if answer := await self.answer():
            return answer
        package = await client.describe_model_package(ModelPackageName=self.model_package_arn)
        if self.is_decided(package):
            return {"outcome": ApprovalOutcome.RECORDED.value}
        if await self._overtaken():
            return {"outcome": ApprovalOutcome.SUPERSEDED.value}
        return self._due()

    async def _overtaken(self) -> bool:
        """Look at the model's board; one that cannot be read now is read at the next poll, and by deploy_prd."""
        if self.ticket is None:
            return False
        try:
            if self._s3_client is None:
                connection = await S3DocumentHook(aws_conn_id=self.aws_conn_id).get_async_conn()
                self._s3_client = await self._s3_clients.enter_async_context(connection)
            return await overtaken_async(self._s3_client, Ticket.from_json(self.ticket)) is not None
        except (AwsError, PermanentError, ClientError, BotoCoreError) as error:
            self.log.warning("Cannot look for newer releases, asking again: %s", error)
            # A new client reads the credentials anew.
            await self.cleanup()
            return False

    async def cleanup(self) -> None:
        """Close the client of S3."""
        await self._s3_clients.aclose()
        self._s3_client = None

    async def _outlast(self, error: Exception) -> dict[str, Any] | None:
        translated = translate(error, what="Cannot read the decision", resource=self.model_package_arn)
        if not translated.transient:
            return {"outcome": ApprovalOutcome.REFUSED.value, "reason": str(translated)}
        self.log.warning("%s; still waiting", translated)
        return await self.answer() or self._due()

    def _due(self) -> dict[str, Any] | None:
        now = time.time()
        if now >= self.deadline:
            return {"outcome": ApprovalOutcome.TIMEOUT.value}
        if self.notice_at is not None and now >= self.notice_at:
            return {"outcome": ApprovalOutcome.NOTICE.value}
        return None
