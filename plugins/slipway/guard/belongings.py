"""What belongs to Slipway in Airflow's database: DAGs, assets, connections, variables."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from airflow.models.asset import AssetModel
from airflow.models.dag import DagTag
from airflow.models.taskinstance import TaskInstance
from airflow.models.taskinstancehistory import TaskInstanceHistory
from sqlalchemy import or_, select
from sqlalchemy.engine import Connection

from slipway.deployment import drift_watch
from slipway.live import alarms, snapshot
from slipway.model.files import load_models
from slipway.names import DAG_TAG, DRIFT_DAG_ID, IMAGE_TAG, INTAKE_DAG_ID, LIVE_DAG_ID, RELEASE_TAG
from slipway.paths import models_folder
from slipway.source import uploads
from slipway.training.owner import INSTANCE_VARIABLE
from slipway.waiting.activity import ACTIVITY_VARIABLE

log = logging.getLogger(__name__)

# The guard's own test writes to this id. No DAG has it, because ids have no spaces.
# https://airflow.apache.org/docs/apache-airflow/stable/core-concepts/dags.html
TEST_DAG_ID = "test of the approval guard"
VARIABLES = frozenset({INSTANCE_VARIABLE, ACTIVITY_VARIABLE})
_DEFAULT_CONNECTION = "aws_default"


@dataclass(frozen=True)
class KeptFacts:
    """What is in the state stores of one kind of assets, and which tasks write it.

    Watchers write there too, in the triggerer, where there is no caller.

    :param what: what is known
    :param writer: what people call the task's DAG
    :param dag_id: the DAG, or the beginning of its id if there are several
    :param task_ids: the tasks
    """

    what: str
    writer: str
    dag_id: str
    task_ids: frozenset[str]


# By the beginning of the assets' names.
_KEPT_FACTS = {
    uploads.ASSET_PREFIX: KeptFacts(
        "known about uploads", "the intake", INTAKE_DAG_ID, frozenset({uploads.INTAKE_TASK_ID})
    ),
    snapshot.ASSET_PREFIX: KeptFacts(
        "known to be live", "the survey", LIVE_DAG_ID, frozenset({snapshot.TASK_ID, alarms.TELL_TASK_ID})
    ),
    drift_watch.ASSET_PREFIX: KeptFacts(
        "reported as drift", "the drift watcher", DRIFT_DAG_ID, frozenset({drift_watch.TASK_ID})
    ),
}


def slipways_dags(dag_ids: Iterable[Any], connection: Connection) -> set[str]:
    """Find Slipway's DAGs by their tag, which the DAG files set and no API can change.

    :param dag_ids: any DAG ids
    :param connection: the connection of the write that is checked
    """
    asked = set(dag_ids)
    tagged = select(DagTag.dag_id).where(DagTag.name == DAG_TAG, DagTag.dag_id.in_(asked - {TEST_DAG_ID}))
    return {*connection.scalars(tagged), *(asked & {TEST_DAG_ID})}


def dags_with_news(dag_ids: Iterable[Any], connection: Connection) -> set[str]:
    """Find the DAGs whose failed runs people are told of, among some: those that release a model or build its image.

    :param dag_ids: any DAG ids
    :param connection: the connection of the write that is checked
    """
    own = slipways_dags(dag_ids, connection)
    tagged = select(DagTag.dag_id).where(DagTag.name.in_((RELEASE_TAG, IMAGE_TAG)), DagTag.dag_id.in_(own))
    return set(connection.scalars(tagged))


def slipways_assets(asset_ids: Iterable[Any], connection: Connection) -> dict[int, str]:
    """Find the assets that Slipway keeps facts on, also for buckets and connections that no model file names any more.

    :param asset_ids: any assets' ids
    :param connection: the connection of the write that is checked
    :returns: names by id
    """
    statement = select(AssetModel.id, AssetModel.name).where(
        AssetModel.id.in_(set(asset_ids)),
        or_(*(AssetModel.name.startswith(prefix, autoescape=True) for prefix in _KEPT_FACTS)),
    )
    return {row.id: row.name for row in connection.execute(statement)}


def kept_facts(asset_name: str) -> KeptFacts:
    """Return what is in the state store of one of Slipway's assets."""
    return _KEPT_FACTS[_prefix(asset_name)]


def is_writer_of(asset_name: str, dag_id: str, task_id: str, connection: Connection) -> bool:
    """Tell whether a task is the one that writes the facts on an asset, for the same bucket or AWS connection.

    :param asset_name: the name of one of Slipway's assets
    :param dag_id: the task's DAG
    :param task_id: the task
    :param connection: the connection of the write that is checked
    """
    facts, slug = kept_facts(asset_name), asset_name.removeprefix(_prefix(asset_name))
    if task_id not in facts.task_ids or dag_id not in (facts.dag_id, f"{facts.dag_id}-{slug}"):
        return False
    if facts.dag_id == INTAKE_DAG_ID:
        return is_intake(dag_id, task_id)
    return bool(slipways_dags({dag_id}, connection))


def _prefix(asset_name: str) -> str:
    return next(prefix for prefix in _KEPT_FACTS if asset_name.startswith(prefix))


def is_intake(dag_id: str, task_id: str) -> bool:
    """Tell whether a task is the intake of a bucket that a model file names; by its name while a file is broken."""
    if task_id != uploads.INTAKE_TASK_ID:
        return False
    models, errors = load_models(models_folder())
    if errors or not models:
        return f"{dag_id}-".startswith(f"{INTAKE_DAG_ID}-")
    from slipway.model.pipelines import Pipeline
    from slipway.source.intake import intake_dag_ids, sources

    return dag_id in intake_dag_ids(sources(map(Pipeline, models)))


def task_of(task_instance_id: Any, connection: Connection) -> tuple[str, str, str, int] | None:
    """Return DAG id, run id, task id and map index of a task instance; None if it does not exist."""
    columns = (TaskInstance.dag_id, TaskInstance.run_id, TaskInstance.task_id, TaskInstance.map_index)
    row = connection.execute(select(*columns).where(TaskInstance.id == task_instance_id)).one_or_none()
    return tuple(row) if row else None  # type: ignore[return-value]


def task_of_ended_try(task_instance_id: Any, connection: Connection) -> tuple[str, str, str, int] | None:
    """Return what `task_of` does, for the id that a task instance had until it was given another for its next try."""
    past = TaskInstanceHistory
    columns = (past.dag_id, past.run_id, past.task_id, past.map_index)
    row = connection.execute(select(*columns).where(past.task_instance_id == task_instance_id)).one_or_none()
    return tuple(row) if row else None  # type: ignore[return-value]


def is_slipways_connection(conn_id: str) -> bool:
    """Tell whether a model file names a connection. While a file cannot be read, every connection counts.

    :param conn_id: a connection's id
    """
    try:
        models, errors = load_models(models_folder())
    except OSError as error:
        log.warning("Every connection counts as named by a model file: %s", error)
        return True
    if errors or not models:
        why = errors[0] if errors else "there is no model file"
        log.warning("Every connection counts as named by a model file: %s", why)
        return True
    return conn_id in {_DEFAULT_CONNECTION, *(name for model in models for name in _connections(model.model_dump()))}


def _connections(value: Any) -> Iterator[str]:
    """Find the connections that a model file names anywhere, notifiers' arguments included."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if str(key).endswith("conn_id") and isinstance(inner, str):
                yield inner
            yield from _connections(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _connections(inner)
