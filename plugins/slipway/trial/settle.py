"""The task ``settle_trial``: carries the verdict on a trial out, step by step, whatever an earlier attempt has done."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from slipway.aws.clients import client
from slipway.aws.stacks import Stack
from slipway.deployment import parameters, weights
from slipway.deployment.deploy_endpoint import EndpointDeployOperator
from slipway.errors import AwsError, StackFailed, TrialFailed
from slipway.model.trial import Trial
from slipway.names import TRIAL_VARIANT
from slipway.states import ON_THE_WAY, BoardStage, Decider, EndpointStatus, Environment, TrialOutcome, TrialVerdict
from slipway.trial.figures import TrialComparison, VariantFigures, error_limit
from slipway.trial.metrics import TrialMetrics
from slipway.trial.record import BY_RULE, VERDICT, TrialRecord, TrialRecordHook, record_of
from slipway.trial.wait import BakeTrigger
from slipway.waiting.results import WaitOutcome, WaitResult

if TYPE_CHECKING:
    from airflow.sdk import Context

    from slipway.model.config import ModelConfig

# The entry of the task's state store that says since when which share of the requests is baked.
BAKE = "bake"
_OUTCOMES = {
    TrialVerdict.PROMOTE: TrialOutcome.PROMOTED,
    TrialVerdict.KEEP: TrialOutcome.KEPT,
    TrialVerdict.RETIRE: TrialOutcome.RETIRED,
}


class TrialSettleOperator(EndpointDeployOperator):
    """Promotes, keeps or retires the model on trial, while no other release writes to production.

    What is to be done next is read from three things: the verdict on the model package, the endpoint's weights as it
    describes them, and the stack. So any attempt goes on where another one ended. A promotion moves the weights by
    UpdateEndpointWeightsAndCapacities, one step after the other, and waits for each step's bake; errors of the new
    model beyond the rule put the trial's weights back, and the release is red. A verdict ends with the stack: only
    then it says what the endpoint does.

    :param model: the model file's content
    """

    records = client(TrialRecordHook)
    metrics = client(TrialMetrics)

    def __init__(self, *, model: ModelConfig, **kwargs: Any) -> None:
        super().__init__(model=model, environment=Environment.PRODUCTION, **kwargs)
        self.trial = model.trial or Trial()

    def execute(self, context: Context) -> dict[str, Any]:
        """Carry the verdict out, once production is this release's to write to.

        :returns: verdict, outcome and the stack's outputs
        :raises slipway.errors.Superseded: when a newer release has come to production
        :raises slipway.errors.TrialFailed: when there is no verdict, or the model failed while it was promoted
        :raises slipway.errors.StackFailed: as CloudFormationDeployOperator
        """
        self.enter_stage(context, BoardStage.PRD)
        with self._consequences(context):
            self.prepare(context)
            return self._settle(context, time.time() + self.timeout_seconds)

    def resume(self, context: Context, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """As CloudFormationDeployOperator.resume."""
        return self._finish(context, super().resume(context, *args, **kwargs))

    def resume_trial(self, context: Context, event: dict[str, Any] | None, baking: bool) -> dict[str, Any]:
        """Go on after the endpoint has settled, or after a bake.

        :param context: the task's Airflow context
        :param event: how the wait ended
        :param baking: whether it was a bake
        :returns: as execute
        """
        result = WaitResult.from_event(event)
        with self._consequences(context):
            self.prepare(context)
            if result.outcome is WaitOutcome.REFUSED:
                raise AwsError("Cannot watch the trial", resource=self._endpoint_name, why=result.reason)
            if baking and result.outcome is WaitOutcome.FAILED:
                self._send_back(result.reason)
            elif result.outcome in (WaitOutcome.FAILED, WaitOutcome.TIMEOUT):
                raise TrialFailed(
                    "The endpoint does not take the weights",
                    resource=self._endpoint_name,
                    why=" ".join(filter(None, [result.status, result.reason])),
                    fix="look at the endpoint in the SageMaker console, then clear this task: it goes on from there",
                )
            return self._settle(context, time.time() + self.timeout_seconds)

    def prepare(self, context: Context) -> None:
        """As EndpointDeployOperator.prepare, with the verdict; only the record counts, whatever a task has said."""
        super().prepare(context)
        package = self._package()
        self._package_arn, record = package["ModelPackageArn"], record_of(package)
        if record is None:
            raise TrialFailed(
                "There is no verdict on this trial",
                resource=self._package_arn,
                why="the model package has none on record",
                fix="clear decide_trial and answer its question; then this task runs again",
            )
        if record.how == BY_RULE and self.trial.decide is not Decider.RULE:
            raise TrialFailed(
                "The verdict on this trial is nobody's",
                resource=self._package_arn,
                why="it is said to follow from the rule, and the model file asks a person",
                fix=f"remove {VERDICT} from the package's metadata (`aws sagemaker update-model-package "
                f"--model-package-arn {self._package_arn} --customer-metadata-properties-to-remove {VERDICT}`), clear "
                "decide_trial and answer its question",
            )
        self._record: TrialRecord = record

    def _settle(self, context: Context, deadline: float) -> dict[str, Any]:
        record, stack = self._record, self.hook.describe_stack(self.stack_name)
        if record.outcome in _OUTCOMES.values():
            self.log.info("This trial has ended: %s", record.outcome)
        elif stack and not stack.status.in_progress and self.undo_of_first_step(stack) is None:
            # While the stack changes, or is half-way, the weights are where they have to be.
            self.has_vanished(stack)
            self.check_allowed(stack)
            self._move_weights(context, stack, deadline)
        return self._finish(context, self._advance(context, deadline))

    def _move_weights(self, context: Context, stack: Stack, deadline: float) -> None:
        """Return once the endpoint's weights are those that the verdict asks for, or the trial's own again."""
        if trigger := self._wait_if_changing(deadline):
            self.defer(trigger=trigger, method_name="resume_trial", kwargs={"baking": False})
        endpoint = self._endpoint() or {}
        share = weights.trial_share(endpoint)
        if self._record.outcome is TrialOutcome.SENT_BACK:
            self._finish_sent_back(context, endpoint, stack, deadline)
        if share is None or self._record.verdict is not TrialVerdict.PROMOTE:
            return
        if any(weights.same(share, step) for step in self.trial.steps):
            self._bake(context, share)
        if self._record.outcome is TrialOutcome.SENT_BACK:
            self._finish_sent_back(context, endpoint, stack, deadline)
        step = weights.next_step(share, self.trial.steps)
        if step is not None:
            # Only now: changed bytes are no reason to leave the requests with a model that fails.
            self.check_artefacts(stack)
            self._set_share(endpoint, step, level=self.levels_instances(stack), deadline=deadline)

    def _bake(self, context: Context, share: float) -> None:
        """Return once a step has baked, whichever attempt began it; send the weights back if the model fails."""
        store: Any = context["task_state_store"]
        bake, now = store.get(BAKE), time.time()
        if not bake or not weights.same(bake["share"], share) or bake["verdict_at"] != self._record.decided_at:
            bake = {"share": share, "since": now, "verdict_at": self._record.decided_at}
            store.set(BAKE, bake)
            self.log.info(
                "%s has %.0f%% of the requests for %g min", TRIAL_VARIANT, share * 100, self.trial.bake_minutes
            )
        limit, rule = error_limit(self._live_figures(context), self.trial.rule), self.trial.rule
        until = bake["since"] + self.trial.bake_minutes * 60
        if now < until:
            self.defer(
                trigger=BakeTrigger(
                    endpoint_name=self._endpoint_name,
                    began=bake["since"],
                    deadline=until,
                    error_share_limit=limit,
                    minimum_invocations=rule.minimum_invocations,
                    poll_seconds=self.poll_seconds,
                    aws_conn_id=self.aws_conn_id,
                ),
                method_name="resume_trial",
                kwargs={"baking": True},
            )
        found = self.metrics.variant_figures(self._endpoint_name, (TRIAL_VARIANT,), bake["since"], now)[TRIAL_VARIANT]
        if found.error_share > limit:
            self._send_back(str(found))
        else:
            self.log.info("Baked with %.0f%% of the requests: %s", share * 100, found)

    def _send_back(self, why: str) -> None:
        """Write down that the promotion has failed, before anything is moved: a later attempt goes on from there."""
        self.log.error("%s fails as it is promoted (%s): the trial's weights come back", TRIAL_VARIANT, why)
        self.records.record_outcome(self._package_arn, TrialOutcome.SENT_BACK, why, digest=self._plan.digest)
        self._record = record_of(self._package()) or self._record

    def _finish_sent_back(
        self, context: Context, endpoint: Mapping[str, Any], stack: Stack, deadline: float
    ) -> NoReturn:
        stated = weights.stated_share(stack.parameters)
        if stated is not None:
            self._set_share(endpoint, stated, level=False, deadline=deadline)
        self.leave_stages(context, BoardStage.PRD)
        raise TrialFailed(
            "The model on trial failed while it was promoted; the trial's weights are back",
            resource=self._endpoint_name,
            why=self._record.outcome_why,
            fix="clear decide_trial to decide again (retire takes the model away), or upload a better one",
        )

    def _set_share(self, endpoint: Mapping[str, Any], share: float, *, level: bool, deadline: float) -> None:
        """Return once the model on trial has this share of the requests."""
        changes = weights.changes(endpoint, share, level=level)
        if not changes:
            return
        self.log.info("Changing %s: %s", self._endpoint_name, changes)
        self._sagemaker.update_weights_and_capacities(self._endpoint_name, changes)
        self.defer(
            trigger=self.endpoint_wait(deadline),
            method_name="resume_trial",
            kwargs={"baking": False},
        )

    def _finish(self, context: Context, deployed: dict[str, Any]) -> dict[str, Any]:
        outcome = _OUTCOMES[self._record.verdict]
        if self._record.outcome is not outcome:
            self.records.record_outcome(self._package_arn, outcome, digest=self._plan.digest)
        self.log.info("The trial has ended: %s", outcome)
        self.leave_stages(context, BoardStage.PRD)
        return {"verdict": self._record.verdict.value, "outcome": outcome.value, **deployed}

    # What EndpointDeployOperator asks of this deployment.

    def parameters_for(self, stack: Stack | None) -> dict[str, str]:
        """:returns: the stack's own parameters, with the variants as the verdict wants them"""
        if stack is None:
            raise StackFailed(
                "The stack is gone", resource=self.stack_name, fix="clear deploy_prd and what follows: it makes it anew"
            )
        live: Mapping[str, Any] | None = None
        if self._record.verdict is TrialVerdict.RETIRE and stack.parameters.get("ModelBDataUrl"):
            # The newest model here will be the live one again, which the next release is compared with.
            url = stack.parameters["ModelADataUrl"]
            live = self.records.package_of_artefact(self._plan.model_package_group, url)
        arn = live["ModelPackageArn"] if live else None
        return parameters.settled(stack.parameters, self._record.verdict, arn)

    def wanted_share(self, stack: Stack) -> float | None:
        """:returns: all requests for a model that is promoted, none for one that is retired, else the stack's share"""
        if self._record.verdict is TrialVerdict.KEEP:
            return super().wanted_share(stack)
        return 1.0 if self._record.verdict is TrialVerdict.PROMOTE else 0.0

    def levels_instances(self, stack: Stack) -> bool:
        """:returns: whether the variants are scaled by themselves, and one is to take the other's place"""
        return stack.parameters.get("AutoScaling") == "true" and self._record.verdict is TrialVerdict.PROMOTE

    def has_vanished(self, stack: Stack) -> bool:
        """:raises TrialFailed: when the endpoint was deleted by hand; to make it again is not this task's part"""
        if super().has_vanished(stack):
            raise TrialFailed(
                "The endpoint does not exist",
                resource=self._endpoint_name,
                fix="clear deploy_prd and what follows: it makes the endpoint anew, with the trial's weights",
            )
        return False

    def check_trial(self, stack: Stack | None) -> None:
        """:raises StackFailed: when production serves another release"""
        revision = stack.outputs.get(parameters.REVISION) if stack else None
        if stack and revision != self._plan.revision_id:
            raise StackFailed(
                "Production serves another release: this trial is over",
                resource=stack.name,
                why=f"its revision is {revision}, ours is {self._plan.revision_id}",
                fix="nothing is left to do in this run",
            )

    def _wait_if_changing(self, deadline: float) -> Any:
        endpoint = self._endpoint()
        busy = endpoint is not None and EndpointStatus(endpoint["EndpointStatus"]) in ON_THE_WAY
        return self.endpoint_wait(deadline) if busy else None

    def _live_figures(self, context: Context) -> VariantFigures:
        """What the live model did in the trial: at a step of 100 % it has no requests to compare with."""
        watched = context["ti"].xcom_pull(task_ids="watch_trial")
        return TrialComparison.from_json(watched).live if watched else VariantFigures()
