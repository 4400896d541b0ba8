"""The drift watcher: it reports what somebody has changed by hand in the models' stacks, between releases.

A watcher compares a stack with what is live within a quarter of an hour after its endpoint has changed, and every other
stack in its turn, two an hour (drift_turns.py). It emits an event when something else differs than what was reported
last. This DAG compares those again, notifies the model's topic and fails with what differs. A run by hand compares all.
It reports a difference once, until it changes or is gone. A stack that a release or a trial holds is left out. It puts
nothing right: the next release does.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.sdk import DAG, get_current_context, task

from slipway import names
from slipway.aws.endpoints import EndpointList, EndpointsHook
from slipway.aws.identity import resolve
from slipway.aws.patience import without_patience
from slipway.deployment import drift
from slipway.deployment.drift_turns import Compare, DriftTurns, Turns, WatchedStack
from slipway.errors import StackFailed
from slipway.host.links import run_url
from slipway.host.task_errors import with_error_block
from slipway.metrics.catalogue import DRIFT_FINDINGS
from slipway.metrics.record import record
from slipway.notices.send import Message, Notice, Notices
from slipway.stages.mixin import STAGE_OF, stage_gate
from slipway.states import Environment
from slipway.waiting.watcher import Look, WatcherTrigger
from slipway.waiting.watcher_dag import BY_THE_WATCHER, StateStore, by_connection, slug, watched_asset, watcher_dag

if TYPE_CHECKING:
    from slipway.model.config import ModelConfig

POLL_SECONDS = 900.0
# The beginning of the name of each asset whose state says what was reported, and the keys there: what the task has
# reported, and what the watcher goes by.
ASSET_PREFIX = "slipway-drift-"
REPORTED = "reported"
TURNS = "turns"
TASK_ID = "report_drift"


def stacks_of(models: Iterable[ModelConfig]) -> list[WatchedStack]:
    """Return both stacks of each model."""
    return [
        WatchedStack(
            model.prefix,
            one.value,
            model.source.bucket,
            names.endpoint_name(model.policy.endpoint.endpoint_prefix, one),
        )
        for model in models
        for one in Environment
    ]


def comparing(aws_conn_id: str | None) -> Compare:
    """Return what compares a stack with what is live, with a number of calls that is the same for each stack.

    :param aws_conn_id: Airflow connection with the AWS credentials
    """

    def compare(stack: WatchedStack) -> list[drift.Difference] | None:
        bucket, stage = resolve(stack.bucket, aws_conn_id), STAGE_OF[Environment(stack.environment)]
        if stage_gate(aws_conn_id).holder(bucket, names.board_key(stack.model), stage):
            return None
        return drift.of_stack(stack.name, aws_conn_id)

    return compare


def changed(
    stacks: Iterable[WatchedStack], compare: Compare, reported: Mapping[str, Sequence[str]]
) -> dict[WatchedStack, list[drift.Difference]]:
    """Find the stacks in which something else differs than what was reported.

    :param stacks: the stacks
    :param compare: compares one
    :param reported: what was reported last, by the stack's name
    :returns: what differs now, by the stack; an empty list where all is well again
    """
    found = {}
    for stack in stacks:
        now = compare(stack)
        if now is not None and sorted(map(str, now)) != sorted(reported.get(stack.name, ())):
            found[stack] = now
    return found


class DriftWatcherTrigger(WatcherTrigger):
    """Emit an event when something else differs from the stacks than what was reported.

    :param stacks: the fields of each WatchedStack
    :param aws_conn_id: Airflow connection with the AWS credentials
    :param poll_seconds: time between two comparisons
    """

    watched = "the stacks"

    def __init__(
        self, *, stacks: Sequence[Mapping[str, str]], aws_conn_id: str | None, poll_seconds: float = POLL_SECONDS
    ) -> None:
        super().__init__(aws_conn_id=aws_conn_id, poll_seconds=poll_seconds)
        self.stacks = [dict(stack) for stack in stacks]

    def arguments(self) -> dict[str, Any]:
        """Return the arguments that build this trigger again."""
        return {"stacks": self.stacks, **super().arguments()}

    def turns(self) -> DriftTurns:
        """Return what compares the stacks that are due."""
        endpoints = EndpointList(EndpointsHook(aws_conn_id=self.aws_conn_id))
        return DriftTurns([WatchedStack(**stack) for stack in self.stacks], endpoints, comparing(self.aws_conn_id))

    async def looks(self) -> AsyncGenerator[Look]:
        """Compare again and again."""
        turns, store = self.turns(), self._store()
        while True:
            before, reported = Turns.from_json(await store.aget(TURNS)), await store.aget(REPORTED) or {}
            # The comparison is synchronous: it gets a thread, which must not wait long. This loop waits instead.
            with without_patience():
                after = await asyncio.to_thread(turns.look, before, reported, datetime.now(UTC))
            await store.aset(TURNS, after.to_json())
            yield [(key, *texts) for key, texts in after.found.items()], {"waiting": len(after.found)}
            await asyncio.sleep(self.poll_seconds)

    def _store(self) -> Any:
        return self.asset_state_store


def build_drift_dags(models: Iterable[ModelConfig]) -> list[DAG]:
    """Build the drift watcher of every AWS connection.

    :param models: the models
    :returns: one DAG called ``drift`` for a single connection, else one for each connection, named after it
    """
    return [_build(*each) for each in by_connection(names.DRIFT_DAG_ID, models)]


def _build(aws_conn_id: str, dag_id: str, models: Sequence[ModelConfig]) -> DAG:
    stacks = stacks_of(models)
    receivers = {model.prefix: Notices.of_news(model) for model in models}
    trigger = DriftWatcherTrigger(stacks=[asdict(stack) for stack in stacks], aws_conn_id=aws_conn_id)
    asset = watched_asset(f"{ASSET_PREFIX}{slug(aws_conn_id)}", trigger)
    with watcher_dag(dag_id, [asset], __doc__) as dag:

        @task(task_id=TASK_ID, inlets=[asset])
        @with_error_block
        def report_drift(*, asset_state_store: Any = None) -> int:
            context, store = get_current_context(), asset_state_store[asset]
            due = stacks
            if context["dag_run"].run_type == BY_THE_WATCHER:
                due = [stack for stack in stacks if stack.key in Turns.from_json(store.get(TURNS)).found]

            def notify(stack: WatchedStack, why: str, fix: str) -> None:
                dag_run = context["dag_run"]
                link = f"{run_url(dag_run.dag_id, dag_run.run_id)}/tasks/{TASK_ID}"
                text = f"{stack.name} differs from what is live"
                key = f"{Notice.DRIFTED}/{stack.name}/{why}"
                message = Message(
                    Notice.DRIFTED, key, stack.model, text, link, stage=stack.environment, reason=why, fix=fix
                )
                receivers[stack.model].send(message, context, aws_conn_id)

            return report(due, comparing(aws_conn_id), store, notify)

        report_drift()
    return dag


def report(
    stacks: Sequence[WatchedStack],
    compare: Compare,
    store: StateStore,
    notify: Callable[[WatchedStack, str, str], None],
) -> int:
    """Report what differs and was not reported; the body of the watcher's only task.

    :param stacks: the stacks to compare
    :param compare: compares one
    :param store: the state of the watcher's asset
    :param notify: sends what differs in a stack, and the fix, to its model's receivers
    :returns: how many stacks are as they should be again
    :raises StackFailed: naming each difference
    """
    reported: dict[str, list[str]] = dict(store.get(REPORTED) or {})
    found = changed(stacks, compare, reported)
    drifted = {stack: now for stack, now in found.items() if now}
    # Before it is noted: a task that is killed in between compares and notifies again.
    for stack, now in drifted.items():
        notify(stack, "; ".join(map(str, now)), _fix(now))
    reported |= {stack.name: list(map(str, now)) for stack, now in found.items()}
    for stack in stacks:
        differences = len(reported.get(stack.name, ()))
        record(DRIFT_FINDINGS, differences, model=stack.model, environment=stack.environment)
    # Before the task fails: a difference is reported once.
    store.set(REPORTED, {name: texts for name, texts in reported.items() if texts})
    if drifted:
        raise StackFailed(
            "What is live differs from its stack",
            resource=", ".join(stack.name for stack in drifted),
            why="\n".join(f"{stack.name}: {one}" for stack, now in drifted.items() for one in now),
            fix=_fix([one for now in drifted.values() for one in now]),
        )
    return len(found)


def _fix(differences: Iterable[drift.Difference]) -> str:
    commands = [f"run `{one.fix}`" for one in differences if one.fix]
    return "; ".join([*commands, "the next release of the model puts right the rest"])
