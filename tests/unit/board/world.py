"""Models, runs, results and questions in a database of Airflow's, as releases of Slipway's leave them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from airflow.models.dag import DagModel, DagTag
from airflow.models.dag_version import DagVersion
from airflow.models.dagbundle import DagBundleModel
from airflow.models.dagrun import DagRun
from airflow.models.hitl import HITLDetail
from airflow.models.log import Log
from airflow.models.serialized_dag import SerializedDagModel
from airflow.models.task_state_store import TaskStateStoreModel
from airflow.models.taskinstance import TaskInstance
from airflow.models.trigger import Trigger
from airflow.models.xcom import XComModel
from airflow.serialization.serialized_objects import LazyDeserializedDAG
from sqlalchemy import Connection, Engine, func, insert, select

from slipway.approval.answers import DECIDED, QUESTION, Question
from slipway.board.stages import STAGE_TRIGGER
from slipway.host.task_errors import FAILURE
from slipway.model.config import ModelConfig
from slipway.model.files import load_models
from slipway.paths import models_folder
from slipway.release_dag import build_release_dag

NOW = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)
BUNDLE = "dags-folder"
TASKS = (
    "source",
    "process_request",
    "train",
    "evaluate",
    "register",
    "deploy_dev",
    "test_dev",
    "approve",
    "roll_back",
    "deploy_prd",
    "test_prd",
    "watch_trial",
    "decide_trial",
    "settle_trial",
    "collect_garbage",
)
OPERATORS = {"approve": "HumanApprovalSensor", "decide_trial": "TrialDecisionSensor"}
# They wait for AWS or for people, without a process.
DEFERRING = ("train", "deploy_dev", "approve", "deploy_prd", "watch_trial", "decide_trial")
TRIAL = ("watch_trial", "decide_trial", "settle_trial")


def arn(model: str, version: int) -> str:
    return f"arn:aws:sagemaker:us-west-2:123456789012:model-package/mlops-{model}/{version}"


def iris() -> ModelConfig:
    """The model file of the demo, whose approvers are alice and carol."""
    models, _ = load_models(models_folder())
    return next(model for model in models if model.prefix == "iris-model")


def upto(task_id: str, state: str, *, otherwise: str | None = None) -> dict[str, str | None]:
    """States of a release's tasks: those before this one are done, it has this state, and those after it another."""
    place = TASKS.index(task_id)
    states = {one: "success" if at < place else state if at == place else otherwise for at, one in enumerate(TASKS)}
    return states | {"roll_back": "skipped"}


RELEASED = upto("collect_garbage", "success") | dict.fromkeys(TRIAL, "skipped")
# As a model's file without a trial leaves it: slipway/trial/watch.py. Each stage is reached.
EVERY_STAGE = RELEASED | {"watch_trial": "success"}


def results(model: str, version: int, *, live: int | None = None, **more: Any) -> dict[str, Any]:
    """The XComs of a release that has got to production, by task."""
    gate = {"metric": "validation:accuracy", "minimum": 0.9, "maximum": None, "value": 0.97, "passed": True}
    outputs = {"ModelPackageArn": arn(model, version), "EndpointName": f"{model}-production"}
    found: dict[str, Any] = {
        "source": {
            "bucket": "uploads",
            "key": f"training_jobs/{model}/trainingjob.zip",
            "version_id": f"v{version}",
            "etag": "e",
            "size_bytes": 1234,
            "last_modified": (NOW - timedelta(hours=9 - version % 9)).isoformat(),
        },
        "process_request": {
            "prefix": model,
            "digest": "d" * 64,
            "training_job_name": f"{model}-job",
            "trial_share": None,
        },
        "train": {"training_job_name": f"{model}-job", "metrics": {"validation:accuracy": 0.97}, "seconds": 61},
        "evaluate": {
            "metrics": {"validation:accuracy": 0.97},
            "gates": [gate],
            "live": live and {"model_package_arn": arn(model, live), "metrics": {"validation:accuracy": 0.95}},
        },
        "register": {"model_package_arn": arn(model, version), "version": version},
        "deploy_dev": {"stack_name": f"mlops-deploy-{model}-dev", "change": "updated", "outputs": outputs},
        "test_dev": {
            "endpoint_name": f"{model}-development",
            "rows": 30,
            "accuracy": 0.9667,
            "accuracy_minimum": 0.9,
            "latency_ms": {"p50": 4.2, "p99": 9.8},
            "variants": {"model-a": 30},
            "champion": None,
        },
        "deploy_prd": {"stack_name": f"mlops-deploy-{model}-prd", "change": "updated", "outputs": outputs},
        "test_prd": {"endpoint_name": f"{model}-production", "rows": 30, "accuracy": 0.9667, "accuracy_minimum": 0.9},
    }
    return found | more


