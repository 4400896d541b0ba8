"""One release of the iris model, task by task, as a run of Airflow holds it together."""

from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

from airflow.sdk.execution_time.context import OutletEventAccessors

from slipway import names
from slipway.approval.answers import QUESTION, Answer, Question
from slipway.approval.approve import HumanApprovalSensor
from slipway.approval.wait import ApprovalOutcome, ApprovalTrigger
from slipway.cleanup.collect_garbage import CollectGarbageOperator
from slipway.deployment.deploy_endpoint import EndpointDeployOperator
from slipway.model.approval_rules import ONLY_STAGE
from slipway.model.config import ModelConfig
from slipway.plan import pull_revision
from slipway.quality.endpoint import EndpointTestOperator
from slipway.quality.evaluate import EvaluateOperator
from slipway.registry.record import How
from slipway.registry.register import RegisterModelOperator
from slipway.request.process import process_request
from slipway.source.pin import S3VersionSensor
from slipway.states import Environment
from slipway.training.train import SlipwayTrainingOperator
from tests.local_aws.server import LocalAws
from tests.unit.request_samples import BUCKET, KEY
from tests.unit.scripted_aws import MemoryStore
from tests.unit.signatures import signed_answer
from tests.unit.task_runs import FakeTaskInstance


class Run:
    """A run's XComs and its tasks' state stores, which outlive every kill."""

    def __init__(self, run_id: str, version_id: str | None = None, **conf: Any) -> None:
        self.run_id = run_id
        self.xcoms: dict[str, Any] = {}
        self._conf = {"bucket": BUCKET, "key": KEY, "version_id": version_id, **conf}
        self._created = datetime.now(UTC)
        self._stores: dict[str, MemoryStore] = {}

    def context(self, task_id: str) -> dict[str, Any]:
        """:returns: the context of one task"""
        ti = FakeTaskInstance(self.xcoms)
        vars(ti).update(id=uuid4(), dag_id="iris-model", run_id=self.run_id, task_id=task_id)
        return {
            "ti": ti,
            "task_instance": ti,
            "task_state_store": self._stores.setdefault(task_id, MemoryStore()),
            "dag_run": SimpleNamespace(
                dag_id="iris-model", run_id=self.run_id, conf=self._conf, run_after=self._created
            ),
            "run_id": self.run_id,
            "params": {},
            "outlet_events": OutletEventAccessors(),
        }


def begin(aws: LocalAws, model: ModelConfig, data: bytes) -> Run:
    """Upload a zip. Returns its run, up to where it trains."""
    version = aws.client("s3").put_object(Bucket=BUCKET, Key=KEY, Body=data)["VersionId"]
    run = Run(f"{names.AUTO_RUN_PREFIX}{names.revision_id(BUCKET, KEY, version)}", version)
    for task_id in ("source", "process_request"):
        run.xcoms[task_id] = tasks(model)[task_id]().execute(run.context(task_id))
    return run


def approve(run: Run, trigger: ApprovalTrigger) -> dict[str, Any]:
    """Answer the question as the API server does, which writes the answer down in the transaction that accepts it.

    :param trigger: what waits for the answer
    :returns: the payload of the trigger's event
    """
    store = run.context("approve")["task_state_store"]
    question = Question.from_json(store.get(QUESTION))
    given = Answer(True, "alice", "2026-05-02T08:00:00+00:00", How.AIRFLOW, "", ONLY_STAGE, trigger.model_package_arn)
    store.set(question.answer_key, signed_answer(given, question, run.context("approve")["ti"]))
    return {"outcome": ApprovalOutcome.ANSWERED.value}


def tasks(model: ModelConfig) -> dict[str, Callable[[], Any]]:
    """The tasks of a release in their order; each call gives an operator of its own.

    :param model: the model file
    """
    return {
        "source": lambda: S3VersionSensor(
            task_id="source", model_prefix=model.prefix, bucket_name=BUCKET, bucket_key=KEY, timeout=60
        ),
        "process_request": lambda: SimpleNamespace(
            execute=lambda ctx: process_request(model, pull_revision(ctx)).to_xcom()
        ),
        "train": lambda: SlipwayTrainingOperator(task_id="train", model=model),
        "evaluate": lambda: EvaluateOperator(task_id="evaluate", model=model),
        "register": lambda: RegisterModelOperator(task_id="register", model=model),
        "deploy_dev": lambda: _deploy(model, Environment.DEVELOPMENT),
        "test_dev": lambda: _test(model, Environment.DEVELOPMENT),
        "approve": lambda: HumanApprovalSensor(
            task_id="approve",
            subject=model.approval.subject,
            rules=model.approval.rules(),
            home_bucket=model.source.bucket,
        ),
        "deploy_prd": lambda: _deploy(model, Environment.PRODUCTION),
        "test_prd": lambda: _test(model, Environment.PRODUCTION),
        "collect_garbage": lambda: CollectGarbageOperator(task_id="collect_garbage", model=model),
    }


def _deploy(model: ModelConfig, environment: Environment) -> EndpointDeployOperator:
    return EndpointDeployOperator(task_id=f"deploy_{environment.short}", model=model, environment=environment)


def _test(model: ModelConfig, environment: Environment) -> EndpointTestOperator:
    return EndpointTestOperator(task_id=f"test_{environment.short}", model=model, environment=environment)
