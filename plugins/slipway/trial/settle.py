"""The task ``settle_trial``: it carries out the verdict on a trial, from wherever an earlier attempt ended."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from slipway.assets.endpoint import live_alias
from slipway.assets.live import announce
from slipway.aws.clients import client
from slipway.aws.stacks import Stack
from slipway.deployment import parameters, weights
from slipway.deployment.deploy_endpoint import EndpointDeployOperator
from slipway.errors import StackFailed, TrialFailed
from slipway.model.trial import Trial
from slipway.names import TRIAL_VARIANT
from slipway.plan import result_of
from slipway.states import ON_THE_WAY, BoardStage, Decider, EndpointStatus, Environment, TrialOutcome, TrialVerdict
from slipway.trial.figures import TrialComparison, VariantFigures, error_limit
from slipway.trial.metrics import TrialMetrics
from slipway.trial.record import BY_RULE, VERDICT, TrialRecord, TrialRecordHook, record_of
from slipway.trial.wait import BakeTrigger
from slipway.waiting.results import WaitOutcome, WaitResult

if TYPE_CHECKING:
    from airflow.sdk import Context

    from slipway.model.config import ModelConfig

# The entry of the task's state store for the bake: the share of the requests and since when.
BAKE = "bake"
_OUTCOMES = {
    TrialVerdict.PROMOTE: TrialOutcome.PROMOTED,
    TrialVerdict.KEEP: TrialOutcome.KEPT,
    TrialVerdict.RETIRE: TrialOutcome.RETIRED,
}


class TrialSettleOperator(EndpointDeployOperator):
    """The end of a trial: promote, keep or retire the model, while no other release writes to production.

    The next step follows from the verdict on the model package, the endpoint's weights and the stack, so any attempt
    goes on where another one ended. A promotion changes the weights by UpdateEndpointWeightsAndCapacities, one step
    after the other, and waits for each step's bake. Errors of the new model beyond the rule restore the trial's
    weights and fail the task. Last, the stack is changed to what the endpoint does.

    :param model: the model file's content
    """

    records = client(TrialRecordHook)
    metrics = client(TrialMetrics)

    def __init__(self, *, model: ModelConfig, **kwargs: Any) -> None:
        # Not among its inlets: see host.assets.
        kwargs = {"outlets": [live_alias(model.prefix)], **kwargs}
        super().__init__(model=model, environment=Environment.PRODUCTION, **kwargs)
        self.trial = model.trial or Trial()

    def execute(self, context: Context) -> dict[str, Any]:
        """Carry the verdict out, once this release may write to production.

        :returns: verdict, outcome and the stack's outputs
        :raises slipway.errors.Superseded: when a newer release has reached production
        :raises slipway.errors.TrialFailed: when there is no verdict, or the model failed while it was promoted
        :raises slipway.errors.StackFailed: when the stack cannot be changed
        """
        self.enter_stage(context, BoardStage.PRD)
        with self._handle_failures(context):
            self.prepare(context)
            return self._settle(context, time.time() + self.timeout_seconds)

    def resume(self, context: Context, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Go on after the stack has changed, then record the outcome."""
        return self._finish(context, super().resume(context, *args, **kwargs))

    def resume_trial(self, context: Context, event: dict[str, Any] | None, baking: bool) -> dict[str, Any]:
        """Go on after the endpoint has settled, or after a bake.

        :param context: the task's Airflow context
        :param event: how the wait ended
        :param baking: whether it was a bake
        :returns: what execute() returns
        """
        result = WaitResult.from_event(event)
        with self._handle_failures(context):
            self.prepare(context)
            if result.outcome is WaitOutcome.REFUSED:
                raise result.refused("Cannot read the trial's state", self.endpoint_name)
            if baking and result.outcome is WaitOutcome.FAILED:
                self._send_back(result.reason)
            elif result.outcome in (WaitOutcome.FAILED, WaitOutcome.TIMEOUT):
                raise TrialFailed(
                    "The endpoint did not accept the weights",
                    resource=self.endpoint_name,
                    why=" ".join(filter(None, [result.status, result.reason])),
                    fix="check the endpoint in the SageMaker console, then clear this task: it goes on from there",
                )
            return self._settle(context, time.time() + self.timeout_seconds)

    def prepare(self, context: Context) -> None:
        """Prepare as EndpointDeployOperator does, and read the verdict; only the model package's record counts."""
        super().prepare(context)
        package = self._package()
        self._package_arn, record = package["ModelPackageArn"], record_of(package)
        if record is None:
            raise TrialFailed(
                "There is no verdict on this trial",
                resource=self._package_arn,
                why="the model package has no record of one",
                fix="clear decide_trial and answer its question; then this task runs again",
            )
        if record.how == BY_RULE and self.trial.decide is not Decider.RULE:
            raise TrialFailed(
                "No person has made the verdict on this trial",
                resource=self._package_arn,
                why="its record names the rule, but the model file asks a person",
                fix=f"remove {VERDICT} from the package's metadata (`aws sagemaker update-model-package "
                f"--model-package-arn {self._package_arn} --customer-metadata-properties-to-remove {VERDICT}`), clear "
                "decide_trial and answer its question",
            )
        self._record: TrialRecord = record

    def _settle(self, context: Context, deadline: float) -> dict[str, Any]:
        record, stack = self._record, self.look()
        if record.outcome in _OUTCOMES.values():
            self.log.info("This trial has ended: %s", record.outcome)
        elif stack and not stack.status.in_progress and self.undo_of_first_step(stack) is None:
            # While the stack changes, or when a change ended half-way, the weights are already correct.
            self.has_vanished(stack)
            self.check_allowed(stack)
            self._move_weights(context, stack, deadline)
        return self._finish(context, self._advance(context, deadline))

    def _move_weights(self, context: Context, stack: Stack, deadline: float) -> None:
        """Change the weights to what the verdict asks for, or back to the trial's; defer until they are."""
        if trigger := self._wait_if_changing(deadline):
            self.defer(trigger=trigger, method_name="resume_trial", kwargs={"baking": False})
        endpoint = self.endpoint() or {}
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
            # Checked last: the weights of a model that fails must go back even if its artifact has changed.
            self.check_artefacts(stack)
            self.check_images(stack)
            self._set_share(endpoint, step, level=self.levels_instances(stack), deadline=deadline)

    def _bake(self, context: Context, share: float) -> None:
        """Wait until a step has baked, whichever attempt began it; restore the weights if the model fails."""
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
                    endpoint_name=self.endpoint_name,
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
        found = self.metrics.variant_figures(self.endpoint_name, (TRIAL_VARIANT,), bake["since"], now)[TRIAL_VARIANT]
        if found.error_share > limit:
            self._send_back(str(found))
        else:
            self.log.info("Baked with %.0f%% of the requests: %s", share * 100, found)

    def _send_back(self, why: str) -> None:
        """Record that the promotion has failed, before the weights change: a later attempt goes on from there."""
        self.log.error("%s failed while it was promoted (%s): restoring the trial's weights", TRIAL_VARIANT, why)
        self.records.record_outcome(self._package_arn, TrialOutcome.SENT_BACK, why, digest=self._plan.digest)
        self._forget_package()
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
            resource=self.endpoint_name,
            why=self._record.outcome_why,
            fix="clear decide_trial to decide again (Retire removes the model), or upload a better one",
        )

    def _set_share(self, endpoint: Mapping[str, Any], share: float, *, level: bool, deadline: float) -> None:
        """Give the model on trial this share of the requests; defer until it has it."""
        changes = weights.changes(endpoint, share, level=level)
        if not changes:
            return
        self.log.info("Changing %s: %s", self.endpoint_name, changes)
        self.sagemaker.update_weights_and_capacities(self.endpoint_name, changes)
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
        if outcome is TrialOutcome.PROMOTED:
            place, tested = (self._aws.region, self._aws.account), context["ti"].xcom_pull(task_ids="test_prd") or {}
            announce(context, self._plan, place, deployed, tested, change="promoted")
        self.leave_stages(context, BoardStage.PRD)
        return {"verdict": self._record.verdict.value, "outcome": outcome.value, **deployed}

    # What EndpointDeployOperator asks its subclasses.

    def parameters_for(self, stack: Stack | None) -> dict[str, str]:
        """Return the stack's parameters, with the variants that follow from the verdict."""
        if stack is None:
            raise StackFailed(
                "The stack is gone",
                resource=self.stack_name,
                why="somebody has deleted it since the trial began",
                fix="clear deploy_prd and what follows: it creates the stack",
            )
        live: Mapping[str, Any] | None = None
        if self._record.verdict is TrialVerdict.RETIRE and stack.parameters.get("ModelBDataUrl"):
            # The next release is compared with the live model, which the stack must name.
            url = stack.parameters["ModelADataUrl"]
            live = self._package_of_artefact(url)
        arn = live["ModelPackageArn"] if live else None
        return parameters.settled(stack.parameters, self._record.verdict, arn)

    def wanted_share(self, stack: Stack) -> float | None:
        """Return the new model's share: 1 to promote, 0 to retire, the stack's share to keep."""
        if self._record.verdict is TrialVerdict.KEEP:
            return super().wanted_share(stack)
        return 1.0 if self._record.verdict is TrialVerdict.PROMOTE else 0.0

    def levels_instances(self, stack: Stack) -> bool:
        """Check whether the promoted variant needs as many instances as auto scaling gave the other one."""
        return stack.parameters.get("AutoScaling") == "true" and self._record.verdict is TrialVerdict.PROMOTE

    def has_vanished(self, stack: Stack) -> bool:
        """Raise TrialFailed when somebody has deleted the endpoint: deploy_prd creates it, not this task."""
        if super().has_vanished(stack):
            raise TrialFailed(
                "The endpoint does not exist",
                resource=self.endpoint_name,
                why="somebody has deleted it, but not its stack",
                fix="clear deploy_prd and what follows: it creates the endpoint with the trial's weights",
            )
        return False

    def check_trial(self, stack: Stack | None) -> None:
        """Raise StackFailed when production serves another release."""
        revision = stack.outputs.get(parameters.REVISION) if stack else None
        if stack and revision != self._plan.revision_id:
            raise StackFailed(
                "Production serves another release: this trial is over",
                resource=stack.name,
                why=f"its revision is {revision}, ours is {self._plan.revision_id}",
                fix="nothing: this run has nothing left to do",
            )

    def _wait_if_changing(self, deadline: float) -> Any:
        endpoint = self.endpoint()
        busy = endpoint is not None and EndpointStatus(endpoint["EndpointStatus"]) in ON_THE_WAY
        return self.endpoint_wait(deadline) if busy else None

    def _live_figures(self, context: Context) -> VariantFigures:
        """Read the live model's figures of the trial: at a step of 100 % it gets no requests to compare with."""
        watched = result_of(context, "watch_trial")
        return TrialComparison.from_json(watched).live if watched else VariantFigures()
