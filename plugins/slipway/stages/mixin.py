"""What an operator does at the stages of a release: enter, wait deferred, end because of a newer release."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn

from slipway import names
from slipway.aws.documents import S3Documents
from slipway.errors import AlreadyDecided, NotApproved, SlipwayError, Superseded
from slipway.host import runs
from slipway.host.links import NewerReleaseLink, run_url
from slipway.host.task_errors import TaskErrors
from slipway.notices.news import about_error
from slipway.notices.send import Notice, Notices
from slipway.plan import ReleasePlan, pull_plan, result_of
from slipway.registry.decisions import DecisionRecordHook
from slipway.registry.record import NOBODY, How
from slipway.stages.board import Entry, Outcome
from slipway.stages.gate import StageGate, Ticket
from slipway.stages.wait import StageTrigger
from slipway.states import BoardStage, Environment, ExecutionMode
from slipway.waiting.results import WaitOutcome, WaitResult

if TYPE_CHECKING:
    from airflow.sdk import Context

    from slipway.model.config import ModelConfig

STAGE_OF = {Environment.DEVELOPMENT: BoardStage.DEV, Environment.PRODUCTION: BoardStage.PRD}


def stage_gate(aws_conn_id: str | None) -> StageGate:
    """Make the gate for the stages of all models that a connection reaches.

    :param aws_conn_id: Airflow connection with the AWS credentials
    """
    return StageGate(S3Documents(aws_conn_id=aws_conn_id), runs.goes_on)


class StageMixin(TaskErrors):
    """An operator whose work belongs to a stage; execute() begins with enter_stage().

    The tasks of a release that was overtaken are skipped: nothing has failed, so nobody needs an alarm. The link and
    the XCom ``newer_release`` say which run has taken its place. Its model package is rejected, so that nobody can
    approve it later.

    A subclass calls configure_stages() in its constructor, or sets what that sets.
    """

    execution_mode: ExecutionMode
    aws_conn_id: str | None
    stage_poll_seconds: float
    # Who is told that a release was superseded.
    news: Notices = Notices()

    def configure_stages(self, model: ModelConfig) -> None:
        """Set how the model's releases pass its stages.

        :param model: the model file's content
        """
        self.aws_conn_id = model.aws_conn_id
        self.execution_mode = model.execution_mode
        self.stage_poll_seconds = model.timeouts.poll_seconds
        self.news = Notices.of_news(model)

    @cached_property
    def gate(self) -> StageGate:
        """The gate of the model's stages, made when it is first used."""
        return stage_gate(self.aws_conn_id)

    def plan(self, context: Context) -> ReleasePlan:
        """Return the plan of the running release."""
        return pull_plan(context)

    def ticket(self, context: Context, stage: BoardStage) -> Ticket:
        """Return the ticket of the running release for a stage."""
        return Ticket.of(self.plan(context), context["dag_run"], stage, self.execution_mode)

    def enter_stage(self, context: Context, stage: BoardStage) -> None:
        """Enter a stage, or wait deferred until the release may enter.

        :param context: the task's Airflow context
        :param stage: the stage that the task's work belongs to
        :raises slipway.errors.Superseded: when a newer release has reached the stage
        :raises slipway.errors.AwsError: when the board cannot be read or written
        """
        ticket = self.ticket(context, stage)
        verdict = self.gate.enter(ticket)
        if verdict.outcome is Outcome.OVERTAKEN and verdict.other:
            self.on_overtaken(context, stage, verdict.other)
        if verdict.outcome is Outcome.WAIT:
            trigger = StageTrigger(
                ticket=ticket.to_json(), aws_conn_id=self.aws_conn_id, poll_seconds=self.stage_poll_seconds
            )
            self.defer(trigger=trigger, method_name="execute_at_gate")

    def execute_at_gate(self, context: Context, event: dict[str, Any] | None) -> Any:
        """Try to enter again after a wait.

        :param context: the task's Airflow context
        :param event: how the wait ended
        :returns: what execute() returns
        :raises slipway.errors.AwsError: when AWS refuses to show the board
        """
        result = WaitResult.from_event(event)
        if result.outcome is WaitOutcome.REFUSED:
            raise result.refused("Cannot read the board of the model's stages", "the board in S3")
        return self.execute(context)

    def leave_stages(self, context: Context, stage: BoardStage) -> None:
        """Leave the stage, so that the next release can enter; a failure is only logged.

        :param context: the task's Airflow context
        :param stage: the stage that is left
        """
        try:
            self.gate.leave(self.ticket(context, stage))
        except SlipwayError as error:
            self.log.warning("%s. The stage %s will be free when this run ends", error.problem, stage)

    def overtaken(self, context: Context, stage: BoardStage) -> Entry | None:
        """Return the newer release that has taken this one's place; None while there is none."""
        return self.gate.overtaken(self.ticket(context, stage))

    def on_overtaken(self, context: Context, stage: BoardStage, newer: Entry) -> None:
        """End the release that was overtaken when it tried to enter; a subclass may override this.

        :param context: the task's Airflow context
        :param stage: the stage where it was overtaken
        :param newer: the newer release
        """
        self.end_superseded(context, stage, newer)

    def end_superseded(self, context: Context, stage: BoardStage, newer: Entry) -> NoReturn:
        """End the release because of a newer one.

        :param context: the task's Airflow context
        :param stage: the stage where it was overtaken
        :param newer: the newer release
        :raises slipway.errors.Superseded: always
        """
        where = run_url(newer.dag_id, newer.run_id)
        self.reject_superseded(context, f"Superseded by the newer release {where}")
        NewerReleaseLink.persist(context, newer.dag_id, newer.run_id)
        error = superseded(f"A newer release has reached the stage {stage}", self.plan(context).sequence, newer)
        # Airflow does not log why a task was skipped.
        self.log.warning("%s", error)
        self.tell_superseded(context, error)
        raise error

    def tell_superseded(self, context: Context, error: Superseded) -> None:
        """Send the news that a newer release supersedes this one.

        :param context: the task's Airflow context
        :param error: what ends the release
        """
        if self.news:
            what = "A newer release supersedes this one"
            message = about_error(Notice.SUPERSEDED, error, context, what=what)
            error.told = self.news.send(message, context, self.aws_conn_id)

    def reject_superseded(self, context: Context, comment: str) -> None:
        """Reject the release's model package, unless somebody has decided on it.

        :param context: the task's Airflow context
        :param comment: why, for the Model Registry
        :raises slipway.errors.AwsError: when a call fails
        """
        if registration := result_of(context, "register"):
            self.reject_package(registration["model_package_arn"], pull_plan(context).digest, comment)

    def reject_package(self, arn: str, digest: str, comment: str) -> bool:
        """Reject the model package of a superseded release, unless somebody has decided on it.

        :param arn: the package
        :param digest: SHA-256 of the release's zip
        :param comment: why, for the Model Registry
        :returns: False where somebody has approved it before
        :raises slipway.errors.AwsError: when a call fails
        """
        registry = DecisionRecordHook(aws_conn_id=self.aws_conn_id)
        try:
            registry.record_decision(
                arn,
                approved=False,
                decided_by=NOBODY,
                how=How.SUPERSEDED.value,
                comment=comment,
                digest=digest,
            )
        except AlreadyDecided as decided:
            self.log.info("%s", decided)
            standing = registry.keep_outside_decision(arn, digest)
            return not (standing and standing.approved)
        except NotApproved as gone:
            # Nobody can approve it any more.
            self.log.info("%s", gone)
        return True


def superseded(what: str, sequence: str, newer: Entry) -> Superseded:
    """Make the error of a release that was overtaken.

    :param what: what happened
    :param sequence: the sequence of the overtaken release
    :param newer: the newer release
    """
    if newer.rolls_back:
        what, why = "Production has been rolled back", f"it was at {newer.sequence}, this release is of {sequence}"
    else:
        why = f"it was uploaded at {newer.sequence}, this one at {sequence}"
    return Superseded(
        what,
        resource=run_url(newer.dag_id, newer.run_id),
        why=why,
        fix=f"to serve this version nevertheless, {names.RELEASE_AGAIN}, or trigger it with new_attempt",
    )
