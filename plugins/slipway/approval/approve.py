"""The task ``approve``: waits for a person and makes the Model Registry's record of what they decided."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import Param
from airflow.sdk.execution_time.hitl import upsert_hitl_detail

from slipway.approval import facts
from slipway.approval.answers import DECIDED, QUESTION, UNPROVEN, Answer, Question, is_spoilt, proven_answer
from slipway.approval.wait import ApprovalOutcome, ApprovalTrigger
from slipway.aws.identity import identity, resolve
from slipway.aws.s3 import S3VersionHook
from slipway.errors import AlreadyDecided, PermanentError, Rejected
from slipway.host.links import NewerReleaseLink, run_url
from slipway.model.approvers import Approval, Rules
from slipway.notices.send import Message, Notice, Notices, retry_at
from slipway.plan import STRESS_DEV, ReleasePlan, pull_package_arn, pull_plan
from slipway.registry import approved as production_checks
from slipway.registry.artefact import Artefact, artefact_of
from slipway.registry.hook import ModelRegistryHook
from slipway.registry.record import APPROVAL_DESCRIPTION_MAX_CHARS, NOBODY, Decision, How
from slipway.request.uploader import uploader_under
from slipway.stages.mixin import StageMixin, superseded
from slipway.states import BoardStage, ExecutionMode

if TYPE_CHECKING:
    from airflow.sdk import Context

    from slipway.stages.board import Entry

COMMENT = "comment"
# A decision in the registry is to be noticed within ten seconds, however patient the model file is otherwise.
POLL_LIMIT_SECONDS = 5.0


class HumanApprovalSensor(StageMixin, ApprovalOperator):
    """Asks the model's approvers, deferred, so that waiting holds no worker slot.

    A decision is taken from Airflow (the approval screen, or the task marked success or failed) and from the Model
    Registry (SageMaker Studio, AWS CLI), whichever comes first, and ends as a record on the model package. An answer
    given in Airflow is one that the API server's guard has let through and written down; see slipway/guard.
    The question stays open until the rules are met. A rejection, and no answer in time, fails the task without a
    retry. There is no default answer. The XCom is the Decision.

    :param rules: who may answer, and whose approvals are needed
    :param home_bucket: the bucket that keeps the model's releases; may contain {region} and {account}
    :param timeout_days: days until no answer counts as a rejection
    :param notices: who is told
    :param execution_mode: whether a newer release takes this one's place while it waits
    :param poll_seconds: time between two looks at the Model Registry; 5 at most
    :param aws_conn_id: Airflow connection with the AWS credentials
    """

    # Template fields are serialized: the guard reads the rules there.
    template_fields = (*ApprovalOperator.template_fields, "rules")
    operator_extra_links = (NewerReleaseLink(),)

    def __init__(
        self,
        *,
        rules: Rules,
        home_bucket: str,
        subject: str,
        timeout_days: float = 7,
        notices: Notices = Notices(),  # noqa: B008 (frozen)
        execution_mode: ExecutionMode = ExecutionMode.SUPERSEDED,
        poll_seconds: float = 3.0,
        aws_conn_id: str | None = "aws_default",
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("retries", 3)
        # Airflow hands the DAG's params on to every operator; they are no fields of this form.
        kwargs.pop("params", None)
        # Nobody is assigned: Airflow would compare user ids, which are numbers with some auth managers. The guard
        # compares names, and what it has not let through is no answer.
        super().__init__(
            subject=subject,
            params={COMMENT: comment_field()},
            response_timeout=timedelta(days=timeout_days),
            fail_on_reject=True,
            **kwargs,
        )
        self.rules = rules.to_json()
        self.home_bucket = home_bucket
        self.timeout_days = timeout_days
        self.notices = notices
        self.execution_mode = execution_mode
        self.poll_seconds = min(poll_seconds, POLL_LIMIT_SECONDS)
        self.stage_poll_seconds = self.poll_seconds
        self.aws_conn_id = aws_conn_id

    @property
    def registry(self) -> ModelRegistryHook:
        """The hook that reads and writes the record."""
        return ModelRegistryHook(aws_conn_id=self.aws_conn_id)

    @property
    def uploads(self) -> S3VersionHook:
        """The hook that says who uploaded a zip."""
        return S3VersionHook(aws_conn_id=self.aws_conn_id)

    def execute(self, context: Context) -> dict[str, Any]:
        """Ask, unless it is decided already, and wait.

        :returns: the decision, when one stands
        :raises Rejected: when the decision that stands is a rejection
        :raises slipway.errors.Superseded: when a newer release has come here, and nobody has decided on this one
        """
        return self._go_on(context, {})

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """Go on after a wait: record what has been decided, or wait for more.

        :param event: what the trigger saw, or Airflow's own notice of an answer
        :returns: the decision
        :raises Rejected: when it is a rejection, or came too late
        """
        # Airflow's own event has no outcome; the answer itself is in the state store.
        return self._go_on(context, {"outcome": ApprovalOutcome.ANSWERED.value, **event})

    def _go_on(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        arn, outcome = pull_package_arn(context), event.get("outcome")
        if outcome == ApprovalOutcome.REFUSED:
            raise PermanentError("The Model Registry does not show the decision", resource=arn, why=event["reason"])
        question = self._question(context, arn)
        if standing := self._standing(context, arn):
            return self._settle(context, arn, standing, question)
        if question and context["task_state_store"].get(DECIDED):
            # The decision was withdrawn in SageMaker: another question, with time of its own.
            context["task_state_store"].delete(DECIDED)
            question = None
        answer = self._answer(context, question)
        if answer is None and outcome == ApprovalOutcome.TIMEOUT:
            comment = f"No answer within {self.timeout_days:g} days"
            return self._end(context, arn, How.TIMEOUT, comment, question)
        if (
            answer is None
            and outcome == ApprovalOutcome.SUPERSEDED
            and (newer := self.overtaken(context, BoardStage.APPROVE))
        ):
            return self._end_superseded(context, newer)
        if answer is None and not event:
            self.enter_stage(context, BoardStage.APPROVE)
        if question is None:
            question = self._ask(context, self._new_question(context, arn))
        elif answer is None and outcome == ApprovalOutcome.ANSWERED:
            self.log.error(UNPROVEN)
            self._ask(context, question)
        elif answer is None and outcome == ApprovalOutcome.UNASKED:
            self._ask(context, question)
        if is_spoilt(context, question):
            # Its place is taken by what is no answer, so that nobody could answer it any more.
            self.log.error(UNPROVEN)
            question = self._ask(context, question.next(question.approvals))
        # To put a question may erase an answer from Airflow's screen, never from the state store: hence look again.
        while answer := self._answer(context, question):
            decision, approvals = self._record_answer(context, arn, question, answer)
            if decision:
                return self._settle(context, arn, decision, question)
            question = self._ask(context, question.next(approvals))
        self._wait(context, question)

    def on_overtaken(self, context: Context, stage: BoardStage, newer: Entry) -> None:
        """As StageMixin.on_overtaken, unless somebody has approved this release meanwhile."""
        self._end_superseded(context, newer)

    def _end_superseded(self, context: Context, newer: Entry) -> dict[str, Any]:
        """End the release because of a newer one; returns the decision if somebody has approved meanwhile."""
        arn = pull_package_arn(context)
        comment = f"Superseded by the newer release {run_url(newer.dag_id, newer.run_id)}"
        return self._end(context, arn, How.SUPERSEDED, comment, self._question(context, arn))

    def _standing(self, context: Context, arn: str) -> Decision | None:
        """:returns: the decision on record; an approval only if it would let the model into production"""
        plan = pull_plan(context)
        decision = self.registry.keep_outside_decision(arn, plan.digest)
        if decision and decision.approved:
            production_checks.check_counts(
                decision,
                arn,
                Rules.from_json(self.rules),
                self._uploader(plan),
                lambda: identity(self.aws_conn_id).arn,
            )
        return decision

    def _question(self, context: Context, arn: str) -> Question | None:
        asked: Any = context["task_state_store"].get(QUESTION)
        question = Question.from_json(asked) if asked else None
        return question if question and question.model_package_arn == arn else None

    def _new_question(self, context: Context, arn: str) -> Question:
        store, plan = context["task_state_store"], pull_plan(context)
        asked: Any = store.get(QUESTION)
        # Answers about another model package keep their places.
        number = Question.from_json(asked).number if asked else 0
        while store.get(f"answer/{number}"):
            number += 1
        approvals, _ = self.registry.undecided(arn, plan.digest)
        candidate = self.registry.candidate(arn, plan.digest)
        return Question.about(candidate, approvals, number=number, uploader=self._uploader(plan))

    def _uploader(self, plan: ReleasePlan) -> str | None:
        home_bucket = resolve(self.home_bucket, self.aws_conn_id)
        return uploader_under(Rules.from_json(self.rules), plan, home_bucket, self.uploads)

    def _answer(self, context: Context, question: Question | None) -> Answer | None:
        return proven_answer(context, question) if question else None

    def _record_answer(
        self, context: Context, arn: str, question: Question, answer: Answer
    ) -> tuple[Decision | None, list[Approval]]:
        """:returns: the decision that it makes, if it makes one, and all approvals so far"""
        rules, digest = Rules.from_json(self.rules), pull_plan(context).digest
        approvals, said = self.registry.undecided(arn, digest)
        if not answer.approve:
            decision = self._record(
                context, arn, False, answer.by, answer.how, answer.comment, approvals, decided_at=answer.at
            )
            return decision, approvals
        comment = f"{answer.by}: {answer.comment}" if answer.comment and rules.needed > 1 else answer.comment
        # An attempt that was killed may have recorded it.
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

    def _end(self, context: Context, arn: str, how: How, comment: str, question: Question | None) -> dict[str, Any]:
        approvals, _ = self.registry.undecided(arn, pull_plan(context).digest)
        decision = self._record(context, arn, False, NOBODY, how, comment, approvals)
        return self._settle(context, arn, decision, question)

    def _record(
        self,
        context: Context,
        arn: str,
        approved: bool,
        who: str,
        how: How,
        comment: str,
        approvals: list[Approval],
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
            # Somebody else was first, and that stands; what was wanted here stays to be read in the log.
            self.log.warning("%s. Comment that came too late: %r", late, comment)
            standing = self._standing(context, arn)
            if standing is None:
                raise
            return standing

    def _settle(self, context: Context, arn: str, decision: Decision, question: Question | None) -> dict[str, Any]:
        # From here on the guard tells whoever answers that it is decided, and by whom.
        context["task_state_store"].set(DECIDED, {**decision.to_xcom(), "model_package_arn": arn})
        late = self._answer(context, question)
        if late and not _made_by(decision, late):
            self.log.warning("Too late: %s. Comment: %r", late, late.comment)
            self.registry.record_late_answer(arn, str(late), digest=pull_plan(context).digest)
        self._tell(context, _notice_of(decision), f"{decision.decided_at}", _said(decision))
        self.hitl_summary_extra.update(decision.to_xcom())
        self.log.info("%s by %s (%s) at %s", decision.decision, decision.decided_by, decision.how, decision.decided_at)
        if decision.how == How.SUPERSEDED.value and (newer := self.overtaken(context, BoardStage.APPROVE)):
            NewerReleaseLink.persist(context, newer.dag_id, newer.run_id)
            error = superseded("A newer release has come to the approval", pull_plan(context).sequence, newer)
            self.log.warning("%s", error)
            raise error
        if not decision.approved:
            raise Rejected(
                f"{decision.decided_by} rejected this release",
                resource=arn,
                why=decision.comment or "no comment was given",
                fix="upload another zip; production serves what it served",
            )
        return decision.to_xcom()

    def _ask(self, context: Context, question: Question) -> Question:
        # Remembered first: the trigger notices a question that was never put, but nobody a lost answer.
        kept_for = timedelta(days=self.timeout_days + 1)
        context["task_state_store"].set(QUESTION, question.to_json(), retention=kept_for)
        self.body = facts.markdown(
            _facts(
                context,
                Rules.from_json(self.rules),
                question,
                artefact_of(self.registry.describe_model_package(question.model_package_arn) or {}),
                STRESS_DEV in self.upstream_task_ids,
            )
        )
        upsert_hitl_detail(
            ti_id=context["task_instance"].id,
            options=self.options,
            subject=self.subject,
            body=self.body,
            params=self.serialized_params,
        )
        self.log.info("Waiting: %s", Rules.from_json(self.rules).wanted(question.approvals))
        return question

    def _wait(self, context: Context, question: Question) -> NoReturn:
        timeout_seconds = timedelta(days=self.timeout_days).total_seconds()
        self.defer(
            trigger=ApprovalTrigger(
                ti_id=str(context["task_instance"].id),
                model_package_arn=question.model_package_arn,
                deadline=question.at + timeout_seconds,
                notice_at=self._tell_what_is_due(context, question, question.at + timeout_seconds / 2),
                ticket=self.ticket(context, BoardStage.APPROVE).to_json(),
                poll_seconds=self.poll_seconds,
                aws_conn_id=self.aws_conn_id,
            ),
            method_name="execute_complete",
        )

    def _tell_what_is_due(self, context: Context, question: Question, half_time: float) -> float | None:
        """:returns: when there is something to tell again"""
        if not self.notices:
            return None
        rules = Rules.from_json(self.rules)
        stage = rules.open_stage(question.approvals)
        wanted = f"{rules.wanted(question.approvals)}, until {_utc(2 * half_time - question.at)}"
        told = self._tell(context, Notice.WANTED, f"{question.at}/{stage and stage.name}", wanted)
        if time.time() < half_time:
            return half_time if told else min(half_time, retry_at())
        told = self._tell(context, Notice.REMINDER, f"{question.at}", wanted) and told
        return None if told else retry_at()

    def _tell(self, context: Context, notice: Notice, key: str, text: str) -> bool:
        ti = context["ti"]
        link = f"{run_url(ti.dag_id, ti.run_id)}/tasks/{ti.task_id}"
        if notice in (Notice.WANTED, Notice.REMINDER):
            link += "/required_actions"
        message = Message(notice, f"{notice.value}/{key}", ti.dag_id, f"{self.subject}\n{text}", link)
        return self.notices.send(message, context, self.aws_conn_id)


def _made_by(decision: Decision, answer: Answer) -> bool:
    """Tell whether an answer is part of what was decided."""
    if answer.approve:
        return answer.approval in decision.approvals
    return not decision.approved and decision.decided_by == answer.by


def _notice_of(decision: Decision) -> Notice:
    if decision.approved:
        return Notice.APPROVED
    nobodys = {How.TIMEOUT.value: Notice.TIMED_OUT, How.SUPERSEDED.value: Notice.SUPERSEDED}
    return nobodys.get(decision.how, Notice.REJECTED)


def _said(decision: Decision) -> str:
    text = f"{decision.decision} by {decision.decided_by} at {decision.decided_at} ({decision.how})"
    return f"{text}: {decision.comment}" if decision.comment else text


def _utc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="minutes")


def comment_field() -> Param:
    return Param(
        None,
        # Airflow's form keeps both buttons disabled while a field that may not be null is empty.
        type=["null", "string"],
        title="Comment",
        description="Kept with the decision on the model package",
        maxLength=APPROVAL_DESCRIPTION_MAX_CHARS,
        source="task",
    )


def _facts(
    context: Context, rules: Rules, question: Question, artefact: Artefact | None, stress_wanted: bool
) -> facts.Facts:
    ti = context["ti"]
    return facts.Facts(
        plan=pull_plan(context),
        evaluation=ti.xcom_pull(task_ids="evaluate") or {},
        registration=ti.xcom_pull(task_ids="register") or {},
        test=ti.xcom_pull(task_ids="test_dev") or {},
        artefact=artefact,
        stress=ti.xcom_pull(task_ids=STRESS_DEV),
        stress_wanted=stress_wanted,
        run_url=run_url(ti.dag_id, ti.run_id),
        uploader=question.uploader,
        approvals=question.approvals,
        wanted=rules.wanted(question.approvals),
    )
