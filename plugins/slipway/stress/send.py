"""Send a load to an endpoint, check it against the limits, and write a report to S3."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

from airflow.sdk import BaseOperatorLink
from airflow.sdk.configuration import conf

from slipway import names
from slipway.aws.identity import resolve
from slipway.aws.links import EndpointLink
from slipway.aws.s3 import uri
from slipway.aws.sagemaker import SageMakerHook
from slipway.errors import SlipwayError, StressFailed, StressRefused, StressStopped
from slipway.host.task_errors import TaskErrors
from slipway.load.errors import LoadError, LoadRefused
from slipway.load.plan import Plan
from slipway.options import LOAD_QUEUE, SECTION
from slipway.quality.held_out import HeldOutHook
from slipway.states import SERVING, EndpointStatus
from slipway.stress import report_files
from slipway.stress.answers import answers_under_load
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

# Airflow kills a task five seconds after it has told it to end; the report must be written by then.
DRAIN_SECONDS = 2.0
_LOG_SECONDS = 5.0
_SLICE_SECONDS = 0.2
_STOPPED = "the task was ended"


@dataclass(frozen=True)
class _ReportPlace:
    """Where the report of a run is written."""

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


def load_queue() -> str:
    """Return the queue of the tasks that send load: ``[slipway] load_queue``, or Airflow's default queue.

    With Celery, workers of a queue of its own keep a load from taking the slots and the processors of releases. Other
    executors run every queue.
    https://airflow.apache.org/docs/apache-airflow-providers-celery/stable/celery_executor.html#queues
    """
    return str(
        conf.get(SECTION, LOAD_QUEUE.name, fallback=LOAD_QUEUE.default) or conf.get("operators", "default_queue")
    )


class LoadOperator(TaskErrors):
    """Send load from this process and those it starts; the task keeps its worker slot until the load has ended."""

    operator_extra_links: tuple[BaseOperatorLink, ...] = (StressReportLink(), EndpointLink())

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"queue": load_queue()} | kwargs)
        self._engine: Engine | None = None
        self._killed = False
        self._logged_at = 0.0

    def on_kill(self) -> None:
        """End the load in order; execute() then writes the report on what was sent."""
        self._killed = True
        if self._engine is not None:
            self._engine.stop(_STOPPED)

    def send(self, context: Context, order: StressOrder, endpoint: Mapping[str, Any]) -> dict[str, Any]:
        """Send a load, write its report and check it against the limits.

        :param context: the task's Airflow context
        :param order: what to send where
        :param endpoint: what `find` returned
        :returns: the figures, and the address of the report
        :raises StressRefused: when the load is above the model file's caps
        :raises StressFailed: when a limit is broken or the report is incomplete
        :raises StressStopped: when the task is ended before all of the load is sent
        """
        from slipway.load.slo import Slo, judge_load

        conn_id, plan = order.model.aws_conn_id, self._plan(order, endpoint)
        place = _ReportPlace.of(order.model, context["run_id"])
        # Before the load is sent: a task that is told to end has no time for it.
        report_files.prepare()
        EndpointLink.keep_for(endpoint["EndpointArn"], self, conn_id, endpoint_name=order.endpoint_name)
        StressReportLink.persist(context, conn_id, place.bucket, place.key(report_files.PAGE))
        began = datetime.now(UTC)
        result = self._run(plan, conn_id)
        verdict = judge_load(result, Slo(**order.limits))
        for limit in verdict.limits:
            self.log.info("%s", limit)
        report_error = self._write_report(place, order, began, result, verdict)
        self._raise_unless_passed(result, verdict, place.page, report_error)
        return {**report_files.summary(result, verdict), "report": place.page}

    def find(self, order: StressOrder) -> dict[str, Any]:
        """Describe the endpoint that is to be loaded.

        :param order: names the endpoint
        :returns: what DescribeEndpoint answered
        :raises StressRefused: when the endpoint does not serve requests
        """
        name = order.endpoint_name
        endpoint = SageMakerHook(aws_conn_id=order.model.aws_conn_id).describe_endpoint(name)
        status = EndpointStatus(endpoint["EndpointStatus"]) if endpoint else None
        if endpoint is None or status not in SERVING:
            raise StressRefused(
                "No load was sent",
                resource=name,
                why=f"it is {status}" if status else "it does not exist",
                fix="release the model first",
            )
        return endpoint

    def _plan(self, order: StressOrder, endpoint: Mapping[str, Any]) -> Plan:
        from slipway.load.dataset import MAX_ROWS

        conn_id = order.model.aws_conn_id
        answers = answers_under_load(
            endpoint,
            min_accuracy=order.limits["min_accuracy"],
            target_variant=order.target_variant,
            aws_conn_id=conn_id,
        )
        rows = HeldOutHook(aws_conn_id=conn_id).rows(resolve(order.data, conn_id), MAX_ROWS)
        plan = Plan(
            endpoint_name=order.endpoint_name,
            rows=rows,
            phases=order.phases,
            target_variant=order.target_variant,
            caps=order.caps,
            drain_seconds=DRAIN_SECONDS,
            answers=answers,
        )
        try:
            plan.check()
        except LoadRefused as error:
            raise StressRefused(
                "No load was sent", resource=order.endpoint_name, why=error.problem, fix=error.fix
            ) from error
        return plan

    def _run(self, plan: Plan, aws_conn_id: str) -> LoadResult:
        from slipway.load.engine import Engine
        from slipway.stress.access import HookAccess

        self._engine = Engine(plan, HookAccess(aws_conn_id), self._log_progress)
        if self._killed:
            self._engine.stop(_STOPPED)
        self.log.info("Sending %s to %s", plan.summary()["phases"], plan.endpoint_name)
        try:
            return self._engine.run()
        except LoadError as error:
            raise SlipwayError(
                "The load could not be sent",
                resource=plan.endpoint_name,
                why=error.problem,
                fix=error.fix or "read the worker's error output above, then clear this task",
            ) from error

    def _write_report(
        self, place: _ReportPlace, order: StressOrder, began: datetime, result: LoadResult, verdict: SloVerdict
    ) -> str | None:
        """Write the report, and return what went wrong: an error here must not have a retry send the load again."""
        try:
            report = report_files.document(result, verdict, {})
            # First without what AWS says: the task may be ended before AWS has answered.
            place.put(report_files.machine_readable(report))
            if evidence := self._evidence(order, began):
                report |= evidence
                place.put(report_files.machine_readable(report))
            place.put(report_files.page(report))
        except Exception as error:
            self.log.exception("The report is incomplete")
            return error.problem if isinstance(error, SlipwayError) else repr(error)
        return None

    def _evidence(self, order: StressOrder, began: datetime) -> dict[str, Any]:
        watched_until = time.monotonic() + order.watch_seconds
        while time.monotonic() < watched_until and not self._killed:
            time.sleep(_SLICE_SECONDS)
        if self._killed:
            return {}
        evidence = report_files.evidence(order, began, aws_conn_id=order.model.aws_conn_id)
        for part, why in evidence["missing"].items():
            self.log.warning("The report lacks %s: %s", part, why)
        return evidence

    def _log_progress(self, progress: Progress) -> None:
        from slipway.load.display import describe_progress

        ended = progress.total.sent >= progress.phase.requests
        if ended or time.monotonic() - self._logged_at >= _LOG_SECONDS:
            self._logged_at = time.monotonic()
            self.log.info("%s", describe_progress(progress))

    def _raise_unless_passed(
        self, result: LoadResult, verdict: SloVerdict, report: str, report_error: str | None
    ) -> None:
        name = result.plan["endpoint_name"]
        where = f"the report could not be written ({report_error})" if report_error else f"the report is {report}"
        if result.ended == _STOPPED:
            raise StressStopped(
                "Not all of the load was sent",
                resource=name,
                why=f"{_STOPPED}; {where}",
                fix="clear this task, which sends all of it again",
            )
        if verdict.broken:
            raise StressFailed(
                "The endpoint broke its limits under load",
                resource=name,
                why="; ".join([*map(str, verdict.broken), where]),
                fix="improve the model, or change its limits in the model file",
            )
        if not verdict.completed:
            raise StressFailed(
                "Not all of the load was sent",
                resource=name,
                why=f"{result.ended}; {where}",
                fix="ask for less load, or raise stress.caps.max_seconds in the model file; then clear this task: it "
                "sends all of it again",
            )
        if report_error:
            raise StressFailed(
                "The endpoint passed, but the report is incomplete",
                resource=name,
                why=report_error,
                fix="fix the cause; clearing this task sends the load again",
            )
