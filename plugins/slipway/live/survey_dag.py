"""The survey: it keeps what is live of all models for the release board, which asks no AWS itself.

A watcher looks every minute and writes what it finds to Airflow's database: endpoints, variants, weights, instances,
alarms, and the requests of the last minutes. It lists, and describes only what changed. While this DAG is paused nobody
looks, and the board says how old its facts are.

A run of this DAG describes everything again. Nothing starts one by itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.sdk import DAG, task

from slipway.host.task_errors import with_error_block
from slipway.live.look import LiveSurvey
from slipway.live.snapshot import ASSET_PREFIX, LOOKED, TASK_ID, Looked, Snapshot
from slipway.live.watcher import LiveWatcherTrigger
from slipway.names import LIVE_DAG_ID
from slipway.waiting.watcher_dag import by_connection, slug, watched_asset, watcher_dag

if TYPE_CHECKING:
    from slipway.model.config import ModelConfig


def build_live_dags(models: Iterable[ModelConfig]) -> list[DAG]:
    """Build the survey of every AWS connection.

    :param models: the models
    :returns: one DAG called ``live`` for a single connection, else one for each connection, named after it
    """
    return [
        _build(connection, dag_id, [model.prefix for model in its_models])
        for connection, dag_id, its_models in by_connection(LIVE_DAG_ID, models)
    ]


def _build(aws_conn_id: str, dag_id: str, models: list[str]) -> DAG:
    trigger = LiveWatcherTrigger(models=models, aws_conn_id=aws_conn_id)
    asset = watched_asset(f"{ASSET_PREFIX}{slug(aws_conn_id)}", trigger)
    with watcher_dag(dag_id, asset, __doc__) as dag:

        @task(task_id=TASK_ID, inlets=[asset])
        @with_error_block
        def describe_everything(*, asset_state_store: Any = None) -> int:
            found = LiveSurvey(models, aws_conn_id).look(Snapshot())
            store, parts = asset_state_store[asset], found.parts()
            for key, part in parts.items():
                store.set(key, part)
            store.set(LOOKED, Looked(datetime.now(UTC).isoformat(), len(parts)).to_json())
            return len(found.endpoints)

        describe_everything()
    return dag
