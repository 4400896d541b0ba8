"""The task ``approve``: it asks the model's approvers, and records their decision in the Model Registry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import ApprovalOperator

from slipway.approval import facts
from slipway.approval.answers import Answer, Question
from slipway.approval.asking import AskingOperator
from slipway.approval.costs import running_now
from slipway.approval.live_contents import live_contents
from slipway.approval.wait import ApprovalOutcome
from slipway.aws.clients import client
from slipway.aws.identity import identity
from slipway.aws.sagemaker import SageMakerHook
from slipway.errors import AlreadyDecided, Rejected, SlipwayError
from slipway.host.links import NewerReleaseLink, run_url
from slipway.model.approval_rules import Approval
from slipway.notices.news import about_error, version_of
from slipway.notices.send import Message, Notice, Notices
from slipway.plan import STRESS_DEV, pull_package_arn, pull_plan, result_of
from slipway.registry.approval_check import check_counts
from slipway.registry.artefact import artefact_of, image_of
from slipway.registry.decisions import DecisionRecordHook
from slipway.registry.record import NOBODY, Decision, How
from slipway.request.contents import CONTENTS, Contents
from slipway.stages.mixin import superseded
from slipway.states import BoardStage, Environment, ExecutionMode

if TYPE_CHECKING:
    from airflow.sdk import Context

    from slipway.stages.board import Entry


class HumanApprovalSensor(AskingOperator, ApprovalOperator):
    """The question to the model's approvers; their decision is recorded on the model package and is the XCom.

    The first decision counts, made in Airflow (the approval screen, or the task marked success or failed) or in the
    Model Registry (SageMaker Studio, AWS CLI). The question stays open until the rules are met. A rejection, and no
    answer in time, fails the task without a retry. There is no default answer.

    :param strategy: how the update of production moves the requests, in words
    :param notices: who is told that a decision is wanted, and of an approval
    :param news: who is told how the release ends
    :raises Rejected: when the decision is a rejection
    """

    operator_extra_links = (NewerReleaseLink(),)
    template_fields = (*AskingOperator.template_fields, "strategy")
    board_stage = BoardStage.APPROVE
    otherwise = "slipway rejects the release"
    registry = client(DecisionRecordHook)
    sagemaker = client(SageMakerHook)

    def __init__(
        self,
        *,
        timeout_days: float = 7,
        strategy: str = "",
        notices: Notices = Notices(),  # noqa: B008 (frozen)
        news: Notices = Notices(),  # noqa: B008 (frozen)
        execution_mode: ExecutionMode = ExecutionMode.SUPERSEDED,
        poll_seconds: float = 3.0,
        aws_conn_id: str | None = "aws_default",
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("retries", 3)
        super().__init__(
            timeout_days=timeout_days,
            notices=notices,
            execution_mode=execution_mode,
            poll_seconds=poll_seconds,
            aws_conn_id=aws_conn_id,
            fail_on_reject=True,
            **kwargs,
        )
        self.strategy = strategy
        self.news = news

    def go_on(self, context: Context, outcome: str | None) -> dict[str, Any]:
        """Decide, ask or wait; see AskingOperator.go_on."""
        arn, question = pull_package_arn(context), self.question(context)
        if standing := self._standing_decision(context, arn):
            return self._finish(context, arn, standing, question)
        if question and self.is_decided(context):
            # The decision was withdrawn in SageMaker: ask a new question, with a new deadline.
            question = None
        answer = self.answer_to(context, question)
        if answer is None and outcome == ApprovalOutcome.TIMEOUT:
            comment = f"No answer within {self.timeout_days:g} days"
            return self._reject_as_slipway(context, arn, How.TIMEOUT, comment, question)
        if (
            answer is None
            and outcome == ApprovalOutcome.SUPERSEDED
            and (newer := self.overtaken(context, BoardStage.APPROVE))
        ):
            return self._end_superseded(context, newer)
        if answer is None and outcome is None:
            self.enter_stage(context, BoardStage.APPROVE)
        question = self.ensure_asked(context, question, answer, outcome)
        # Asking may erase an answer from Airflow's screen, but not from the state store: read it there again.
        while answer := answer or self.answer_to(context, question):
            decision, approvals = self._record_answer(context, arn, question, answer)
            if decision:
                return self._finish(context, arn, decision, question, answer)
            question, answer = self.ask(context, question.next(approvals)), None
        self.wait(context, question)

    def new_question(self, context: Context) -> Question:
        """Make the question about this release, with the approvals that the model package has."""
        arn, digest = pull_package_arn(context), pull_plan(context).digest
        approvals, _ = self.registry.undecided(arn, digest)
        return self.question_about(context, self.registry.candidate(arn, digest), approvals)

    def screen(self, context: Context, question: Question) -> str:
        """Write the approval screen."""
        ti, rules, plan = context["ti"], self.parsed_rules, pull_plan(context)
        evaluation = result_of(context, "evaluate") or {}
        live_arn = (evaluation.get("live") or {}).get("model_package_arn")
        package = self.registry.describe_model_package(question.model_package_arn) or {}
        stress_wanted = STRESS_DEV in self.upstream_task_ids
        return facts.markdown(
            facts.Facts(
                plan=plan,
                evaluation=evaluation,
                registration=result_of(context, "register") or {},
                test=result_of(context, "test_dev") or {},
                artefact=artefact_of(package),
                image=image_of(package),
                contents=Contents.from_xcom(ti.xcom_pull(task_ids="process_request", key=CONTENTS)),
                live_contents=live_contents(live_arn, plan, self.registry, self.uploads),
                instances=running_now(plan.endpoint(Environment.PRODUCTION), self.sagemaker),
                strategy=self.strategy,
                ends_at=self.open_until(question),
                stress=result_of(context, STRESS_DEV) if stress_wanted else None,
                stress_wanted=stress_wanted,
                run_url=run_url(ti.dag_id, ti.run_id),
                uploader=question.uploader,
                approvals=question.approvals,
                wanted=rules.wanted(question.approvals),
            )
        )

    def on_overtaken(self, context: Context, stage: BoardStage, newer: Entry) -> None:
        """End the release, unless somebody has approved it meanwhile."""
        self._end_superseded(context, newer)

    def _end_superseded(self, context: Context, newer: Entry) -> dict[str, Any]:
        """End the release because of a newer one; return the decision if somebody has approved meanwhile."""
        comment = f"Superseded by the newer release {run_url(newer.dag_id, newer.run_id)}"
        return self._reject_as_slipway(
            context, pull_package_arn(context), How.SUPERSEDED, comment, self.question(context)
        )

    def _standing_decision(self, context: Context, arn: str) -> Decision | None:
        """Return the decision on record; raise NotApproved for an approval that deploy_prd would refuse."""
        plan = pull_plan(context)
        decision = self.registry.keep_outside_decision(arn, plan.digest)
        if decision and decision.approved:
            check_counts(
                decision,
                arn,
                self.parsed_rules,
                self.uploader(plan),
                lambda: identity(self.aws_conn_id).arn,
            )
        return decision

    def _record_answer(
        self, context: Context, arn: str, question: Question, answer: Answer
    ) -> tuple[Decision | None, list[Approval]]:
        """Record an answer; return the decision, if the answer completes one, and all approvals so far."""
        rules, digest = self.parsed_rules, pull_plan(context).digest
        approvals, said = self.registry.undecided(arn, digest)
        if not answer.approve:
            decision = self._record(
                context, arn, False, answer.by, answer.how, answer.comment, approvals, decided_at=answer.at
            )
            return decision, approvals
        comment = f"{answer.by}: {answer.comment}" if answer.comment and rules.needed > 1 else answer.comment
        # An attempt that was killed may have recorded it already.
        if answer.approval not in approvals:
            approvals.append(answer.approval)
            said = "; ".join(filter(None, (said, comment)))
        if rules.shortfall(approvals, question.uploader):
            self.registry.record_approvals(arn, approvals, comment=said, digest=digest)
            self.log.info("%s; %s", answer, rules.wanted(approvals))
            return None, approvals
        who = " and ".join(dict.fromkeys(approval.by for approval in approvals))
        decision = self._record(context, arn, True, who, answer.how, said, approvals, decided_at=answer.at)
        return decision, approvals

    def _reject_as_slipway(
        self, context: Context, arn: str, how: How, comment: str, question: Question | None
    ) -> dict[str, Any]:
        decision = self._record(context, arn, False, NOBODY, how, comment)
        return self._finish(context, arn, decision, question)

    def _record(
        self,
        context: Context,
        arn: str,
        approved: bool,
        who: str,
        how: How,
        comment: str,
        approvals: list[Approval] | None = None,
        decided_at: str | None = None,
    ) -> Decision:
        digest = pull_plan(context).digest
        try:
            return self.registry.record_decision(
                arn,
                approved=approved,
                decided_by=who,
                how=how.value,
                comment=comment,
                digest=digest,
                decided_at=decided_at,
                approvals=approvals,
            )
        except AlreadyDecided as late:
            # The first decision stands. The comment of the late one is only in the log.
            self.log.warning("%s. Comment of the late decision: %r", late, comment)
            standing = self._standing_decision(context, arn)
            if standing is None:
                raise
            return standing

    def _finish(
        self, context: Context, arn: str, decision: Decision, question: Question | None, answer: Answer | None = None
    ) -> dict[str, Any]:
        self.note_decision(context, decision.to_xcom())
        late = answer or self.answer_to(context, question)
        if late and not _is_part_of(decision, late):
            self.log.warning("Too late: %s. Comment: %r", late, late.comment)
            self.registry.record_late_answer(arn, str(late), digest=pull_plan(context).digest)
        if decision.approved:
            self._tell(context, Notice.APPROVED, f"{decision.decided_at}", _decision_line(decision))
        self.hitl_summary_extra.update(decision.to_xcom())
        self.log.info("%s by %s (%s) at %s", decision.decision, decision.decided_by, decision.how, decision.decided_at)
        if decision.how == How.SUPERSEDED.value and (newer := self.overtaken(context, BoardStage.APPROVE)):
            NewerReleaseLink.persist(context, newer.dag_id, newer.run_id)
            error = superseded("A newer release has reached the approval", pull_plan(context).sequence, newer)
            self.log.warning("%s", error)
            self._tell_end(context, decision, error)
            raise error
        if not decision.approved:
            rejected = Rejected(
                f"{decision.decided_by} rejected this release",
                resource=arn,
                why=decision.comment or "no comment was given",
                fix="upload another zip; production is unchanged",
            )
            self._tell_end(context, decision, rejected)
            raise rejected
        return decision.to_xcom()

    def _tell(self, context: Context, notice: Notice, key: str, text: str) -> bool:
        ti = context["ti"]
        link = f"{run_url(ti.dag_id, ti.run_id)}/tasks/{ti.task_id}"
        text = f"{self.subject}\n{text}"
        message = Message(notice, f"{notice.value}/{key}", ti.dag_id, text, link, version_of(context), ti.task_id)
        return self.notices.send(message, context, self.aws_conn_id)

    def _tell_end(self, context: Context, decision: Decision, error: SlipwayError) -> None:
        """Send the news of a decision that ends the release."""
        what = f"{self.subject}\n{_decision_line(decision)}"
        message = about_error(_notice_of(decision), error, context, what=what)
        error.told = self.news.send(message, context, self.aws_conn_id)


def _is_part_of(decision: Decision, answer: Answer) -> bool:
    """Check whether an answer is part of a decision."""
    if answer.approve:
        return answer.approval in decision.approvals
    return not decision.approved and decision.decided_by == answer.by


def _notice_of(decision: Decision) -> Notice:
    """Say what the news of a decision that is no approval is about."""
    by_slipway = {How.TIMEOUT.value: Notice.TIMED_OUT, How.SUPERSEDED.value: Notice.SUPERSEDED}
    return by_slipway.get(decision.how, Notice.REJECTED)


def _decision_line(decision: Decision) -> str:
    text = f"{decision.decision} by {decision.decided_by} at {decision.decided_at} ({decision.how})"
    return f"{text}: {decision.comment}" if decision.comment else text
