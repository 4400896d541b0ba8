"""Stress tests: load for an endpoint whose model file allows it, a verdict on what it did, and a report in S3."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

from airflow.sdk import BaseOperator, BaseOperatorLink

from slipway import names
from slipway.aws.identity import resolve
from slipway.aws.links import EndpointLink
from slipway.aws.s3 import uri
from slipway.aws.sagemaker import SageMakerHook
from slipway.errors import SlipwayError, StressFailed, StressRefused, StressStopped
from slipway.host.links import NewerReleaseLink, run_url
from slipway.load.errors import LoadError, LoadRefused
from slipway.load.plan import Plan
from slipway.model.files import load_models
from slipway.paths import models_folder
from slipway.plan import pull_plan
from slipway.quality.endpoint import check_config
from slipway.quality.held_out import HeldOutHook
from slipway.stages.mixin import STAGE_OF, StageMixin, stage_gate
from slipway.states import SERVING, EndpointStatus, Environment
from slipway.stress import report_files
from slipway.stress.link import StressReportLink
from slipway.stress.order import StressOrder
from slipway.stress.report_hook import StressReportHook

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.sdk import Context

    from slipway.load.engine import Engine, Progress
    from slipway.load.result import LoadResult
    from slipway.load.slo import SloVerdict
    from slipway.model.config import ModelConfig
    from slipway.stress.report_files import ReportFile

# Airflow kills a task five seconds after it has told it to end, and the report is to be written by then.
DRAIN_SECONDS = 2.0
_LOG_SECONDS = 5.0
_SLICE_SECONDS = 0.2
_STOPPED = "the task was ended"


@dataclass(frozen=True)
class _Place:
    """Where a run's report is kept."""

    hook: StressReportHook
    bucket: str
    prefix: str
    run_id: str

    @classmethod
    def of(cls, model: ModelConfig, run_id: str) -> Self:
        bucket = resolve(model.source.bucket, model.aws_conn_id)
        hook = StressReportHook(aws_conn_id=model.aws_conn_id)
        _ = hook.conn
        return cls(hook, bucket, model.prefix, run_id)

    @property
    def page(self) -> str:
        return uri(self.bucket, self.key(report_files.PAGE))

    def key(self, file: str) -> str:
        return names.stress_key(self.prefix, self.run_id, file)

    def put(self, file: ReportFile) -> None:
        self.hook.put(self.bucket, self.key(file.name), file.content, content_type=file.content_type)


class _StressOperator(BaseOperator):
    """Sends load from this process and those it starts; it holds its worker slot meanwhile."""

    operator_extra_links: tuple[BaseOperatorLink, ...] = (StressReportLink(), EndpointLink())

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._engine: Engine | None = None
        self._killed = False
        self._logged_at = 0.0

    def on_kill(self) -> None:
        """End the load in order; execute() then writes the report of what was done."""
        self._killed = True
        if self._engine is not None:
            self._engine.stop(_STOPPED)

    def send(self, context: Context, order: StressOrder, endpoint: Mapping[str, Any]) -> dict[str, Any]:
        """Send a load, write its report and judge it.

        :param context: the task's Airflow context
        :param order: what to send where
        :param endpoint: the endpoint as `find` describes it
        :returns: the figures, and where the report is
        :raises StressRefused: when the load is above the model file's caps
        :raises StressFailed: naming each limit that broke, and the report; or why there is none
        :raises StressStopped: when the task was ended meanwhile
        """
        from slipway.load.slo import Slo, verdict

        conn_id, plan, place = order.model.aws_conn_id, self._plan(order), _Place.of(order.model, context["run_id"])
        # Now, for there is little time once the task is to end.
        report_files.prepare()
        EndpointLink.persist_for(endpoint["EndpointArn"], context, self, endpoint_name=order.endpoint_name)
        StressReportLink.persist(context, conn_id, place.bucket, place.key(report_files.PAGE))
        began = datetime.now(UTC)
        result = self._run(plan, conn_id)
        judged = verdict(result, Slo(**order.limits))
        for limit in judged.limits:
            self.log.info("%s", limit)
        self._judge(result, judged, place.page, self._keep(place, order, began, result, judged))
        return {**report_files.summary(result, judged), "report": place.page}

    def find(self, order: StressOrder) -> dict[str, Any]:
        """Look at the endpoint.

        :param order: names it
        :returns: its description
        :raises StressRefused: when it does not answer requests
        """
        name = order.endpoint_name
        endpoint = SageMakerHook(aws_conn_id=order.model.aws_conn_id).describe_endpoint(name)
        status = EndpointStatus(endpoint["EndpointStatus"]) if endpoint else None
        if endpoint is None or status not in SERVING:
            raise StressRefused(
                "The endpoint is not loaded",
                resource=name,
                why=f"it is {status}" if status else "it does not exist",
                fix="release the model first",
            )
        return endpoint

    def _plan(self, order: StressOrder) -> Plan:
        from slipway.load.dataset import MAX_ROWS

        conn_id = order.model.aws_conn_id
        rows = HeldOutHook(aws_conn_id=conn_id).rows(resolve(order.data, conn_id), MAX_ROWS)
        plan = Plan(
            endpoint_name=order.endpoint_name,
            rows=rows,
            phases=order.phases,
            target_variant=order.target_variant,
            caps=order.caps,
            drain_seconds=DRAIN_SECONDS,
        )
        try:
            plan.check()
        except LoadRefused as error:
            raise StressRefused("The endpoint is not loaded", resource=order.endpoint_name, why=str(error)) from error
        return plan

    def _run(self, plan: Plan, aws_conn_id: str) -> LoadResult:
        from slipway.load.engine import Engine
        from slipway.stress.access import HookAccess

        self._engine = Engine(plan, HookAccess(aws_conn_id), self._tell)
        if self._killed:
            self._engine.stop(_STOPPED)
        self.log.info("Sending %s to %s", plan.summary()["phases"], plan.endpoint_name)
        try:
            return self._engine.run()
        except LoadError as error:
            raise SlipwayError("The load cannot be sent", resource=plan.endpoint_name, why=str(error)) from error

    def _keep(
        self, place: _Place, order: StressOrder, began: datetime, result: LoadResult, judged: SloVerdict
    ) -> str | None:
        """:returns: what has gone wrong with the report: the load has been sent, and no retry may send it again"""
        try:
            report = report_files.document(result, judged, {})
            # At once, for the task may not live to hear what AWS says about that time.
            place.put(report_files.machine_readable(report))
            if evidence := self._evidence(order, began):
                report |= evidence
                place.put(report_files.machine_readable(report))
            place.put(report_files.page(report))
        except Exception as error:
            self.log.exception("The report is not complete")
            return str(error) if isinstance(error, SlipwayError) else repr(error)
        return None

    def _evidence(self, order: StressOrder, began: datetime) -> dict[str, Any]:
        watched_until = time.monotonic() + order.watch_seconds
        while time.monotonic() < watched_until and not self._killed:
            time.sleep(_SLICE_SECONDS)
        if self._killed:
            return {}
        evidence = report_files.evidence(order, began, aws_conn_id=order.model.aws_conn_id)
        for part, why in evidence["missing"].items():
            self.log.warning("The report goes without %s: %s", part, why)
        return evidence

    def _tell(self, progress: Progress) -> None:
        from slipway.load.display import describe_progress

        ended = progress.total.sent >= progress.phase.requests
        if ended or time.monotonic() - self._logged_at >= _LOG_SECONDS:
            self._logged_at = time.monotonic()
            self.log.info("%s", describe_progress(progress))

    def _judge(self, result: LoadResult, judged: SloVerdict, report: str, unkept: str | None) -> None:
        name = result.plan["endpoint_name"]
        kept = f"the report could not be kept ({unkept})" if unkept else f"the report is {report}"
        if result.ended == _STOPPED:
            raise StressStopped("The load was not sent to its end", resource=name, why=f"{_STOPPED}; {kept}")
        if judged.broken:
            raise StressFailed(
                "The endpoint broke its limits under load",
                resource=name,
                why="; ".join([*map(str, judged.broken), kept]),
                fix="mend the model or its limits",
            )
        if not judged.completed:
            raise StressFailed("The load was not sent to its end", resource=name, why=f"{result.ended}; {kept}")
        if unkept:
            raise StressFailed(
                "The endpoint passed, but there is no complete report",
                resource=name,
                why=unkept,
                fix="mend that; another attempt, which somebody has to ask for, sends the load again",
            )


