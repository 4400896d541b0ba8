"""The task ``decide_trial``: what becomes of the model on trial, by a person's word or by the model file's rule."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk.execution_time.hitl import upsert_hitl_detail

from slipway.approval.answers import DECIDED, QUESTION, UNPROVEN, Answer, Question, is_spoilt, proven_answer
from slipway.approval.approve import COMMENT, POLL_LIMIT_SECONDS, comment_field
from slipway.approval.wait import ApprovalOutcome
from slipway.aws.identity import resolve
from slipway.aws.links import ModelPackageLink
from slipway.aws.s3 import S3VersionHook
from slipway.errors import PermanentError
from slipway.host.links import NewerReleaseLink, run_url
from slipway.model.approvers import ApprovalStage, Rules
from slipway.model.trial import Trial
from slipway.plan import pull_package_arn, pull_plan
from slipway.registry.record import NOBODY, How
from slipway.request.uploader import uploader_under
from slipway.stages.mixin import StageMixin
from slipway.states import BoardStage, Decider, TrialOutcome, TrialVerdict
from slipway.trial import record as trial_record
from slipway.trial.figures import TrialComparison, judge
from slipway.trial.record import BY_RULE, TrialRecord, TrialRecordHook
from slipway.trial.wait import TrialDecisionTrigger

if TYPE_CHECKING:
    from airflow.sdk import Context

    from slipway.model.config import ModelConfig

SUBJECT = "What shall become of the model on trial?"
# The buttons; the guard knows the first by name: slipway/guard/flush.py.
OPTIONS = {"Promote": TrialVerdict.PROMOTE, "Keep": TrialVerdict.KEEP, "Retire": TrialVerdict.RETIRE}


class TrialDecisionSensor(StageMixin, HITLOperator):
    """Decides upon a trial, and records the verdict with its figures on the model package.

    By rule it decides at once. A person is asked deferred, as HumanApprovalSensor asks: an answer is one that the API
    server's guard has let through, of any one of the model's approvers. No answer in time keeps both variants. A
    verdict that stands is never asked for again; one that left both variants in place may be followed by another,
    when the task is cleared.

    :param model: the model file's content
    """

    # Template fields are serialized: the guard reads the rules there.
    template_fields = (*HITLOperator.template_fields, "rules")
    operator_extra_links = (ModelPackageLink(), NewerReleaseLink())

    def __init__(self, *, model: ModelConfig, **kwargs: Any) -> None:
        # Airflow hands the DAG's params on to every operator; they are no fields of this form.
        kwargs.pop("params", None)
        self.trial = model.trial or Trial()
        super().__init__(
            subject=SUBJECT,
            options=list(OPTIONS),
            params={COMMENT: comment_field()},
            response_timeout=timedelta(days=self.trial.answer_days),
            **kwargs,
        )
        approvers = tuple(model.approval.rules().approvers)
        self.rules = Rules((ApprovalStage(trial_record.STAGE, approvers),), model.approval.allow_uploader).to_json()
        self.home_bucket = model.source.bucket
        self.aws_conn_id = model.aws_conn_id
        self.execution_mode = model.execution_mode
        self.poll_seconds = min(model.timeouts.poll_seconds, POLL_LIMIT_SECONDS)
        self.stage_poll_seconds = self.poll_seconds

    @property
    def records(self) -> TrialRecordHook:
        """The hook that reads and writes the record."""
        return TrialRecordHook(aws_conn_id=self.aws_conn_id)

    @property
    def uploads(self) -> S3VersionHook:
        """The hook that says who uploaded a zip."""
        return S3VersionHook(aws_conn_id=self.aws_conn_id)

    def execute(self, context: Context) -> dict[str, Any]:
        """Decide, or ask and wait.

        :param context: the task's Airflow context
        :returns: the verdict
        :raises slipway.errors.Superseded: when a newer release has come to production first
        """
        return self._go_on(context, {})

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """Go on after a wait.

        :param context: the task's Airflow context
        :param event: what the trigger saw, or Airflow's own notice of an answer
        :returns: the verdict
        """
        return self._go_on(context, {"outcome": ApprovalOutcome.ANSWERED.value, **event})

    def _go_on(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        arn, outcome = pull_package_arn(context), event.get("outcome")
        if outcome == ApprovalOutcome.REFUSED:
            raise PermanentError("The Model Registry does not show the verdict", resource=arn, why=event["reason"])
        standing = self.records.trial_record(arn, pull_plan(context).digest)
        if standing and standing.stands:
            return self._settle(context, arn, standing)
        if newer := self.overtaken(context, BoardStage.PRD):
            if standing is None:
                digest = pull_plan(context).digest
                self.records.record_outcome(arn, TrialOutcome.SUPERSEDED, newer.run_id, digest=digest)
            self.leave_stages(context, BoardStage.PRD)
            self.end_superseded(context, BoardStage.PRD, newer)
        figures = _comparison(context)
        if self.trial.decide is Decider.RULE:
            said = judge(figures, self.trial.rule, needs_truth=self.trial.ground_truth is not None)
            return self._record(context, said.verdict, BY_RULE, BY_RULE, "; ".join(said.reasons))
        question, is_new = self._question(context, arn)
        if answer := proven_answer(context, question):
            return self._record_answer(context, answer)
        if outcome == ApprovalOutcome.TIMEOUT:
            why = f"No answer within {self.trial.answer_days:g} days"
            return self._record(context, TrialVerdict.KEEP, NOBODY, How.TIMEOUT.value, why)
        if outcome == ApprovalOutcome.ANSWERED:
            self.log.error(UNPROVEN)
        if is_new or outcome in (ApprovalOutcome.ANSWERED, ApprovalOutcome.UNASKED):
            self._ask(context, question, figures)
            # To put a question may erase an answer from Airflow's screen, never from the state store.
            if answer := proven_answer(context, question):
                return self._record_answer(context, answer)
        self._wait(context, question)

    def _question(self, context: Context, arn: str) -> tuple[Question, bool]:
        """:returns: the question that is open, or a new one after the former has been decided; whether it is new"""
        store: Any = context["task_state_store"]
        asked, decided = store.get(QUESTION), store.get(DECIDED)
        former = Question.from_json(asked) if asked else None
        if former and former.model_package_arn == arn and not decided and not is_spoilt(context, former):
            return former, False
        number = former.number if former else 0
        while store.get(f"answer/{number}"):
            number += 1
        rules, home_bucket = Rules.from_json(self.rules), resolve(self.home_bucket, self.aws_conn_id)
        plan = pull_plan(context)
        uploader = uploader_under(rules, plan, home_bucket, self.uploads)
        question = Question.about(self.records.candidate(arn, plan.digest), (), number=number, uploader=uploader)
        store.set(QUESTION, question.to_json(), retention=timedelta(days=self.trial.answer_days + 1))
        # Last: whoever is killed before has only left a question that nobody can answer.
        if decided:
            store.delete(DECIDED)
        return question, True

    def _record_answer(self, context: Context, answer: Answer) -> dict[str, Any]:
        verdict = OPTIONS[answer.option]
        return self._record(
            context, verdict, answer.by, answer.how.value, answer.comment, decided_at=answer.at, proof=answer.proof
        )

    def _record(
        self,
        context: Context,
        verdict: TrialVerdict,
        by: str,
        how: str,
        why: str,
        decided_at: str | None = None,
        proof: str = "",
    ) -> dict[str, Any]:
        arn, digest = pull_package_arn(context), pull_plan(context).digest
        at = decided_at or datetime.now(UTC).isoformat(timespec="seconds")
        wanted = TrialRecord(verdict, by, at, how, why, proof=proof)
        standing = self.records.record_verdict(arn, wanted, _comparison(context), digest=digest)
        if standing.verdict is not verdict:
            self.log.warning("Too late: %s. What stands is %s", wanted, standing)
        return self._settle(context, arn, standing)

    def _settle(self, context: Context, arn: str, record: TrialRecord) -> dict[str, Any]:
        # From here on the guard tells whoever answers that it is decided, and by whom.
        context["task_state_store"].set(
            DECIDED,
            {
                "decision": record.verdict.value,
                "decided_by": record.decided_by,
                "decided_at": record.decided_at,
                "how": record.how,
                "model_package_arn": arn,
            },
        )
        self.hitl_summary_extra.update(record.to_xcom())
        ModelPackageLink.persist_for(arn, context, self, model_package_arn=arn)
        self.log.info("%s", record)
        return record.to_xcom()

    def _ask(self, context: Context, question: Question, figures: TrialComparison) -> None:
        wanted = Rules.from_json(self.rules).wanted(())
        ti = context["ti"]
        self.body = (
            f"### The trial, {figures.began} to {figures.ended}\n\n{figures.markdown()}\n\n"
            "**Promote**: the new model takes all requests step by step, then becomes the live one. "
            "**Keep**: both stay as they are. **Retire**: the live model has all requests again.\n\n"
            f"Asked: {wanted}. [The release]({run_url(ti.dag_id, ti.run_id)})"
        )
        upsert_hitl_detail(
            ti_id=context["task_instance"].id,
            options=self.options,
            subject=self.subject,
            body=self.body,
            params=self.serialized_params,
        )
        self.log.info("Waiting: %s", wanted)

    def _wait(self, context: Context, question: Question) -> NoReturn:
        self.defer(
            trigger=TrialDecisionTrigger(
                ti_id=str(context["task_instance"].id),
                model_package_arn=question.model_package_arn,
                deadline=question.at + timedelta(days=self.trial.answer_days).total_seconds(),
                ticket=self.ticket(context, BoardStage.PRD).to_json(),
                poll_seconds=self.poll_seconds,
                aws_conn_id=self.aws_conn_id,
            ),
            method_name="execute_complete",
        )
        raise AssertionError("defer() always raises")


def _comparison(context: Context) -> TrialComparison:
    found = context["ti"].xcom_pull(task_ids="watch_trial")
    if not found or "live" not in found:
        raise PermanentError(
            "There are no figures to decide upon", resource="watch_trial", fix="clear watch_trial and what follows"
        )
    return TrialComparison.from_json(found)