def _changes(task_id: str, state: str | None) -> list[tuple[str, int]]:
    """A task's states, and the second of each."""
    if state in ("deferred", "in line"):
        return [("running", 0), ("deferred", 6)]
    if state not in ("success", "failed"):
        return [("running", 0)]
    waited = [("deferred", 6), ("running", 52)] if task_id in DEFERRING else []
    return [("running", 0), *waited, (state, 60)]


class World:
    """Writes into a database; everything is committed at the end of ``with``.

    :param engine: of a database with Airflow's tables
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._rows: dict[Any, list[dict[str, Any]]] = {}
        with engine.connect() as connection:
            self._next = {kind: self._newest(connection, kind) + 1 for kind in (DagRun, Trigger)}
            self._bundle_is_there = connection.scalar(select(func.count()).select_from(DagBundleModel)) > 0

    @staticmethod
    def _newest(connection: Connection, kind: Any) -> int:
        return connection.scalar(select(func.max(kind.id))) or 0

    def __enter__(self) -> World:
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if error is None:
            self.write()

    def write(self) -> None:
        """Write everything so far, table by table."""
        order = (
            DagBundleModel,
            DagModel,
            DagTag,
            DagVersion,
            SerializedDagModel,
            DagRun,
            Trigger,
            TaskInstance,
            Log,
            XComModel,
            HITLDetail,
            TaskStateStoreModel,
        )
        with self.engine.begin() as connection:
            for kind in order:
                for row in self._by_columns(self._rows.get(kind, [])):
                    connection.execute(insert(kind.__table__), row)
        self._rows = {}

    @staticmethod
    def _by_columns(rows: list[dict[str, Any]]) -> Sequence[list[dict[str, Any]]]:
        """Group rows that have the same columns, so that each group is one statement."""
        groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
        for row in rows:
            groups.setdefault(tuple(row), []).append(row)
        return list(groups.values())

    def add(self, kind: Any, **row: Any) -> None:
        self._rows.setdefault(kind, []).append(row)

    def _number(self, kind: Any) -> int:
        self._next[kind] += 1
        return self._next[kind] - 1

    def model(
        self, name: str, *, tags: Sequence[str] = ("slipway", "release"), paused: bool = False, serialized: bool = True
    ) -> None:
        """A model's DAG, with the rules of the iris model."""
        if not self._bundle_is_there:
            self._bundle_is_there = True
            self.add(DagBundleModel, name=BUNDLE, active=True)
        self.add(
            DagModel,
            dag_id=name,
            is_paused=paused,
            is_stale=False,
            bundle_name=BUNDLE,
            fileloc=f"/{name}.py",
            relative_fileloc=f"{name}.py",
            timetable_type="null",
            max_active_tasks=16,
            max_active_runs=16,
            max_consecutive_failed_dag_runs=0,
            has_task_concurrency_limits=False,
            has_import_errors=False,
            fail_fast=False,
            exceeds_max_non_backfill=False,
        )
        for tag in tags:
            self.add(DagTag, name=tag, dag_id=name)
        if serialized:
            self._serialize(name)

    def _serialize(self, name: str) -> None:
        version = uuid4()
        model = iris().model_copy(update={"prefix": name})
        data = LazyDeserializedDAG.from_dag(build_release_dag(model)).data
        self.add(DagVersion, id=version, version_number=1, dag_id=name, created_at=NOW, last_updated=NOW)
        self.add(
            SerializedDagModel,
            id=uuid4(),
            dag_id=name,
            data=data,
            dag_hash="h" * 32,
            dag_version_id=version,
            created_at=NOW,
            last_updated=NOW,
        )

    def run(
        self,
        model: str,
        run_id: str,
        state: str,
        tasks: Mapping[str, str | None],
        left: Mapping[str, Any] | None = None,
        *,
        age: timedelta = timedelta(hours=1),
        conf: Mapping[str, Any] | None = None,
        by: str | None = None,
        traceparent: str | None = None,
    ) -> dict[str, UUID]:
        """A run with its tasks and their results.

        :param left: results by task
        :returns: the ids of the task instances
        """
        number, began = self._number(DagRun), NOW - age
        ended = began + timedelta(minutes=30) if state in ("success", "failed") else None
        self.add(
            DagRun,
            id=number,
            dag_id=model,
            run_id=run_id,
            state=state,
            run_type="manual",
            run_after=began,
            start_date=began,
            end_date=ended,
            queued_at=began,
            conf=dict(conf or {}),
            triggering_user_name=by,
            clear_number=0,
            context_carrier={"traceparent": traceparent} if traceparent else None,
            log_template_id=None,
            created_at=began,
        )
        ids = {}
        for place, (task_id, task_state) in enumerate(tasks.items()):
            ids[task_id] = self._task(model, run_id, task_id, task_state, began + timedelta(minutes=2 * place))
            if left and task_id in left and task_state == "success":
                self._xcom(number, model, run_id, task_id, "return_value", left[task_id])
        self._last = (number, model, run_id)
        return ids

    def _task(self, model: str, run_id: str, task_id: str, state: str | None, began: datetime) -> UUID:
        started = began if state not in (None, "skipped", "upstream_failed", "scheduled") else None
        ended = state in ("success", "failed", "skipped", "upstream_failed")
        trigger = None
        for event, seconds in _changes(task_id, state) if started else ():
            self.event(model, run_id, task_id, event, began + timedelta(seconds=seconds))
        if state == "in line":
            state, trigger = "deferred", self._number(Trigger)
            self.add(Trigger, id=trigger, classpath=STAGE_TRIGGER, kwargs="x", created_date=NOW)
        ti_id = uuid4()
        self.add(
            TaskInstance,
            id=ti_id,
            task_id=task_id,
            dag_id=model,
            run_id=run_id,
            map_index=-1,
            state=state,
            start_date=started,
            end_date=began + timedelta(minutes=1) if ended else None,
            duration=60.0 if ended else None,
            try_number=1 if started else 0,
            max_tries=3,
            pool="default_pool",
            pool_slots=1,
            queue="default",
            priority_weight=1,
            operator=OPERATORS.get(task_id, "Other"),
            trigger_id=trigger,
            unixname="airflow",
            executor_config=None,
            hostname="here",
        )
        return ti_id

    def event(self, model: str, run_id: str, task_id: str, event: str, at: datetime) -> None:
        """A line of Airflow's event log about a task."""
        self.add(Log, dttm=at, dag_id=model, run_id=run_id, task_id=task_id, map_index=-1, event=event, owner="airflow")

    def _xcom(self, run: int, model: str, run_id: str, task_id: str, key: str, value: Any) -> None:
        self.add(
            XComModel,
            dag_run_id=run,
            dag_id=model,
            run_id=run_id,
            task_id=task_id,
            map_index=-1,
            key=key,
            value=value,
            timestamp=NOW,
        )

    def failure(self, task_id: str, **parts: Any) -> None:
        """The error that a task of the last run has kept."""
        self._xcom(*self._last, task_id, FAILURE, {"format_version": 1, **parts})

    def keep(self, task_id: str, key: str, value: Any) -> None:
        """Another XCom of a task of the last run."""
        self._xcom(*self._last, task_id, key, value)

    def ask(
        self,
        task: UUID,
        version: int,
        *,
        task_id: str = "approve",
        options: Sequence[str] = ("Approve", "Reject"),
        age: timedelta = timedelta(minutes=10),
        **question: Any,
    ) -> None:
        """The question of a task of the last run, in Airflow and in the task's state store."""
        _, model, _ = self._last
        at = NOW - age
        subject = "Shall this model be put into production?" if task_id == "approve" else "Promote, keep or retire?"
        self.add(
            HITLDetail,
            ti_id=task,
            options=list(options),
            subject=subject,
            body="facts",
            multiple=False,
            params={},
            assignees=[],
            created_at=at,
            params_input={},
        )
        asked = Question(at.timestamp(), arn(model, version), **question)
        self.remember(task_id, QUESTION, asked.to_json())

    def decided(self, task_id: str, **decision: Any) -> None:
        """What was decided about the last run."""
        self.remember(task_id, DECIDED, {"format_version": 1, **decision})

    def remember(self, task_id: str, key: str, value: Any) -> None:
        number, model, run_id = self._last
        self.add(
            TaskStateStoreModel,
            dag_run_id=number,
            dag_id=model,
            run_id=run_id,
            task_id=task_id,
            map_index=-1,
            key=key,
            value=json.dumps(value),
            updated_at=NOW,
        )