class StressTestOperator(_StressOperator):
    """Sends the load that the run's form asks for."""

    def execute(self, context: Context) -> dict[str, Any]:
        """Send the load.

        :param context: the task's Airflow context
        :returns: the figures, and where the report is
        :raises StressRefused: when the form is wrong, the model file does not allow the load, or a release is testing
            its model on the endpoint
        :raises StressFailed: when a limit broke
        :raises StressStopped: when the task was ended meanwhile
        """
        order = StressOrder.of_form(context["params"], *load_models(models_folder()))
        if order.environment is Environment.DEVELOPMENT:
            self._leave_to_release(order)
        return self.send(context, order, self.find(order))

    def _leave_to_release(self, order: StressOrder) -> None:
        """What a release measures is to be about its own load; one that comes later is not seen."""
        model, stage = order.model, STAGE_OF[order.environment]
        bucket = resolve(model.source.bucket, model.aws_conn_id)
        holder = stage_gate(model.aws_conn_id).holder(bucket, names.board_key(model.prefix), stage)
        if holder:
            raise StressRefused(
                "The endpoint is not loaded",
                resource=order.endpoint_name,
                why=f"a release is testing its model there, {run_url(holder.dag_id, holder.run_id)}",
                fix="wait until that run has passed its tests, or has ended",
            )


class ReleaseStressOperator(StageMixin, _StressOperator):
    """Sends the model file's load to the development endpoint of a release, which holds it until then.

    :param model: The model file's content.
    """

    operator_extra_links = (*_StressOperator.operator_extra_links, NewerReleaseLink())

    def __init__(self, *, model: ModelConfig, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.model = model
        self.configure_stages(model)

    @cached_property
    def order(self) -> StressOrder:
        """What is sent."""
        return StressOrder.of_model(self.model, Environment.DEVELOPMENT)

    def execute(self, context: Context) -> dict[str, Any]:
        """Check what the endpoint serves, and send the load.

        :param context: the task's Airflow context
        :returns: the figures, and where the report is
        :raises slipway.errors.Superseded: when a newer release has taken this one's place
        :raises slipway.errors.EndpointTestFailed: when the endpoint does not serve this release
        :raises StressFailed: when a limit broke
        :raises StressStopped: when the task was ended meanwhile
        """
        stage = STAGE_OF[Environment.DEVELOPMENT]
        self.enter_stage(context, stage)
        endpoint = self.find(self.order)
        outputs = context["ti"].xcom_pull(task_ids="deploy_dev")["outputs"]
        check_config(endpoint, outputs, pull_plan(context).revision_id)
        found = self.send(context, self.order, endpoint)
        self.leave_stages(context, stage)
        return found
