"""The newest event under an alias, and what Airflow's DAG processor answers while it makes a callback's context."""

from datetime import UTC, datetime
from types import SimpleNamespace
from uuid import uuid4

import pytest
import structlog
from airflow.api_fastapi.execution_api.datamodels.taskinstance import DagRun, TaskInstance
from airflow.callbacks.callback_requests import DagCallbackRequest, DagRunContext
from airflow.dag_processing import processor
from airflow.sdk import AssetAlias
from airflow.sdk.api.datamodels._generated import AssetEventResponse, AssetEventsResponse
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.comms import AssetEventsResult, GetAssetEventByAssetAlias
from pydantic import TypeAdapter

from slipway import build_release_dag
from slipway.host.assets import newest_event
from tests.unit.request_samples import iris_model

NOW = datetime.now(UTC)


class Events:
    """The channel of a task: events under an alias."""

    def __init__(self, *events: AssetEventResponse) -> None:
        self.events = list(events)
        self.asked: list[GetAssetEventByAssetAlias] = []

    def send(self, message):
        self.asked.append(message)
        found = AssetEventsResponse(asset_events=self.events[: message.limit])
        return AssetEventsResult.from_asset_events_response(found)


class DagProcessor:
    """The channel of a callback: it knows what the DAG processor knows."""

    known = TypeAdapter(processor.ToManager)

    def send(self, message):
        self.known.validate_python(message.model_dump())


def event(number: int) -> AssetEventResponse:
    asset = {"name": "a", "uri": "sagemaker://us-west-2/123456789012/endpoint/a", "group": "asset", "extra": {}}
    return AssetEventResponse.model_validate(
        {"id": number, "timestamp": NOW, "extra": {"version": number}, "asset": asset, "created_dagruns": []}
    )


@pytest.mark.parametrize(("events", "version"), [((event(2), event(1)), 2), ((), None)])
def test_the_newest_event_is_asked_for_and_no_other(monkeypatch, events, version):
    channel = Events(*events)
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", channel, raising=False)
    found = newest_event(AssetAlias("slipway-live-iris-model"))
    assert (found and found.extra["version"]) == version
    (asked,) = channel.asked
    assert (asked.alias_name, asked.ascending, asked.limit) == ("slipway-live-iris-model", False, 1)


@pytest.mark.parametrize("failed", [True, False])
def test_a_run_whose_last_task_was_any_of_the_releases_has_its_callback(monkeypatch, failed):
    dag = build_release_dag(iris_model())
    ended: list[str] = []
    dag.on_failure_callback = dag.on_success_callback = lambda context: ended.append(context["ti"].task_id)
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", DagProcessor(), raising=False)
    requests = [request(dag.dag_id, task_id, failed) for task_id in dag.task_ids]
    processor._execute_callbacks(SimpleNamespace(dags={dag.dag_id: dag}), requests, structlog.get_logger())
    assert ended == list(dag.task_ids)
    assert {"test_prd", "settle_trial"} <= set(ended)


def request(dag_id: str, task_id: str, failed: bool) -> DagCallbackRequest:
    unknown = dict.fromkeys(("logical_date", "data_interval_start", "data_interval_end", "end_date", "partition_key"))
    run = {"dag_id": dag_id, "run_id": "s3__1", "run_after": NOW, "start_date": NOW, "run_type": "manual"}
    run |= {"state": "failed" if failed else "success", "consumed_asset_events": [], **unknown}
    task = TaskInstance(
        id=uuid4(),
        task_id=task_id,
        dag_id=dag_id,
        run_id="s3__1",
        try_number=1,
        map_index=-1,
        hostname="h",
        dag_version_id=uuid4(),
    )
    return DagCallbackRequest(
        filepath="release.py",
        bundle_name="dags-folder",
        bundle_version=None,
        dag_id=dag_id,
        run_id="s3__1",
        context_from_server=DagRunContext(dag_run=DagRun.model_validate(run), last_ti=task),
        is_failure_callback=failed,
        msg="task_failure",
    )
