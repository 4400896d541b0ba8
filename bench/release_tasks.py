"""A release of the iris model, a collection and a teardown, task by task as Airflow runs them, without Airflow.

The operators are the product's. What stands in for Airflow are the stand-ins of the tests. A wait for AWS is waited
out with the administrator's client before its trigger looks, so that a slow machine costs no further look.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

from airflow.providers.standard.triggers.temporal import TimeDeltaTrigger
from botocore import xform_name

from demo import upload
from slipway.approval import asking
from slipway.approval import wait as approval_wait
from slipway.approval.answers import Answer, read_question
from slipway.approval.approve import HumanApprovalSensor
from slipway.approval.wait import ApprovalTrigger
from slipway.cleanup.collect_garbage import CollectGarbageOperator
from slipway.cleanup.teardown import NothingLeftOperator, TeardownOperator
from slipway.deployment.deploy_endpoint import EndpointDeployOperator
from slipway.host import runs
from slipway.model.approval_rules import ONLY_STAGE
from slipway.model.config import ModelConfig
from slipway.names import stack_name
from slipway.notices.send import Notices
from slipway.plan import pull_revision
from slipway.quality.endpoint import EndpointTestOperator
from slipway.quality.evaluate import EvaluateOperator
from slipway.registry.record import How
from slipway.registry.register import RegisterModelOperator
from slipway.request.process import process_request
from slipway.source.pin import S3VersionSensor
from slipway.source.versions import S3Versions
from slipway.states import Environment
from slipway.training.train import SlipwayTrainingOperator
from slipway.waiting.waiter import PatientWaiterTrigger, load_waiter, waiter_state
from tests.unit.request_samples import iris_model
from tests.unit.scripted_aws import MemoryStore
from tests.unit.signatures import signed_answer, teardown_context
from tests.unit.task_runs import context, first_event, run_task
from tools.aws import admin_client
from tools.settings import Settings

_LOOK_SECONDS = 0.1
_PATIENCE_SECONDS = 600


class CpuMeter:
    """CPU time of this process, without what the benchmark itself does meanwhile."""

    def __init__(self) -> None:
        self._own = 0.0
        self._began = time.process_time()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Leave out what is done in this block."""
        began = time.process_time()
        try:
            yield
        finally:
            self._own += time.process_time() - began

    @property
    def seconds(self) -> float:
        """CPU seconds since it was made."""
        return time.process_time() - self._began - self._own


