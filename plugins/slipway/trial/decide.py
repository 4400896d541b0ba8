"""The task ``decide_trial``: an approver, or the model file's rule, decides on the model on trial."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from slipway.approval.answers import Answer, Question
from slipway.approval.asking import AskingOperator
from slipway.approval.wait import ApprovalOutcome
from slipway.aws.clients import client
from slipway.aws.links import ModelPackageLink
from slipway.errors import PermanentError
from slipway.host.links import NewerReleaseLink, run_url
from slipway.model.approval_rules import ApprovalStage, Rules
from slipway.model.trial import Trial
from slipway.notices.send import Notices
from slipway.plan import pull_package_arn, pull_plan, result_of
from slipway.registry.record import NOBODY, How
from slipway.states import BoardStage, Decider, TrialOutcome, TrialVerdict
from slipway.trial.figures import TrialComparison, judge
from slipway.trial.record import BY_RULE, STAGE, TrialRecord, TrialRecordHook
from slipway.trial.wait import TrialDecisionTrigger

if TYPE_CHECKING:
    from airflow.sdk import Context

    from slipway.model.config import ModelConfig

SUBJECT = "Promote, keep or retire the model on trial?"
# The buttons; slipway/guard/flush.py names the first one too.
OPTIONS = {"Promote": TrialVerdict.PROMOTE, "Keep": TrialVerdict.KEEP, "Retire": TrialVerdict.RETIRE}


class TrialDecisionSensor(AskingOperator):
    """The decision on a trial; the verdict is recorded with its figures on the model package and is the XCom.

    A rule decides at once. Otherwise one of the model's approvers is asked. No answer in time keeps both variants. A
    final verdict is not asked for again. After a verdict that left both variants in place, a cleared task asks again.

    :param model: the model file's content
    """

    board_stage = BoardStage.PRD
    trigger_class = TrialDecisionTrigger
    otherwise = "both models stay as they are"
    records = client(TrialRecordHook)
    operator_extra_links = (ModelPackageLink(), NewerReleaseLink())

    def __init__(self, *, model: ModelConfig, **kwargs: Any) -> None:
        self.trial = model.trial or Trial()
        approvers = tuple(model.approval.rules().approvers)
        super().__init__(
            subject=SUBJECT,
            options=list(OPTIONS),
            notices=Notices.of(model.approval),
            rules=Rules((ApprovalStage(STAGE, approvers),), model.approval.allow_uploader),
            home_bucket=model.source.bucket,
            timeout_days=self.trial.answer_days,
            execution_mode=model.execution_mode,
            poll_seconds=model.timeouts.poll_seconds,
            aws_conn_id=model.aws_conn_id,
            **kwargs,
        )
        self.news = Notices.of_news(model)

    def go_on(self, context: Context, outcome: str | None) -> dict[str, Any]:
        """Decide, ask or wait; see AskingOperator.go_on."""
        arn = pull_package_arn(context)
        standing = self.records.trial_record(arn, pull_plan(context).digest)
        if standing and standing.stands:
            return self._finish(context, arn, standing)
        if newer := self.overtaken(context, BoardStage.PRD):
            if standing is None:
                digest = pull_plan(context).digest
                self.records.record_outcome(arn, TrialOutcome.SUPERSEDED, newer.run_id, digest=digest)
            self.leave_stages(context, BoardStage.PRD)
            self.end_superseded(context, BoardStage.PRD, newer)
        figures = _comparison(context)
        if self.trial.decide is Decider.RULE:
            judgement = judge(figures, self.trial.rule, needs_truth=self.trial.ground_truth is not None)
            return self._record(context, judgement.verdict, BY_RULE, BY_RULE, "; ".join(judgement.reasons))
        # After a verdict that left both variants in place, ask a new question.
        question = None if self.is_decided(context) else self.question(context)
        answer = self.answer_to(context, question)
        if answer is None and outcome == ApprovalOutcome.TIMEOUT:
            why = f"No answer within {self.timeout_days:g} days"
            return self._record(context, TrialVerdict.KEEP, NOBODY, How.TIMEOUT.value, why)
        question = self.ensure_asked(context, question, answer, outcome)
        # Asking may erase an answer from Airflow's screen, but not from the state store: read it there again.
        if answer := self.answer_to(context, question):
            return self._record_answer(context, answer)
        self.wait(context, question)

    def new_question(self, context: Context) -> Question:
        """Make the question about this trial."""
        arn, digest = pull_package_arn(context), pull_plan(context).digest
        return self.question_about(context, self.records.candidate(arn, digest), ())

    def screen(self, context: Context, question: Question) -> str:
        """Write the figures, and what each button does."""
        ti, figures = context["ti"], _comparison(context)
        return (
            f"### The trial, {figures.began} to {figures.ended}\n\n{figures.markdown()}\n\n"
            "**Promote**: the new model gets all requests, step by step, and becomes the live one. "
            "**Keep**: both models stay as they are. **Retire**: the live model gets all requests again.\n\n"
            f"Asked: {self.parsed_rules.wanted(())}. The question waits until {self.open_until(question)}; without an "
            f"answer both models stay as they are. [The release]({run_url(ti.dag_id, ti.run_id)})"
        )

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
            self.log.warning("Too late: %s. Another verdict was first: %s", wanted, standing)
        return self._finish(context, arn, standing)

    def _finish(self, context: Context, arn: str, record: TrialRecord) -> dict[str, Any]:
        decision = {"decision": record.verdict.value, "decided_by": record.decided_by}
        how = {"decided_at": record.decided_at, "how": record.how, "comment": record.why}
        self.note_decision(context, {**decision, **how})
        self.hitl_summary_extra.update(record.to_xcom())
        ModelPackageLink.keep_for(arn, self, self.aws_conn_id, model_package_arn=arn)
        self.log.info("%s", record)
        return record.to_xcom()


def _comparison(context: Context) -> TrialComparison:
    found = result_of(context, "watch_trial")
    if not found or "live" not in found:
        raise PermanentError(
            "There are no figures to decide on",
            resource="watch_trial",
            why="the task has no XCom with the figures of both models",
            fix="clear watch_trial and what follows",
        )
    return TrialComparison.from_json(found)
