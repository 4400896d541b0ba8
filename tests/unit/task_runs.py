"""Running an operator as Airflow would: through every deferral, its trigger included, without Airflow's processes."""

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace

from airflow.sdk.exceptions import TaskDeferred
from airflow.sdk.execution_time.context import OutletEventAccessors


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


class AssetEvents:
    """What inlet_events gives for every asset and alias: events that other tasks have left, the oldest first."""

    def __init__(self, events: Sequence = ()) -> None:
        self.events = list(events)

    def __getitem__(self, key) -> "AssetEvents":
        return self

    def __iter__(self):
        return iter(self.events)

    def ascending(self, ascending: bool = True) -> "AssetEvents":
        return AssetEvents(self.events if ascending else self.events[::-1])

    def limit(self, limit: int) -> "AssetEvents":
        return AssetEvents(self.events[:limit])


def emitted(ctx: dict) -> list:
    """The events that a task has added to aliases, as inlet_events gives them once the task is a success."""
    added = [event for accessor in ctx["outlet_events"]._dict.values() for event in accessor.asset_alias_events]
    return [SimpleNamespace(extra=one.extra, asset=SimpleNamespace(uri=one.dest_asset_key.uri)) for one in added]


def context(xcoms: dict, *, run_id: str = "manual__1", params: dict | None = None, events: Sequence = ()) -> dict:
    """The part of an Airflow context that Slipway's operators read."""
    dag_run = SimpleNamespace(dag_id="iris-model", run_id=run_id)
    assets = {"inlet_events": AssetEvents(events), "outlet_events": OutletEventAccessors()}
    return {"ti": FakeTaskInstance(xcoms), "dag_run": dag_run, "run_id": run_id, "params": params or {}, **assets}


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
