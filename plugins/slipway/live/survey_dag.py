"""The survey: it keeps what is live of all models for the release board, which asks no AWS itself.

A watcher looks every minute and writes what it finds to Airflow's database: endpoints, variants, weights, instances,
alarms, and the requests of the last minutes, with a history of a week. It lists, and describes only what changed. While
this DAG is paused nobody looks, and the board says how old its facts are.

The watcher starts a run of this DAG when an alarm begins to fire: its task tells the notifiers of the model's news. A
run by hand describes everything again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.sdk import DAG, get_current_context, task
from airflow.sdk.exceptions import AirflowSkipException

from slipway.errors import SlipwayError
from slipway.host.task_errors import with_error_block
from slipway.live.alarms import TELL_TASK_ID, tell
from slipway.live.look import LiveSurvey
from slipway.live.snapshot import ASSET_PREFIX, LOOKED, TASK_ID, Looked, Snapshot
from slipway.live.watcher import CALM_POLL_SECONDS, LiveWatcherTrigger
from slipway.names import LIVE_DAG_ID
from slipway.notices.send import Message, Notices
from slipway.waiting.watcher_dag import BY_THE_WATCHER, by_connection, slug, watched_asset, watcher_dag

if TYPE_CHECKING:
    from slipway.model.config import ModelConfig


def build_live_dags(models: Iterable[ModelConfig]) -> list[DAG]:
    """Build the survey of every AWS connection.

    :param models: the models
    :returns: one DAG called ``live`` for a single connection, else one for each connection, named after it
    """
    return [
        _build(connection, dag_id, its_models) for connection, dag_id, its_models in by_connection(LIVE_DAG_ID, models)
    ]


def _build(aws_conn_id: str, dag_id: str, models: Sequence[ModelConfig]) -> DAG:
    prefixes = [model.prefix for model in models]
    # CloudWatch publishes to the topic itself.
    receivers = {model.prefix: Notices.of_news(model).notifiers_only for model in models}
    notified = [prefix for prefix, notices in receivers.items() if notices]
    trigger = LiveWatcherTrigger(models=prefixes, notified=notified, aws_conn_id=aws_conn_id)
    asset = watched_asset(f"{ASSET_PREFIX}{slug(aws_conn_id)}", trigger)
    with watcher_dag(dag_id, [asset], __doc__) as dag:

        @task(task_id=TASK_ID, inlets=[asset])
        @with_error_block
        def describe_everything(*, asset_state_store: Any = None) -> int:
            if get_current_context()["dag_run"].run_type == BY_THE_WATCHER:
                raise AirflowSkipException("The watcher started this run because of an alarm")
            found = LiveSurvey(prefixes, aws_conn_id).look(Snapshot()).snapshot
            store, parts = asset_state_store[asset], found.parts()
            for key, part in parts.items():
                store.set(key, part)
            # The watcher may have begun its longest pause a moment ago.
            looked = Looked(datetime.now(UTC).isoformat(), len(parts), pause_seconds=CALM_POLL_SECONDS)
            store.set(LOOKED, looked.to_json())
            return len(found.endpoints)

        @task(task_id=TELL_TASK_ID, inlets=[asset])
        @with_error_block
        def tell_alarms(*, asset_state_store: Any = None) -> None:
            context: Any = get_current_context()
            last_try = context["ti"].try_number > context["ti"].max_tries

            def send(message: Message) -> bool:
                # The model's file may be gone.
                notices = receivers.get(message.model)
                return notices is None or notices.send(message, context, aws_conn_id)

            missed = tell(asset_state_store[asset], send, last_try=last_try)
            if missed:
                raise SlipwayError(
                    "Not every notifier was told of an alarm",
                    resource=", ".join(missed),
                    why="a notifier failed; the log above says why",
                    fix="check the receivers in the model file",
                )

        describe_everything()
        tell_alarms()
    return dag
