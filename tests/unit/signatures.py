"""What the guard of the API server writes, signed with the tests' own key."""

from datetime import UTC, datetime
from types import SimpleNamespace

from slipway.approval.answers import Answer, Question
from slipway.cleanup.teardown_order import teardown_target
from slipway.model.approval_rules import ONLY_STAGE, Approval
from slipway.registry.decisions import DecisionRecordHook
from slipway.registry.record import APPROVE, Candidate, Decision
from slipway.signed.orders import ORDER, Act, Order
from slipway.signed.proofs import TaskPlace, signer
from tests.unit.scripted_aws import MemoryStore
from tests.unit.task_runs import context


def signed_order(
    act: Act, target: str, *, by: str = "alice", at: str | None = None, dag_id="iris-model", run_id="manual__1"
) -> dict:
    """:returns: an order as a task's state store holds it"""
    order = Order(act, by, at or datetime.now(UTC).isoformat(), target)
    return order.signed(signer(), dag_id, run_id).to_json()


def signed_answer(answer: Answer, question: Question, ti: SimpleNamespace) -> dict:
    """:returns: an answer as a task's state store holds it"""
    return answer.signed(signer(), question, TaskPlace.of(ti)).to_json()


def signed_approval(
    candidate: Candidate, by: str, *, at: str, how: str = "Airflow", stage: str = ONLY_STAGE
) -> Approval:
    """:returns: an approval that counts on this package"""
    proof = signer().prove("0" * 11, *candidate.statement(APPROVE, by=by, at=at, how=how, stage=stage))
    return Approval(by=by, at=at, how=how, stage=stage, proof=proof)


def record_decision(arn: str, digest: str, *, approved: bool = True, by: str = "alice") -> Decision:
    """Record what one person has decided, as the task approve does once the guard has let them through."""
    registry, at = DecisionRecordHook(), "2026-05-02T08:00:00+00:00"
    given = [signed_approval(registry.candidate(arn, digest), by, at=at)] if approved else []
    return registry.record_decision(
        arn, approved=approved, decided_by=by, how="Airflow", comment="", digest=digest, decided_at=at, approvals=given
    )


def teardown_context(prefix: str, *, by: str = "alice", remove_record: bool = False) -> dict:
    """:returns: the context of a teardown that somebody has ordered through the API"""
    form = {"model": prefix, "confirm": prefix, "remove_record": remove_record}
    order = signed_order(Act.TEARDOWN, teardown_target(form), by=by)
    ctx = context({}, params=form)
    return ctx | {"task_state_store": MemoryStore(**{ORDER: order})}
