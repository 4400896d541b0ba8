"""The task ``watch_trial``: it waits while the model on trial gets its share, then compares both variants."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import DownstreamTasksSkipped

from slipway.aws.clients import client
from slipway.aws.cloudwatch import next_whole_minute
from slipway.aws.identity import resolve
from slipway.aws.links import EndpointLink
from slipway.aws.s3 import S3Hook
from slipway.aws.sagemaker import SageMakerHook
from slipway.deployment.wait import EndpointInServiceTrigger
from slipway.deployment.weights import trial_share
from slipway.errors import TrialFailed
from slipway.formats.stored import versioned
from slipway.host.links import NewerReleaseLink
from slipway.load.answers import Answers
from slipway.names import LIVE_VARIANT, TRIAL_VARIANT
from slipway.plan import TESTED_AT, pull_package_arn, pull_plan, result_of
from slipway.quality.served import answers_of, containers
from slipway.stages.mixin import StageMixin
from slipway.states import ON_THE_WAY, BoardStage, EndpointStatus, Environment, TrialOutcome
from slipway.trial.figures import TrialComparison, VariantFigures
from slipway.trial.ground_truth import GroundTruth
from slipway.trial.metrics import TrialMetrics
from slipway.trial.record import TrialRecordHook
from slipway.trial.wait import TrialTrigger
from slipway.waiting.results import WaitOutcome, WaitResult

if TYPE_CHECKING:
    from airflow.sdk import Context

    from slipway.model.config import ModelConfig
    from slipway.model.trial import Trial
    from slipway.stages.board import Entry
    from slipway.trial.metrics import TrialMetrics
from slipway.trial.record import TrialRecord

# The entry of the task's state store for the endpoint configuration that is watched, and since when.
WATCH = "watch"


class TrialWatchOperator(StageMixin, BaseOperator):
    """The wait, deferred, until the trial of this release can be judged; the XCom is the TrialComparison.

    Where there is no trial, the log says why, and the tasks named by ``skips`` are skipped. The release does not hold
    production while it watches: a newer one may take its place, and this trial then ends as superseded.

    :param model: the model file's content
    :param skips: the tasks to skip when there is no trial
    """

    operator_extra_links = (EndpointLink(), NewerReleaseLink())
    sagemaker = client(SageMakerHook)
    records = client(TrialRecordHook)
    metrics = client(TrialMetrics)
    truth = client(GroundTruth)
    s3 = client(S3Hook)

    def __init__(self, *, model: ModelConfig, skips: tuple[str, ...] = (), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.model = model
        self.skips = skips
        self.configure_stages(model)

    def execute(self, context: Context) -> dict[str, Any]:
        """Watch the trial.

        :param context: the task's Airflow context
        :returns: the comparison
        :raises slipway.errors.Superseded: when a newer release has reached production
        :raises slipway.errors.TrialFailed: when the endpoint is not in service
        """
        trial = self.model.trial
        if trial is None:
            self._nothing_to_watch(context, "the model file has no section trial, so the weights stay as deployed")
        if pull_plan(context).rolls_back:
            self._nothing_to_watch(context, "a roll-back gives all requests to one model")
        if newer := self.overtaken(context, BoardStage.PRD):
            self._end_trial(context, newer)
        endpoint = self._endpoint(context)
        if trial_share(endpoint) is None:
            self._nothing_to_watch(context, f"production has no variant {TRIAL_VARIANT}")
        return self._watch(context, trial, endpoint)

    def resume(self, context: Context, event: dict[str, Any] | None) -> dict[str, Any]:
        """Go on after a wait.

        :param context: the task's Airflow context
        :param event: how the wait ended
        :returns: what execute() returns
        """
        result = WaitResult.from_event(event)
        if result.outcome is WaitOutcome.REFUSED:
            raise result.refused("Cannot read the trial's state", self._name(context))
        return self.execute(context)

    def _watch(self, context: Context, trial: Trial, endpoint: Mapping[str, Any]) -> dict[str, Any]:
        plan = pull_plan(context)
        standing = self.records.trial_record(pull_package_arn(context), plan.digest)
        began = self._began(context, endpoint, standing)
        now, deadline, counted_from = time.time(), began + trial.minutes * 60, _utc(next_whole_minute(began))
        figures = self._figures(endpoint, began, now)
        enough = trial.invocations is not None and all(one.invocations >= trial.invocations for one in figures.values())
        if now < deadline and not enough and not (standing and standing.stands):
            self.log.info("Both variants are watched until %s; requests count from %s on", _utc(deadline), counted_from)
            self.defer(
                trigger=TrialTrigger(
                    endpoint_name=endpoint["EndpointName"],
                    began=began,
                    deadline=deadline,
                    invocations=trial.invocations,
                    ticket=self.ticket(context, BoardStage.PRD).to_json(),
                    poll_seconds=self.model.timeouts.poll_seconds,
                    aws_conn_id=self.model.aws_conn_id,
                ),
                method_name="resume",
            )
        if trial.ground_truth:
            figures = self._with_truth(trial.ground_truth, endpoint, figures, (began, now))
        comparison = TrialComparison(figures[LIVE_VARIANT], figures[TRIAL_VARIANT], counted_from, _utc(now))
        for name, one in figures.items():
            self.log.info("%s: %s", name, one)
        return comparison.to_json()

    def _began(self, context: Context, endpoint: Mapping[str, Any], standing: TrialRecord | None) -> float:
        """Return since when this trial is watched; an attempt after a kill continues the same time."""
        store: Any = context["task_state_store"]
        config = endpoint["EndpointConfigName"]
        watch = store.get(WATCH)
        # After a verdict that left both variants in place, a cleared task watches again.
        again = standing.decided_at if standing and not standing.stands else ""
        # When test_prd runs again, its requests are among those that were watched.
        tested = (result_of(context, "test_prd") or {}).get(TESTED_AT, "")
        identity = {"config": config, "after": again, "tested": tested}
        if not watch or any(watch.get(name, "") != value for name, value in identity.items()):
            watch = versioned({**identity, "began": time.time()})
            store.set(WATCH, watch)
        return float(watch["began"])

    def _figures(self, endpoint: Mapping[str, Any], began: float, now: float) -> dict[str, VariantFigures]:
        return self.metrics.variant_figures(endpoint["EndpointName"], (LIVE_VARIANT, TRIAL_VARIANT), began, now)

    def _with_truth(
        self,
        prefix: str,
        endpoint: Mapping[str, Any],
        figures: dict[str, VariantFigures],
        span: tuple[float, float],
    ) -> dict[str, VariantFigures]:
        capture = (endpoint.get("DataCaptureConfig") or {}).get("DestinationS3Uri")
        if not capture:
            self.log.warning("The endpoint captures no data, so ground truth cannot be used")
            return figures
        where = resolve(prefix, self.model.aws_conn_id)
        answers = answers_of(containers(self.sagemaker, endpoint), self.s3)
        kinds = {name: answers.get(name, Answers.UNKNOWN) for name in figures}
        hits = self.truth.hits(capture, where, endpoint["EndpointName"], span, kinds)
        return {
            name: replace(one, labelled=hits[name].labelled, right=hits[name].right) for name, one in figures.items()
        }

    def _endpoint(self, context: Context) -> Mapping[str, Any]:
        name = self._name(context)
        endpoint = self.sagemaker.describe_endpoint(name)
        if endpoint is None:
            raise TrialFailed(
                "The endpoint does not exist",
                resource=name,
                why="somebody has deleted it since it was deployed",
                fix="clear deploy_prd and what follows",
            )
        status = EndpointStatus(endpoint["EndpointStatus"])
        if status in ON_THE_WAY:
            self.defer(
                trigger=EndpointInServiceTrigger(
                    endpoint_name=name,
                    deadline=time.time() + self.model.timeouts.stack_seconds,
                    poll_seconds=self.model.timeouts.poll_seconds,
                    aws_conn_id=self.model.aws_conn_id,
                ),
                method_name="resume",
            )
        if status is not EndpointStatus.IN_SERVICE:
            raise TrialFailed(
                f"The endpoint is {status}",
                resource=name,
                why=endpoint.get("FailureReason") or "SageMaker gives no reason",
                fix="fix what the reason names, then clear deploy_prd and what follows",
            )
        EndpointLink.keep_for(endpoint["EndpointArn"], self, self.model.aws_conn_id, endpoint_name=name)
        return endpoint

    def _end_trial(self, context: Context, newer: Entry) -> NoReturn:
        record = self.records.trial_record(pull_package_arn(context), pull_plan(context).digest)
        if record is None:
            self.records.record_outcome(
                pull_package_arn(context), TrialOutcome.SUPERSEDED, newer.run_id, digest=pull_plan(context).digest
            )
        self.leave_stages(context, BoardStage.PRD)
        self.end_superseded(context, BoardStage.PRD, newer)

    def _nothing_to_watch(self, context: Context, why: str) -> NoReturn:
        self.log.info("There is no trial to watch: %s", why)
        context["ti"].xcom_push(key="return_value", value={"no_trial": why})
        # Without a trial in the model file `test_prd` has left it.
        if self.model.trial is not None:
            self.leave_stages(context, BoardStage.PRD)
        raise DownstreamTasksSkipped(tasks=list(self.skips))

    def _name(self, context: Context) -> str:
        return pull_plan(context).endpoint(Environment.PRODUCTION)


def _utc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
