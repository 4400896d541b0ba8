"""Waiting for a state of an AWS resource until a deadline; transient errors are retried."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import jmespath  # type: ignore[import-untyped]
from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook, AwsGenericHook
from airflow.providers.amazon.aws.triggers.base import AwsBaseWaiterTrigger
from airflow.triggers.base import TriggerEvent
from airflow.utils.helpers import prune_dict
from botocore import xform_name
from botocore.exceptions import ClientError
from botocore.waiter import SingleWaiterConfig, WaiterModel

from slipway.aws.calls import call_error
from slipway.aws.translation import needs_new_client, translate
from slipway.errors import AwsError
from slipway.host import log_fields
from slipway.waiting.clients import SharedClients
from slipway.waiting.results import (
    WaitOutcome,
    WaitResult,
    backoff_seconds,
    first_look_time,
    pauses,
    sleep_until_first_look,
)


def load_waiter(path: Path, name: str) -> SingleWaiterConfig:
    """Read one waiter; its success and failure states are data in botocore's waiter format.

    :param path: a file below slipway/aws/waiters/
    :param name: the waiter's name in it
    """
    return WaiterModel(json.loads(path.read_text(encoding="utf-8"))).get_waiter(name)


def waiter_state(waiter: SingleWaiterConfig, response: dict[str, Any]) -> str | None:
    """Judge one answer of AWS, which may be an error.

    :returns: "success", "failure" or "retry"; None when the waiter does not know this answer
    """
    for acceptor in waiter.acceptors:
        if acceptor.matcher_func(response):
            return acceptor.state
    return None


class PatientWaiterTrigger(AwsBaseWaiterTrigger):
    """Polls one describe operation until a waiter's success or failure state, or a deadline.

    Throttling, 5xx, refused connections and expired tokens are retried with jittered back-off. All triggers of a
    connection share a client; after an expired token a new one reads the credentials again. Any other error that the
    waiter does not name ends the wait as refused. Subclasses set aws_hook_class (whose waiter_path names the waiter
    file) and may stream something between polls in observe().

    :param serialized_fields: the subclass's own constructor arguments
    :param waiter_name: a waiter of the hook's waiter_path
    :param waiter_args: arguments of the describe operation
    :param status_query: jMESPath of the state in the answer
    :param reason_query: jMESPath of the reason in the answer
    :param deadline: when to give up, in seconds since the epoch: it survives a restart of the triggerer
    :param poll_seconds: the longest time between two polls
    :param first_look: when to look for the first time, in seconds since the epoch; None where the task makes it
    :param said: what each line of the log names; None where the task makes it
    """

    # Subclasses set their own.
    aws_hook_class: type[AwsGenericHook] = AwsBaseHook

    def __init__(
        self,
        *,
        serialized_fields: dict[str, Any],
        waiter_name: str,
        waiter_args: dict[str, Any],
        status_query: str,
        reason_query: str,
        deadline: float,
        poll_seconds: float,
        first_look: float | None = None,
        said: dict[str, str] | None = None,
        aws_conn_id: str | None = "aws_default",
        region_name: str | None = None,
        verify: bool | str | None = None,
        botocore_config: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(
            serialized_fields=serialized_fields,
            waiter_name=waiter_name,
            waiter_args=waiter_args,
            failure_message="",
            status_message="",
            status_queries=[status_query],
            return_value=None,
            waiter_delay=0,
            waiter_max_attempts=0,
            aws_conn_id=aws_conn_id,
            region_name=region_name,
            verify=verify,
            botocore_config=botocore_config,
        )
        self.status_query = status_query
        self.reason_query = reason_query
        self.deadline = deadline
        self.poll_seconds = poll_seconds
        self.first_look = first_look_time() if first_look is None else first_look
        self.said = log_fields.bound() if said is None else said
        self._clients = SharedClients()

    def hook(self) -> AwsGenericHook:
        """Build the hook that this trigger waits with: older versions of the provider, as MWAA's, have none."""
        return self.aws_hook_class(
            aws_conn_id=self.aws_conn_id,
            region_name=self.region_name,
            verify=self.verify,
            config=self.botocore_config,
        )

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments that build this trigger again."""
        connection = {"region_name": self.region_name, "verify": self.verify, "botocore_config": self.botocore_config}
        arguments = {
            **self.serialized_fields,
            "deadline": self.deadline,
            "poll_seconds": self.poll_seconds,
            "first_look": self.first_look,
            "said": self.said,
            "aws_conn_id": self.aws_conn_id,
            **prune_dict(connection),
        }
        return f"{type(self).__module__}.{type(self).__qualname__}", arguments

    async def observe(self, response: dict[str, Any]) -> None:
        """Run after every answered poll, the last one included; must handle its own errors."""

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Poll until the wait ends, and fire one event, made from a WaitResult."""
        log_fields.bind(self.said)
        try:
            yield (await self._wait()).to_event()
        finally:
            await self.cleanup()

    async def client(self, hook_class: type[AwsGenericHook], hook: Callable[[], AwsGenericHook]) -> Any:
        """Return an aiobotocore client, which all triggers of this connection share.

        :param hook_class: the service's hook
        :param hook: makes the hook of the connection
        """
        connection = (self.aws_conn_id, self.region_name, self.verify, repr(self.botocore_config))
        return await self._clients.client((hook_class, *connection), hook)

    async def cleanup(self) -> None:
        """Give the clients back."""
        await self._clients.close()

    async def _wait(self) -> WaitResult:
        waiter = load_waiter(Path(str(self.hook().waiter_path)), self.waiter_name)
        errors_in_a_row = 0
        pause = pauses(self.poll_seconds)
        await sleep_until_first_look(min(self.first_look, self.deadline))
        while True:
            try:
                client = await self.client(self.aws_hook_class, self.hook)
                response = await self._ask(client, waiter.operation)
                result = self._judge(waiter, response)
                # Here: an error of the service is a response until it is judged.
                errors_in_a_row = 0
                await self.observe(response)
                pause_seconds = next(pause)
            except Exception as error:
                known = call_error(error)
                if known is None:
                    raise
                errors_in_a_row += 1
                translated = translate(known, what=f"Cannot poll {self.waiter_name}")
                about_credentials = needs_new_client(translated)
                if about_credentials:
                    await self._clients.renew()
                # Somebody may have replaced the keys since the client was made.
                result = None if about_credentials and errors_in_a_row == 1 else self._outlast(translated)
                pause_seconds = backoff_seconds(errors_in_a_row, base_seconds=self.poll_seconds)
            if result is not None:
                return result
            await self._sleep(pause_seconds)

    async def _ask(self, client: Any, operation: str) -> dict[str, Any]:
        try:
            return await getattr(client, xform_name(operation))(**self.waiter_args)
        except ClientError as error:
            if translate(error, what=f"Cannot call {operation}").transient:
                raise
            return {**error.response, "_error": error}

    def _judge(self, waiter: SingleWaiterConfig, response: dict[str, Any]) -> WaitResult | None:
        state = waiter_state(waiter, response)
        if state is None and "_error" in response:
            raise response["_error"]
        status = str(jmespath.search(self.status_query, response) or "")
        error = response.get("Error", {})
        reason = str(jmespath.search(self.reason_query, response) or error.get("Message") or "")
        self.log.info("%s: %s", self.waiter_name, " ".join(filter(None, [status or error.get("Code"), reason])))
        if state == "success":
            return WaitResult(WaitOutcome.REACHED, status, reason)
        if state == "failure":
            return WaitResult(WaitOutcome.FAILED, status, reason)
        if time.time() >= self.deadline:
            return WaitResult(WaitOutcome.TIMEOUT, status, reason)
        return None

    def _outlast(self, error: AwsError) -> WaitResult | None:
        if not error.transient:
            return WaitResult(WaitOutcome.REFUSED, reason=error.problem, fix=error.fix or "")
        if time.time() >= self.deadline:
            return WaitResult(WaitOutcome.TIMEOUT, reason=error.problem)
        self.log.warning("%s; still waiting", error.problem)
        return None

    async def _sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, min(seconds, self.deadline - time.time())))