class IrisModel:
    """The model whose paths are measured.

    :param settings: the instance
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        content = iris_model().model_dump()
        content["timeouts"]["poll_seconds"] = 0.5
        self.config = ModelConfig.model_validate(content)
        # Nobody else works with the model, and Airflow has no other run.
        runs.goes_on = lambda dag_id, run_id: False
        runs.exists = lambda dag_id, run_id: False
        asking.put_question = lambda **question: None
        approval_wait.is_answered = lambda ti_id: True
        self._xcoms: dict[Any, Any] = {}

    def release(self) -> float:
        """Release an upload up to the test of production.

        :returns: CPU seconds
        """
        uploaded = upload.upload_zip(self.settings, self.config.prefix)
        run_id = f"s3__{uploaded.version_id}"
        model, meter = self.config, CpuMeter()
        self._xcoms = {}
        conf = {"bucket": uploaded.bucket, "key": uploaded.key, "version_id": uploaded.version_id}

        def run(operator: Any) -> None:
            ctx = self._context(run_id, conf)
            ctx["ti"].task_id = operator.task_id
            result = run_task(operator, ctx, wait=lambda trigger: self._wait(trigger, ctx, meter))
            self._xcoms[operator.task_id] = result

        run(
            S3VersionSensor(
                task_id="source",
                model_prefix=model.prefix,
                bucket_name=model.source.bucket,
                bucket_key=model.source.key,
                aws_conn_id=model.aws_conn_id,
            )
        )
        self._xcoms["process_request"] = process_request(model, pull_revision(self._context(run_id, conf))).to_xcom()
        run(SlipwayTrainingOperator(task_id="train", model=model))
        run(EvaluateOperator(task_id="evaluate", model=model))
        run(RegisterModelOperator(task_id="register", model=model))
        for environment in Environment:
            if environment is Environment.PRODUCTION:
                run(_approval(model))
            for kind, cls in (("deploy", EndpointDeployOperator), ("test", EndpointTestOperator)):
                run(cls(task_id=f"{kind}_{environment.short}", model=model, environment=environment))
        return meter.seconds

    def adopt(self) -> float:
        """Go on from the release that is live, which another process has made."""
        model = self.config
        bucket = self.settings.bucket
        revision = S3Versions().head_version(bucket, model.source.key)
        assert revision is not None  # noqa: S101 - it was released
        self._xcoms = {"source": revision.to_xcom(), "process_request": process_request(model, revision).to_xcom()}
        return 0.0

    def collect(self) -> float:
        """Collect the garbage of the last release.

        :returns: CPU seconds
        """
        meter = CpuMeter()
        operator = CollectGarbageOperator(task_id="collect_garbage", model=self.config)
        run_task(operator, self._context("collects", {}))
        return meter.seconds

    def tear_down(self) -> float:
        """Remove the model.

        :returns: CPU seconds
        """
        form, meter = teardown_context(self.config.prefix), CpuMeter()
        run_task(TeardownOperator(task_id="remove"), form, wait=lambda trigger: self._wait(trigger, form, meter))
        run_task(NothingLeftOperator(task_id="nothing_left"), form)
        return meter.seconds

    def _context(self, run_id: str, conf: dict[str, str]) -> dict[str, Any]:
        made = context(self._xcoms, run_id=run_id)
        ti = made["ti"]
        ti.run_id, ti.id = run_id, uuid4()
        made["dag_run"].conf = conf
        return made | {"task_instance": ti, "task_state_store": MemoryStore()}

    def _wait(self, trigger: Any, ctx: dict[str, Any], meter: CpuMeter) -> Any:
        """Let AWS or the approver get ready, then let the trigger look."""
        with meter.paused():
            if isinstance(trigger, PatientWaiterTrigger):
                self._until(lambda: self._has_ended(trigger))
            elif isinstance(trigger, TimeDeltaTrigger):
                self._until(self._stacks_are_gone)
                return {}
            elif isinstance(trigger, ApprovalTrigger):
                _approve(ctx)
            if hasattr(trigger, "first_look"):
                trigger.first_look = 0.0
        return first_event(trigger)

    def _until(self, is_so: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not is_so():
            if time.monotonic() > deadline:
                raise SystemExit("bench: AWS did not get ready")
            time.sleep(_LOOK_SECONDS)

    def _has_ended(self, trigger: PatientWaiterTrigger) -> bool:
        hook = trigger.hook()
        waiter = load_waiter(Path(str(hook.waiter_path)), trigger.waiter_name)
        client = admin_client(self.settings, str(hook.client_type))
        answer = getattr(client, xform_name(waiter.operation))(**trigger.waiter_args)
        return waiter_state(waiter, answer) in ("success", "failure")

    def _stacks_are_gone(self) -> bool:
        wanted = {stack_name(self.config.prefix, each) for each in Environment}
        pages = admin_client(self.settings, "cloudformation").get_paginator("list_stacks").paginate()
        stacks = [stack for page in pages for stack in page["StackSummaries"] if stack["StackName"] in wanted]
        return all(stack["StackStatus"] == "DELETE_COMPLETE" for stack in stacks)


def _approval(model: ModelConfig) -> HumanApprovalSensor:
    """Make the task as release_dag.py does."""
    return HumanApprovalSensor(
        task_id="approve",
        subject=model.approval.subject,
        rules=model.approval.rules(),
        home_bucket=model.source.bucket,
        timeout_days=model.approval.timeout_days,
        notices=Notices.of(model.approval),
        news=Notices.of_news(model),
        execution_mode=model.execution_mode,
        poll_seconds=model.timeouts.poll_seconds,
        aws_conn_id=model.aws_conn_id,
    )


def _approve(ctx: dict[str, Any]) -> None:
    """Answer as the guard of the API server writes it."""
    question = read_question(ctx)
    assert question is not None  # noqa: S101 - the task has just put it
    answer = Answer(
        approve=True,
        by="alice",
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        how=How.AIRFLOW,
        comment="",
        stage=ONLY_STAGE,
        model_package_arn=question.model_package_arn,
    )
    ti = SimpleNamespace(**{name: getattr(ctx["ti"], name) for name in ("dag_id", "run_id", "task_id", "map_index")})
    ctx["task_state_store"].set(question.answer_key, signed_answer(answer, question, ti))
