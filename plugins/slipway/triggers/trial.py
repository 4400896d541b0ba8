"""Waiting for a trial: until it can be judged, for a person's verdict, and through the bake of a step."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from typing import Any

from airflow.providers.amazon.aws.hooks.base_aws import AwsGenericHook
from airflow.triggers.base import BaseTrigger, TriggerEvent

from slipway.errors import AwsError, PermanentError
from slipway.gate import Ticket, overtaken_async
from slipway.hooks.calls import aws_call
from slipway.hooks.cloudwatch import CloudWatchHook, variant_figures_async
from slipway.hooks.s3_documents import S3DocumentHook
from slipway.names import LIVE_VARIANT, TRIAL_VARIANT
from slipway.trial import VariantFigures
from slipway.trial_record import record_of
from slipway.triggers.approval import ApprovalTrigger
from slipway.triggers.patience import WaitOutcome, WaitResult, backoff_seconds

# The status of a wait that a newer release has ended.
SUPERSEDED = "superseded"


class _MeasuringTrigger(BaseTrigger):
    """Looks at an endpoint's metrics until a deadline; errors that may pass are waited out.

    :param endpoint_name: the endpoint
    :param began: from when on metrics count, in seconds since the epoch
    :param deadline: when the wait ends, in seconds since the epoch
    :param poll_seconds: time between two looks
    :param aws_conn_id: Airflow connection with the AWS credentials
    """

    def __init__(
        self,
        *,
        endpoint_name: str,
        began: float,
        deadline: float,
        poll_seconds: float,
        aws_conn_id: str | None,
    ) -> None:
        super().__init__()
        self.endpoint_name = endpoint_name
        self.began = began
        self.deadline = deadline
        self.poll_seconds = poll_seconds
        self.aws_conn_id = aws_conn_id
        self._clients = AsyncExitStack()
        self._by_class: dict[type[AwsGenericHook], Any] = {}

    def arguments(self) -> dict[str, Any]:
        """:returns: the arguments that build this trigger again"""
        return {
            "endpoint_name": self.endpoint_name,
            "began": self.began,
            "deadline": self.deadline,
            "poll_seconds": self.poll_seconds,
            "aws_conn_id": self.aws_conn_id,
        }

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """:returns: the class path and the arguments that build this trigger again"""
        return f"{type(self).__module__}.{type(self).__qualname__}", self.arguments()

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """:returns: one event, made from a WaitResult"""
        failures = 0
        result: WaitResult | None = None
        # Not at once, for the reason that PatientWaiterTrigger.run gives.
        pause = self.poll_seconds
        while result is None:
            # Never beyond the deadline, but for the first pause.
            await asyncio.sleep(pause if not failures else backoff_seconds(failures, base_seconds=self.poll_seconds))
            try:
                result = await self.look()
                failures = 0
            except (AwsError, PermanentError) as error:
                failures += 1
                await self.cleanup()
                if not (isinstance(error, AwsError) and error.transient):
                    result = WaitResult(WaitOutcome.REFUSED, reason=str(error))
                elif self.over:
                    result = WaitResult(WaitOutcome.REACHED)
                else:
                    self.log.warning("%s; still waiting", error)
            pause = max(0.0, min(self.poll_seconds, self.deadline - time.time()))
        yield result.to_event()

    @property
    def over(self) -> bool:
        """Whether the deadline has passed."""
        return time.time() >= self.deadline

    async def look(self) -> WaitResult | None:
        """:returns: how the wait ends; None while it goes on"""
        raise NotImplementedError

    async def figures(self) -> Mapping[str, VariantFigures]:
        """:returns: what both variants have done so far"""
        client = await self.client(CloudWatchHook)
        return await variant_figures_async(
            client, self.endpoint_name, (LIVE_VARIANT, TRIAL_VARIANT), self.began, time.time()
        )

    async def client(self, hook_class: type[AwsGenericHook]) -> Any:
        """:returns: an aiobotocore client, kept from look to look"""
        if hook_class not in self._by_class:
            # To connect may mean to ask for a role's credentials.
            with aws_call("connect to AWS for", self.endpoint_name):
                connection = await hook_class(aws_conn_id=self.aws_conn_id).get_async_conn()
                self._by_class[hook_class] = await self._clients.enter_async_context(connection)
        return self._by_class[hook_class]

    async def cleanup(self) -> None:
        """Close the clients; new ones read the credentials anew."""
        self._by_class.clear()
        await self._clients.aclose()


class TrialTrigger(_MeasuringTrigger):
    """Waits until a trial can be judged: its time is over, or both variants have answered often enough.

    A newer release in production ends it too, with the status SUPERSEDED.

    :param invocations: how many requests each variant has to have answered; None: only time counts
    :param ticket: the release in production, as Ticket.to_json gives it
    """

    def __init__(self, *, invocations: int | None, ticket: dict[str, Any], **measuring: Any) -> None:
        super().__init__(**measuring)
        self.invocations = invocations
        self.ticket = ticket

    def arguments(self) -> dict[str, Any]:
        """:returns: the arguments that build this trigger again"""
        return {**super().arguments(), "invocations": self.invocations, "ticket": self.ticket}

    async def look(self) -> WaitResult | None:
        """:returns: how the wait ends; None while it goes on"""
        documents = await self.client(S3DocumentHook)
        if await overtaken_async(documents, Ticket.from_json(self.ticket)):
            return WaitResult(WaitOutcome.REACHED, SUPERSEDED)
        if self.over:
            return WaitResult(WaitOutcome.REACHED)
        if self.invocations is not None:
            fewest = min(one.invocations for one in (await self.figures()).values())
            if fewest >= self.invocations:
                return WaitResult(WaitOutcome.REACHED)
        return None


class BakeTrigger(_MeasuringTrigger):
    """Waits through the bake of a step; too many errors of the new model end it at once, as failed.

    :param error_share_limit: the largest share of errors
    :param minimum_invocations: how many requests a share is taken of at least
    """

    def __init__(self, *, error_share_limit: float, minimum_invocations: int, **measuring: Any) -> None:
        super().__init__(**measuring)
        self.error_share_limit = error_share_limit
        self.minimum_invocations = minimum_invocations

    def arguments(self) -> dict[str, Any]:
        """:returns: the arguments that build this trigger again"""
        more = {"error_share_limit": self.error_share_limit, "minimum_invocations": self.minimum_invocations}
        return {**super().arguments(), **more}

    async def look(self) -> WaitResult | None:
        """:returns: how the wait ends; None while it goes on"""
        if self.over:
            # Whoever resumes looks for the last time.
            return WaitResult(WaitOutcome.REACHED)
        found = (await self.figures())[TRIAL_VARIANT]
        if found.invocations >= self.minimum_invocations and found.error_share > self.error_share_limit:
            return WaitResult(WaitOutcome.FAILED, reason=str(found))
        return None


class TrialDecisionTrigger(ApprovalTrigger):
    """Waits for a person's verdict on a trial: in Airflow, or in the Model Registry."""

    def is_decided(self, package: Mapping[str, Any]) -> bool:
        """:returns: whether a verdict stands"""
        record = record_of(package)
        return record is not None and record.stands
