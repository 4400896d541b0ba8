"""The task ``approve``: waits for a person and makes the Model Registry's record of what they decided."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import Param
from airflow.sdk.configuration import conf
from airflow.sdk.execution_time.hitl import upsert_hitl_detail

from slipway import approval_facts
from slipway.errors import AlreadyDecided, PermanentError, Rejected
from slipway.hooks.model_registry import APPROVAL_DESCRIPTION_MAX_CHARS, Decision, ModelRegistryHook
from slipway.links.runs import NewerReleaseLink
from slipway.release_plan import pull_plan
from slipway.stages import StageMixin
from slipway.states import ExecutionMode, Stage
from slipway.triggers.approval import ApprovalOutcome, ApprovalTrigger

if TYPE_CHECKING:
    from airflow.sdk import Context

COMMENT = "comment"
HOW_AIRFLOW = "Airflow"
HOW_TIMEOUT = "timeout"
# A decision in the registry is to be noticed within ten seconds, however patient the model file is otherwise.
POLL_LIMIT_SECONDS = 5.0
# Who decides when nobody did.
NOBODY = "slipway"
# Under this key the task remembers since when it asks, and about what. To ask twice would erase an answer that was
# given but not recorded yet, and grant the time anew.
ASKED = "asked"


class HumanApprovalSensor(StageMixin, ApprovalOperator):
    """Asks the model's approvers, deferred, so that waiting holds no worker slot.

    A decision is taken from Airflow's approval screen and from the Model Registry (SageMaker Studio, AWS CLI),
    whichever comes first, and ends as a record on the model package. A rejection, and no answer in time, fails the
    task without a retry. There is no default answer. The XCom is the Decision.

    :param approvers: user names of those who may answer
    :param timeout_days: days until no answer counts as a rejection
    :param execution_mode: whether a newer release takes this one's place while it waits
    :param poll_seconds: time between two looks at the Model Registry; 5 at most
    :param aws_conn_id: Airflow connection with the AWS credentials
    """

    # Template fields are serialized: who checks an answer from outside has to see the approvers.
    template_fields = (*ApprovalOperator.template_fields, "approvers")
    operator_extra_links = (NewerReleaseLink(),)

    def __init__(
        self,
        *,
        approvers: Sequence[str],
        subject: str,
        timeout_days: float = 7,
        execution_mode: ExecutionMode = ExecutionMode.SUPERSEDED,
        poll_seconds: float = 3.0,
        aws_conn_id: str | None = "aws_default",
        **kwargs: Any,
    ) -> None:
        if not approvers:
            # Airflow lets everybody answer a question that is assigned to nobody.
            raise ValueError("approvers must name somebody")
        kwargs.setdefault("retries", 3)
        # Airflow hands the DAG's params on to every operator; they are no fields of this form.
        kwargs.pop("params", None)
        super().__init__(
            subject=subject,
            params={COMMENT: _comment_field()},
            assigned_users=[{"id": name, "name": name} for name in approvers],
            response_timeout=timedelta(days=timeout_days),
            fail_on_reject=True,
            **kwargs,
        )
        self.approvers = list(approvers)
        self.timeout_days = timeout_days
        self.execution_mode = execution_mode
        self.poll_seconds = min(poll_seconds, POLL_LIMIT_SECONDS)
        self.stage_poll_seconds = self.poll_seconds
        self.aws_conn_id = aws_conn_id

    @property
    def registry(self) -> ModelRegistryHook:
        """The hook that reads and writes the record."""
        return ModelRegistryHook(aws_conn_id=self.aws_conn_id)

    def execute(self, context: Context) -> dict[str, str]:
        """Ask, unless it is decided already, and wait.

        :returns: the decision, when one stands
        :raises Rejected: when the decision that stands is a rejection
        :raises slipway.errors.Superseded: when a newer release has come here, and nobody has decided on this one
        """
        arn = _model_package_arn(context)
        if standing := self._standing(context, arn):
            return self._settle(arn, standing)
        self.enter_stage(context, Stage.APPROVE)
        asked = context["task_state_store"].get(ASKED)
        if not isinstance(asked, dict) or asked["model_package_arn"] != arn:
            self._ask(context, arn)
        # Asked by an earlier attempt: the trigger looks for its answer, and says if there is no question any more.
        self._wait(context, arn)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, str]:
        """Record the decision that ended the wait.

        :param event: Airflow's own answer to a question, or what the trigger saw
        :returns: the decision
        :raises Rejected: when it is a rejection, or came too late
        """
        arn = _model_package_arn(context)
        # Airflow's answers carry no outcome of ours.
        outcome = ApprovalOutcome(event.get("outcome", ApprovalOutcome.ANSWERED))
        if outcome is ApprovalOutcome.REFUSED:
            raise PermanentError("The Model Registry does not show the decision", resource=arn, why=event["reason"])
        if outcome is ApprovalOutcome.OVERTAKEN:
            if standing := self._standing(context, arn):
                return self._settle(arn, standing)
            if newer := self.overtaken(context, Stage.APPROVE):
                self.give_way(context, Stage.APPROVE, newer)
            self._wait(context, arn)
        if outcome is ApprovalOutcome.UNASKED:
            self._ask(context, arn)
            self._wait(context, arn)
        if outcome is ApprovalOutcome.RECORDED:
            standing = self._standing(context, arn)
            if standing is None:
                # Withdrawn between the trigger's look and this one.
                self._wait(context, arn)
            return self._settle(arn, standing)
        if outcome is ApprovalOutcome.TIMEOUT:
            comment = f"No answer within {self.timeout_days:g} days"
            return self._settle(arn, self._record(context, arn, False, NOBODY, HOW_TIMEOUT, comment))
        approved = event["chosen_options"] == [self.APPROVE]
        user = event["responded_by_user"] or {}
        who = user.get("name") or user.get("id") or "unknown"
        comment = (event["params_input"] or {}).get(COMMENT) or ""
        return self._settle(arn, self._record(context, arn, approved, who, HOW_AIRFLOW, comment))

    def _standing(self, context: Context, arn: str) -> Decision | None:
        return self.registry.keep_outside_decision(arn, pull_plan(context).digest)

    def _record(self, context: Context, arn: str, approved: bool, who: str, how: str, comment: str) -> Decision:
        digest = pull_plan(context).digest
        try:
            return self.registry.record_decision(
                arn, approved=approved, decided_by=who, how=how, comment=comment, digest=digest
            )
        except AlreadyDecided as late:
            # Somebody else was first, and that stands; what was wanted here stays to be read in the log.
            self.log.warning("%s. Comment that came too late: %r", late, comment)
            standing = self._standing(context, arn)
            if standing is None:
                raise
            return standing

    def _settle(self, arn: str, decision: Decision) -> dict[str, str]:
        self.hitl_summary_extra.update(decision.to_xcom())
        self.log.info("%s by %s (%s) at %s", decision.decision, decision.decided_by, decision.how, decision.decided_at)
        if not decision.approved:
            raise Rejected(
                f"{decision.decided_by} rejected this release",
                resource=arn,
                why=decision.comment or "no comment was given",
                fix="upload another zip; production serves what it served",
            )
        return decision.to_xcom()

    def _ask(self, context: Context, arn: str) -> None:
        store = context["task_state_store"]
        asked = store.get(ASKED)
        if not isinstance(asked, dict) or asked["model_package_arn"] != arn:
            kept_for = timedelta(days=self.timeout_days + 1)
            # Remembered first: the trigger notices a question that was never put, but nobody a lost answer.
            store.set(ASKED, {"at": time.time(), "model_package_arn": arn}, retention=kept_for)
        self.body = approval_facts.markdown(_facts(context))
        upsert_hitl_detail(
            ti_id=context["task_instance"].id,
            options=self.options,
            subject=self.subject,
            body=self.body,
            params=self.serialized_params,
            assigned_users=self.assigned_users,
        )
        for notifier in self.notifiers:
            notifier(context)
        self.log.info("Waiting for one of %s", ", ".join(self.approvers))

    def _wait(self, context: Context, arn: str) -> NoReturn:
        asked: Any = context["task_state_store"].get(ASKED)
        self.defer(
            trigger=ApprovalTrigger(
                ti_id=str(context["task_instance"].id),
                model_package_arn=arn,
                deadline=asked["at"] + timedelta(days=self.timeout_days).total_seconds(),
                ticket=self.ticket(context, Stage.APPROVE).to_json(),
                poll_seconds=self.poll_seconds,
                aws_conn_id=self.aws_conn_id,
            ),
            method_name="execute_complete",
        )


def _comment_field() -> Param:
    return Param(
        None,
        # Airflow's form keeps both buttons disabled while a field that may not be null is empty.
        type=["null", "string"],
        title="Comment",
        description="Kept with the decision on the model package",
        maxLength=APPROVAL_DESCRIPTION_MAX_CHARS,
        source="task",
    )


def _model_package_arn(context: Context) -> str:
    registration = context["ti"].xcom_pull(task_ids="register")
    if not registration:
        raise PermanentError(
            "There is no model package to decide upon", resource="register", fix="run register and what follows again"
        )
    return registration["model_package_arn"]


def _facts(context: Context) -> approval_facts.Facts:
    ti = context["ti"]
    base_url = conf.get("api", "base_url", fallback="").rstrip("/")
    return approval_facts.Facts(
        plan=pull_plan(context),
        evaluation=ti.xcom_pull(task_ids="evaluate") or {},
        registration=ti.xcom_pull(task_ids="register") or {},
        test=ti.xcom_pull(task_ids="test_dev") or {},
        run_url=f"{base_url}/dags/{ti.dag_id}/runs/{ti.run_id}",
    )
