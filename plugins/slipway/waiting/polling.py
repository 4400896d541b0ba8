"""The polling loop of every wait that has no waiter."""

from __future__ import annotations

import random
import time
from asyncio import sleep, timeout
from collections.abc import AsyncIterator
from typing import Any

from airflow.providers.amazon.aws.hooks.base_aws import AwsGenericHook
from airflow.sdk.exceptions import AirflowRuntimeError
from airflow.triggers.base import BaseTrigger, TriggerEvent

from slipway.aws.calls import aws_call
from slipway.aws.translation import needs_new_client
from slipway.errors import AwsError, PermanentError, SlipwayError, problem_of
from slipway.host import log_fields
from slipway.waiting.clients import SharedClients
from slipway.waiting.pacing import pause_by_age
from slipway.waiting.results import WaitOutcome, WaitResult, backoff_seconds, first_look_time, sleep_until_first_look

# While AWS does not answer, all triggers queue for the few connections of their client. So a look is given up after
# this time, and what needs no AWS, such as a deadline, is seen to.
LOOK_SECONDS = 120.0
# A wait whose first look should have been longer ago than this was begun by another triggerer process.
_RESUMED_AFTER_SECONDS = 30.0


class PollingTrigger(BaseTrigger):
    """Fires one event: what look() returns. Transient errors of AWS and of Airflow are retried with back-off.

    New clients, which read the credentials again, are made only where the error is about them; only the next such error
    ends the wait. Any other error ends it as refused.

    :param poll_seconds: time between two looks of a young wait; an old one looks less often
    :param aws_conn_id: Airflow connection with the AWS credentials
    :param first_look: when to look for the first time, in seconds since the epoch; None where the task makes it
    :param said: what each line of the log names; None where the task makes it
    """

    def __init__(
        self,
        *,
        poll_seconds: float,
        aws_conn_id: str | None,
        first_look: float | None = None,
        said: dict[str, str] | None = None,
    ) -> None:
        super().__init__()
        self.said = log_fields.bound() if said is None else said
        self.poll_seconds = poll_seconds
        self.first_look = first_look_time() if first_look is None else first_look
        self.aws_conn_id = aws_conn_id
        self._clients = SharedClients()

    def arguments(self) -> dict[str, Any]:
        """Return the arguments that build this trigger again; a subclass adds its own."""
        return {
            "poll_seconds": self.poll_seconds,
            "first_look": self.first_look,
            "aws_conn_id": self.aws_conn_id,
            "said": self.said,
        }

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments that build this trigger again."""
        return f"{type(self).__module__}.{type(self).__qualname__}", self.arguments()

    async def look(self) -> TriggerEvent | None:
        """Look once; return the event that ends the wait, or None to continue."""
        raise NotImplementedError

    async def while_away(self, error: Exception) -> TriggerEvent | None:
        """Return the event that ends the wait after a failed look, or None to look again."""
        return None

    def pause_seconds(self) -> float:
        """Return how long to wait before the next look: longer for a wait that has lasted."""
        return pause_by_age(time.time() - self.first_look, self.poll_seconds)

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look until there is an event, and fire it."""
        log_fields.bind(self.said)
        try:
            yield await self._wait()
        finally:
            await self.cleanup()

    async def client(self, hook_class: type[AwsGenericHook]) -> Any:
        """Return an aiobotocore client, which all triggers of this connection share."""
        # To connect may include a call for a role's credentials.
        with aws_call("connect to AWS", f"Airflow connection {self.aws_conn_id}"):
            return await self._clients.client((hook_class, self.aws_conn_id), lambda: self.hook(hook_class))

    def hook(self, hook_class: type[AwsGenericHook]) -> AwsGenericHook:
        """Make the hook whose connection is polled."""
        return hook_class(aws_conn_id=self.aws_conn_id)

    async def renew_clients(self) -> None:
        """Have the credentials read again at the next look."""
        await self._clients.renew()

    async def cleanup(self) -> None:
        """Give the clients back."""
        await self._clients.close()

    async def _wait(self) -> TriggerEvent:
        failures = 0
        await sleep_until_first_look(self.first_look)
        if time.time() - self.first_look > _RESUMED_AFTER_SECONDS:
            # The triggerer has started again: not all waits look at the same moment.
            await sleep(random.uniform(0, self.pause_seconds()))
        while True:
            try:
                event = await self._look()
                failures, pause = 0, self.pause_seconds()
            except (AwsError, PermanentError, AirflowRuntimeError) as error:
                failures += 1
                pause = backoff_seconds(failures, base_seconds=self.poll_seconds)
                about_credentials = isinstance(error, AwsError) and needs_new_client(error)
                if about_credentials:
                    await self.renew_clients()
                # Somebody may have replaced the keys since the client was made.
                event = None if about_credentials and failures == 1 else await self._outlast(error)
            if event is not None:
                return event
            await sleep(pause)

    async def _look(self) -> TriggerEvent | None:
        try:
            async with timeout(LOOK_SECONDS):
                return await self.look()
        except TimeoutError as error:
            why = f"there was no answer within {LOOK_SECONDS:.0f} s"
            raise AwsError("Cannot look", why=why, transient=True) from error

    async def _outlast(self, error: Exception) -> TriggerEvent | None:
        # An API server that does not answer is a transient error too.
        if isinstance(error, SlipwayError) and not (isinstance(error, AwsError) and error.transient):
            return WaitResult(WaitOutcome.REFUSED, reason=error.problem, fix=error.fix or "").to_event()
        event = await self.while_away(error)
        if event is None:
            self.log.warning("%s; still waiting", problem_of(error))
        return event
