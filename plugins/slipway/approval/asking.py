"""The base of approve and decide_trial, which ask people a question, wait deferred, and read the answer."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn, Self

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import Param

from slipway.approval.answers import (
    DECIDED,
    UNSIGNED_ANSWER,
    Answer,
    Question,
    free_number,
    has_unsigned_answer,
    read_answer,
    read_question,
    write_question,
)
from slipway.approval.wait import ApprovalOutcome, ApprovalTrigger
from slipway.approval.wanted import tell_wanted, utc
from slipway.aws.clients import client
from slipway.aws.identity import resolve
from slipway.aws.s3 import S3Hook
from slipway.errors import PermanentError
from slipway.formats.stored import versioned
from slipway.host.questions import put_question
from slipway.metrics.catalogue import APPROVAL_DURATION
from slipway.metrics.record import enabled, record
from slipway.model.approval_rules import Approval, Rules
from slipway.names import package_version
from slipway.notices.send import Notices
from slipway.plan import ReleasePlan, pull_package_arn, pull_plan
from slipway.registry.record import APPROVAL_DESCRIPTION_MAX_CHARS, Candidate
from slipway.request.uploader import uploader_under
from slipway.stages.mixin import StageMixin
from slipway.states import BoardStage, ExecutionMode
from slipway.waiting.results import REFUSED_FIX

if TYPE_CHECKING:
    from airflow.sdk import Context

COMMENT = "comment"
# Soon after the question, a decision in the Model Registry must be noticed within ten seconds, whatever the file says.
POLL_LIMIT_SECONDS = 3.0


class AskingOperator(StageMixin, HITLOperator):
    """A question to people in Airflow; the task waits deferred, without a worker slot.

    The question and the decision are in the task's state store, where the API server's guard reads them. The guard
    signs each answer that it accepts; an answer without its signature is ignored, and the question is asked again. A
    subclass says what it asks and what an answer does.

    :param rules: who may answer, and whose approvals are needed
    :param home_bucket: the bucket that keeps the model's releases; may contain {region} and {account}
    :param timeout_days: days until the wait for an answer ends
    :param execution_mode: whether a newer release takes this one's place while it waits
    :param poll_seconds: time between two looks at the Model Registry, 3 at most; with the age of the question, more
    :param aws_conn_id: Airflow connection with the AWS credentials
    """

    # Template fields are serialized: the guard and the board read them there.
    template_fields = (*HITLOperator.template_fields, "rules", "timeout_days")

    # The stage at which a newer release takes this one's place.
    board_stage: BoardStage
    trigger_class: type[ApprovalTrigger] = ApprovalTrigger
    uploads = client(S3Hook)
    # What happens without an answer, as the end of a sentence.
    otherwise: str

    def __init__(
        self,
        *,
        rules: Rules,
        notices: Notices,
        home_bucket: str,
        timeout_days: float,
        execution_mode: ExecutionMode,
        poll_seconds: float,
        aws_conn_id: str | None,
        **kwargs: Any,
    ) -> None:
        # Airflow gives every operator the DAG's params; they are not fields of this form.
        kwargs.pop("params", None)
        # No assigned users: Airflow would compare user ids, which are numbers with some auth managers. The guard
        # compares names.
        super().__init__(params={COMMENT: _comment_field()}, response_timeout=timedelta(days=timeout_days), **kwargs)
        self.rules = rules.to_json()
        self.notices = notices
        self.home_bucket = home_bucket
        self.timeout_days = timeout_days
        self.execution_mode = execution_mode
        self.poll_seconds = min(poll_seconds, POLL_LIMIT_SECONDS)
        self.stage_poll_seconds = self.poll_seconds
        self.aws_conn_id = aws_conn_id

    def prepare_for_execution(self) -> Self:
        """Begin without templates: no field is one, and Airflow would store what it rendered, by a request."""
        made = super().prepare_for_execution()
        made.template_fields = ()
        return made

    def execute(self, context: Context) -> dict[str, Any]:
        """Ask, unless it is decided already, and wait.

        :param context: the task's Airflow context
        :returns: the decision
        :raises slipway.errors.Superseded: when a newer release has taken this one's place
        """
        return self.go_on(context, None)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """Go on after a wait: record what has been decided, or wait for more.

        :param context: the task's Airflow context
        :param event: what the trigger saw, or Airflow's own notice of an answer
        :returns: the decision
        :raises PermanentError: when AWS does not show the model package
        """
        # Airflow's own event has no outcome; the answer itself is in the state store.
        outcome = event.get("outcome", ApprovalOutcome.ANSWERED)
        if outcome == ApprovalOutcome.REFUSED:
            arn = pull_package_arn(context)
            raise PermanentError(
                "The Model Registry does not show the decision",
                resource=arn,
                why=event["reason"],
                fix=event.get("fix") or REFUSED_FIX,
            )
        return self.go_on(context, outcome)

    # What a subclass defines.

    def go_on(self, context: Context, outcome: str | None) -> dict[str, Any]:
        """Decide, ask or wait.

        :param context: the task's Airflow context
        :param outcome: why the wait ended; None before the first wait
        :returns: the decision
        """
        raise NotImplementedError

    def new_question(self, context: Context) -> Question:
        """Make the question about this release; see question_about()."""
        raise NotImplementedError

    def screen(self, context: Context, question: Question) -> str:
        """Write what people read before they answer, as Markdown."""
        raise NotImplementedError

    # What a subclass uses.

    @property
    def parsed_rules(self) -> Rules:
        """Who may answer, and whose approvals are needed."""
        return Rules.from_json(self.rules)

    def question(self, context: Context) -> Question | None:
        """Read the last question about this release's model package; None before the first one."""
        question = read_question(context)
        return question if question and question.model_package_arn == pull_package_arn(context) else None

    def is_decided(self, context: Context) -> bool:
        """Check whether the last question was decided."""
        return bool(context["task_state_store"].get(DECIDED))

    def question_about(self, context: Context, candidate: Candidate, approvals: Iterable[Approval]) -> Question:
        """Make a new question.

        :param context: the task's Airflow context
        :param candidate: what is decided on
        :param approvals: those given so far
        """
        uploader = self.uploader(self.plan(context))
        return Question.about(candidate, approvals, number=free_number(context), uploader=uploader)

    def uploader(self, plan: ReleasePlan) -> str | None:
        """Find out who uploaded the zip; None where nobody can tell and the rules do not ask."""
        return uploader_under(self.parsed_rules, plan, resolve(self.home_bucket, self.aws_conn_id), self.uploads)

    def ensure_asked(
        self, context: Context, question: Question | None, answer: Answer | None, outcome: str | None
    ) -> Question:
        """Ask, unless Airflow shows a question that people can answer; wait for the answer to a new one.

        :param context: the task's Airflow context
        :param question: the open question
        :param answer: the signed answer to it
        :param outcome: why the wait ended
        :returns: the question that is open now
        """
        if question is None:
            # Whoever answers before the task waits is seen by its trigger.
            self.wait(context, self.ask(context, self.new_question(context)))
        if answer is not None:
            return question
        if outcome == ApprovalOutcome.ANSWERED:
            self.log.error(UNSIGNED_ANSWER)
        if outcome in (ApprovalOutcome.ANSWERED, ApprovalOutcome.UNASKED):
            self.ask(context, question)
        if has_unsigned_answer(context, question):
            # It takes the place of a signed answer, so nobody could answer this question any more.
            self.log.error(UNSIGNED_ANSWER)
            return self.ask(context, question.next(question.approvals))
        return question

    def ask(self, context: Context, question: Question) -> Question:
        """Ask people; an answer that is already in the state store stays there."""
        # Stored first: the trigger notices a question that Airflow does not show, but nothing notices a lost answer.
        write_question(context, question, timedelta(days=self.timeout_days + 1))
        # Deleted second: an attempt that is killed in between asks a new question, so former answers do not count.
        if self.is_decided(context):
            context["task_state_store"].delete(DECIDED)
        self.body = self.screen(context, question)
        put_question(
            ti_id=context["task_instance"].id,
            options=self.options,
            subject=self.title(context),
            body=self.body,
            params=self.serialized_params,
        )
        self.log.info("Waiting: %s", self.parsed_rules.wanted(question.approvals))
        return question

    def title(self, context: Context) -> str:
        """Return the question with the model and the version that it is about."""
        return f"{pull_plan(context).prefix} v{package_version(pull_package_arn(context))}: {self.subject}"

    def answer_to(self, context: Context, question: Question | None) -> Answer | None:
        """Read the signed answer to a question; None while there is none."""
        return read_answer(context, question) if question else None

    def note_decision(self, context: Context, decision: dict[str, Any]) -> None:
        """Store the decision: the guard tells later answerers who decided. Measure how long it took."""
        question = self.question(context) if enabled() else None
        if question and not self.is_decided(context):
            where = {"model": self.plan(context).prefix, "stage": self.task_id}
            record(APPROVAL_DURATION, time.time() - question.at, **where, decision=str(decision["decision"]))
        context["task_state_store"].set(
            DECIDED, versioned({**decision, "model_package_arn": pull_package_arn(context)})
        )

    def ends_at(self, question: Question) -> float:
        """Return the deadline of a question, in seconds since the epoch."""
        return question.at + timedelta(days=self.timeout_days).total_seconds()

    def open_until(self, question: Question) -> str:
        """Return the deadline of a question in UTC, as people read it."""
        return utc(self.ends_at(question))

    def wait(self, context: Context, question: Question) -> NoReturn:
        """Wait for an answer, deferred."""
        self.defer(
            trigger=self.trigger_class(
                ti_id=str(context["task_instance"].id),
                model_package_arn=question.model_package_arn,
                deadline=self.ends_at(question),
                notice_at=self._send_notices(context, question),
                ticket=self.ticket(context, self.board_stage).to_json(),
                poll_seconds=self.poll_seconds,
                aws_conn_id=self.aws_conn_id,
            ),
            method_name="execute_complete",
        )

    def _send_notices(self, context: Context, question: Question) -> float | None:
        return tell_wanted(
            self.notices,
            context,
            question,
            title=self.subject,
            rules=self.parsed_rules,
            ends_at=self.ends_at(question),
            otherwise=self.otherwise,
            aws_conn_id=self.aws_conn_id,
        )


def _comment_field() -> Param:
    return Param(
        None,
        # Airflow's form disables its buttons while a field that may not be null is empty.
        type=["null", "string"],
        title="Comment",
        description="Saved with the decision on the model package",
        maxLength=APPROVAL_DESCRIPTION_MAX_CHARS,
        source="task",
    )
