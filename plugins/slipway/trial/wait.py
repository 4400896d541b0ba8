"""The waits of a trial: until it can be judged, for a person's verdict, and for the bake of a step."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from airflow.triggers.base import TriggerEvent

from slipway.approval.wait import ApprovalTrigger
from slipway.aws.cloudwatch import CloudWatchHook
from slipway.aws.s3 import S3Hook
from slipway.names import LIVE_VARIANT, TRIAL_VARIANT
from slipway.stages.gate import Ticket, overtaken_async
from slipway.trial.figures import VariantFigures
from slipway.trial.metrics import variant_figures_async
from slipway.trial.record import record_of
from slipway.waiting.polling import PollingTrigger
from slipway.waiting.results import WaitOutcome, WaitResult

# The status of a wait that ended because of a newer release.
SUPERSEDED = "superseded"
REACHED = WaitResult(WaitOutcome.REACHED)


class _MeasuringTrigger(PollingTrigger):
    """A trigger that reads an endpoint's metrics until a deadline.

    :param endpoint_name: the endpoint
    :param began: since when metrics count, in seconds since the epoch
    :param deadline: when the wait ends, in seconds since the epoch
    """

    def __init__(self, *, endpoint_name: str, began: float, deadline: float, **polling: Any) -> None:
        super().__init__(**polling)
        self.endpoint_name = endpoint_name
        self.began = began
        self.deadline = deadline

    def arguments(self) -> dict[str, Any]:
        """Return the arguments that build this trigger again."""
        more = {"endpoint_name": self.endpoint_name, "began": self.began, "deadline": self.deadline}
        return {**super().arguments(), **more}

    async def while_away(self, error: Exception) -> TriggerEvent | None:
        """Return the event that ends the wait, once the deadline has passed."""
        return REACHED.to_event() if self.over else None

    def pause_seconds(self) -> float:
        """Return how long to wait before the next look, never beyond the deadline."""
        return max(0.0, min(super().pause_seconds(), self.deadline - time.time()))

    @property
    def over(self) -> bool:
        """Whether the deadline has passed."""
        return time.time() >= self.deadline

    async def figures(self) -> Mapping[str, VariantFigures]:
        """Read the figures of both variants so far."""
        client = await self.client(CloudWatchHook)
        return await variant_figures_async(
            client, self.endpoint_name, (LIVE_VARIANT, TRIAL_VARIANT), self.began, time.time()
        )


class TrialTrigger(_MeasuringTrigger):
    """The wait until a trial can be judged: its time is over, or both variants have answered enough requests.

    A newer release in production ends it too, with the status SUPERSEDED.

    :param invocations: how many requests each variant must answer; None where only time counts
    :param ticket: the release in production, from Ticket.to_json
    """

    def __init__(self, *, invocations: int | None, ticket: dict[str, Any], **measuring: Any) -> None:
        super().__init__(**measuring)
        self.invocations = invocations
        self.ticket = ticket

    def arguments(self) -> dict[str, Any]:
        """Return the arguments that build this trigger again."""
        return {**super().arguments(), "invocations": self.invocations, "ticket": self.ticket}

    async def look(self) -> TriggerEvent | None:
        """Return the event that ends the wait; None while it goes on."""
        documents = await self.client(S3Hook)
        if await overtaken_async(documents, Ticket.from_json(self.ticket)):
            return WaitResult(WaitOutcome.REACHED, SUPERSEDED).to_event()
        if self.over:
            return REACHED.to_event()
        if self.invocations is not None:
            fewest = min(one.invocations for one in (await self.figures()).values())
            if fewest >= self.invocations:
                return REACHED.to_event()
        return None


class BakeTrigger(_MeasuringTrigger):
    """The wait for the bake of a step; too many errors of the new model end it at once, as failed.

    :param error_share_limit: the largest share of errors
    :param minimum_invocations: the fewest requests for which a share of errors counts
    """

    def __init__(self, *, error_share_limit: float, minimum_invocations: int, **measuring: Any) -> None:
        super().__init__(**measuring)
        self.error_share_limit = error_share_limit
        self.minimum_invocations = minimum_invocations

    def arguments(self) -> dict[str, Any]:
        """Return the arguments that build this trigger again."""
        more = {"error_share_limit": self.error_share_limit, "minimum_invocations": self.minimum_invocations}
        return {**super().arguments(), **more}

    async def look(self) -> TriggerEvent | None:
        """Return the event that ends the wait; None while it goes on."""
        if self.over:
            # The operator reads the figures once more.
            return REACHED.to_event()
        found = (await self.figures())[TRIAL_VARIANT]
        if found.invocations >= self.minimum_invocations and found.error_share > self.error_share_limit:
            return WaitResult(WaitOutcome.FAILED, reason=str(found)).to_event()
        return None


class TrialDecisionTrigger(ApprovalTrigger):
    """The wait for a person's verdict on a trial, in Airflow or in the Model Registry."""

    def is_decided(self, package: Mapping[str, Any]) -> bool:
        """Check whether the model package has a verdict that stands."""
        record = record_of(package)
        return record is not None and record.stands
