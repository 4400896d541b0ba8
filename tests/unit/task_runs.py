"""Running an operator as Airflow would: through every deferral, its trigger included, without Airflow's processes."""

import asyncio
from datetime import UTC, datetime
from types import SimpleNamespace

from airflow.sdk.exceptions import TaskDeferred
from airflow.sdk.execution_time.context import OutletEventAccessors

from slipway.assets import live

# There is no channel to an API server, and nothing has been announced.
live.newest_event = lambda alias: None


class FakeTaskInstance:
    """Answers xcom_pull from a dict."""

    dag_id, run_id, task_id, map_index = "iris-model", "manual__1", "task", -1

    def __init__(self, xcoms: dict) -> None:
        self.xcoms = xcoms
        self.pushed: dict[str, object] = {}

    def xcom_pull(self, task_ids: str, key: str | None = None):
        return self.xcoms.get(key or task_ids)

    def xcom_push(self, key: str, value: object) -> None:
        """Links keep what they need this way."""
        self.pushed[key] = value


def emitted(ctx: dict) -> list:
    """The events that a task has added to aliases, as Airflow gives them once the task is a success."""
    added = [event for accessor in ctx["outlet_events"]._dict.values() for event in accessor.asset_alias_events]
    return [SimpleNamespace(extra=one.extra, asset=SimpleNamespace(uri=one.dest_asset_key.uri)) for one in added]


def context(xcoms: dict, *, run_id: str = "manual__1", params: dict | None = None) -> dict:
    """The part of an Airflow context that Slipway's operators read."""
    dag_run = SimpleNamespace(dag_id="iris-model", run_id=run_id, run_after=datetime.now(UTC))
    return {
        "ti": FakeTaskInstance(xcoms),
        "dag_run": dag_run,
        "run_id": run_id,
        "params": params or {},
        "outlet_events": OutletEventAccessors(),
    }


def first_event(trigger) -> dict:
    """What a trigger tells the operator that deferred to it."""

    async def run():
        async for event in trigger.run():
            await trigger.cleanup()
            return event.payload

    return asyncio.run(run())


def run_task(operator, ctx: dict, *, wait=first_event):
    """Execute a task to its end.

    :param wait: takes a trigger, returns the payload of its event
    """
    method, kwargs = operator.execute, {}
    while True:
        try:
            return method(ctx, **kwargs)
        except TaskDeferred as deferral:
            event = wait(deferral.trigger)
            method, kwargs = getattr(operator, deferral.method_name), {**(deferral.kwargs or {}), "event": event}
