"""The DAGs that a watcher starts: one for each bucket or AWS connection that is watched, named after it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from airflow.sdk import DAG, Asset, AssetWatcher

from slipway import names
from slipway.waiting.watcher import WatcherTrigger

if TYPE_CHECKING:
    from airflow.sdk.definitions.asset import BaseAsset

# The type of a run that an asset's event has started.
BY_THE_WATCHER = "asset_triggered"


class OfConnection(Protocol):
    """What is watched in the account of an AWS connection: a model."""

    @property
    def prefix(self) -> str: ...

    @property
    def aws_conn_id(self) -> str: ...


class StateStore(Protocol):
    """The part of Airflow's asset state store that the task of a watcher's DAG uses."""

    def get(self, key: str, default: Any = None) -> Any: ...

    def set(self, key: str, value: Any) -> None: ...


Watched = TypeVar("Watched", bound=OfConnection)


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


def by_connection(base: str, models: Iterable[Watched]) -> Iterator[tuple[str, str, list[Watched]]]:
    """Return each AWS connection with the id of its DAG and its models.

    :param base: the id of the DAG of a single connection; with several, each one's slug follows it
    :param models: the models of all connections
    """
    found: dict[str, list[Watched]] = {}
    for model in sorted(models, key=lambda one: one.prefix):
        found.setdefault(model.aws_conn_id, []).append(model)
    connections = sorted(found)
    ids = dag_ids(base, list(map(slug, connections)))
    for connection, dag_id in zip(connections, ids, strict=True):
        yield connection, dag_id, found[connection]


def watched_asset(name: str, trigger: WatcherTrigger) -> Asset:
    """Build the asset whose events the watcher emits."""
    return Asset(name=name, watchers=[AssetWatcher(name=name, trigger=trigger)])


def watcher_dag(dag_id: str, schedule: Sequence[BaseAsset] | BaseAsset, doc_md: str | None) -> DAG:
    """Build the DAG that assets' events start; its only task is the caller's.

    :param dag_id: the DAG's id
    :param schedule: the asset, or the assets, whose events start it
    :param doc_md: the DAG's documentation
    """
    return DAG(
        dag_id,
        schedule=schedule,
        catchup=False,
        # One at a time: two runs would do the same work, and an asset's state store has no compare-and-set.
        max_active_runs=1,
        is_paused_upon_creation=False,
        default_args={"retries": 3, "retry_delay": timedelta(seconds=5)},
        tags=[names.DAG_TAG],
        doc_md=doc_md,
    )
