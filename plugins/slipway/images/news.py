"""News about how builds of images end, to those who are told of the model's releases.

Airflow calls a DAG's callback once for each run that has ended, so retries and cleared tasks send nothing more.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from slipway.errors import ImageRefused, ScanFailed
from slipway.metrics.catalogue import IMAGE_BUILDS
from slipway.metrics.record import enabled, flush, record
from slipway.notices.news import kept_failure, tell_failed

if TYPE_CHECKING:
    from airflow.sdk import Context

    from slipway.model.config import ModelConfig

# The task that ends well only where there is an image.
RECORD = "record"
_REFUSALS = frozenset({ImageRefused.__name__, ScanFailed.__name__})


def on_failure(model: ModelConfig) -> Callable[[Context], None]:
    """Return the callback of the DAG of a model's image for runs that have failed."""
    return functools.partial(_failed, model)


def on_success(model: ModelConfig) -> Callable[[Context], None] | None:
    """Return the callback of that DAG for runs that ended well; None where nothing is measured."""
    return functools.partial(_recorded, model) if enabled() else None


def _failed(model: ModelConfig, context: Context) -> None:
    _count(model, "refused" if kept_failure(context).get("kind") in _REFUSALS else "failed")
    tell_failed("build of the image", model, context)


def _recorded(model: ModelConfig, context: Context) -> None:
    ti: Any = context.get("ti")
    # A run whose version another one builds ends well too, for Airflow.
    if ti and ti.xcom_pull(task_ids=RECORD):
        _count(model, "recorded")


def _count(model: ModelConfig, outcome: str) -> None:
    record(IMAGE_BUILDS, 1, model=model.prefix, outcome=outcome)
    # The process of a callback is short.
    flush()
