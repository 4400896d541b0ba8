"""How long the attempts of a release's tasks take, and the sending of all that a task has recorded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from airflow.sdk import get_current_context
from airflow.sdk.exceptions import AirflowSkipException, DownstreamTasksSkipped, TaskDeferred

from slipway.metrics.catalogue import STAGE_DURATION, STAGE_RETRIES
from slipway.metrics.record import enabled, flush, record
from slipway.names import RELEASE_TAG

_inside: ContextVar[bool] = ContextVar("slipway_measured", default=False)


@contextmanager
def measured() -> Iterator[None]:
    """Measure the part of a task that runs in this process; a task that defers goes on in another one.

    The block of an operator's base is inside of its subclass's, and only the outermost one counts.
    """
    if not enabled() or _inside.get():
        yield
        return
    token, outcome = _inside.set(True), "failed"
    try:
        yield
        outcome = "success"
    except TaskDeferred:
        outcome = ""
        raise
    except AirflowSkipException:
        outcome = "skipped"
        raise
    except DownstreamTasksSkipped:
        # It ends the task well, and skips those after it.
        outcome = "success"
        raise
    finally:
        _inside.reset(token)
        if outcome:
            _ended(outcome)
        flush()


def _ended(outcome: str) -> None:
    try:
        ti: Any = get_current_context()["ti"]
    except RuntimeError:
        # The function was called outside of a task.
        return
    if RELEASE_TAG not in ti.task.dag.tags:
        return
    where = {"model": ti.dag_id, "stage": ti.task_id}
    # Airflow keeps the start of a task that was deferred.
    record(STAGE_DURATION, (datetime.now(UTC) - ti.start_date).total_seconds(), **where, outcome=outcome)
    if ti.try_number > 1:
        record(STAGE_RETRIES, 1, **where)
