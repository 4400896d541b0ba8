"""The DAGs that a watcher starts: one for each bucket or AWS connection that is watched, named after it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from datetime import timedelta

from airflow.sdk import DAG, Asset, AssetWatcher

from slipway import names
from slipway.waiting.watcher import WatcherTrigger


def slug(name: str, *more: str) -> str:
    """Name what is watched; the result does not depend on what else is watched.

    :param name: the bucket or connection
    :param more: what else tells it from others
    """
    readable = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    return f"{readable}-{hashlib.sha256(' '.join([name, *more]).encode()).hexdigest()[:6]}"


def dag_ids(base: str, slugs: Sequence[str]) -> list[str]:
    """Return the DAG id for each of all that are watched: a single one has no slug in its id."""
    return [base] if len(slugs) == 1 else [f"{base}-{each}" for each in slugs]


def watched_asset(name: str, trigger: WatcherTrigger) -> Asset:
    """Build the asset whose events the watcher emits."""
    return Asset(name=name, watchers=[AssetWatcher(name=name, trigger=trigger)])


def watcher_dag(dag_id: str, asset: Asset, doc_md: str | None) -> DAG:
    """Build the DAG that an asset's events start; its only task is the caller's.

    :param dag_id: the DAG's id
    :param asset: the asset
    :param doc_md: the DAG's documentation
    """
    return DAG(
        dag_id,
        schedule=[asset],
        catchup=False,
        # One at a time: two runs would do the same work, and an asset's state store has no compare-and-set.
        max_active_runs=1,
        is_paused_upon_creation=False,
        default_args={"retries": 3, "retry_delay": timedelta(seconds=5)},
        tags=[names.DAG_TAG],
        doc_md=doc_md,
    )
