"""Orders: only an approver may start certain runs, and the run's tasks can tell who did.

The API server's guard (slipway/guard) writes and signs the order in the transaction that starts the run. So the order
exists only if an approver started the run through the API. The user in Airflow's row of the run is not enough: a
command line writes the operating system's user there, and a run that another run starts inherits it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Self

from slipway.errors import NotApproved, UnreadableDocument
from slipway.formats.stored import known, versioned
from slipway.model.approval_rules import Rules
from slipway.model.people import likeness
from slipway.signed.proofs import Signer, Verifier, verifier

# The entry of the ordered tasks' state stores that holds the order.
ORDER = "ordered"
# Retries may go on overnight. A task that is cleared later needs a new order.
VALID_FOR = timedelta(hours=24)


class Act(StrEnum):
    """What is ordered."""

    ROLL_BACK = "roll production back"
    TEARDOWN = "tear a model down"


@dataclass(frozen=True)
class Order:
    """An approver's order.

    :param act: what is ordered
    :param by: the person's Airflow user name
    :param at: ISO 8601, UTC
    :param target: what it is done to, as the form says
    :param proof: the guard's signature, see slipway/signed/proofs.py
    """

    act: Act
    by: str
    at: str
    target: str
    proof: str = ""

    def signed(self, signer: Signer, dag_id: str, run_id: str) -> Self:
        """Return this order with the guard's signature for this run."""
        return replace(self, proof=signer.sign(*self._statement(dag_id, run_id)))

    def is_proven(self, keys: Verifier, dag_id: str, run_id: str) -> bool:
        """Tell whether the guard has signed it, for this run."""
        return keys.holds(self.proof, *self._statement(dag_id, run_id))

    def _statement(self, dag_id: str, run_id: str) -> tuple[str, ...]:
        return ("order", dag_id, run_id, self.act.value, self.by, self.at, self.target)

    @property
    def ends_at(self) -> datetime:
        """When it ends."""
        return datetime.fromisoformat(self.at) + VALID_FOR

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON for the state store."""
        return versioned({**asdict(self), "act": self.act.value})

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read what ``to_json`` returned."""
        return known(cls, value)


def check(context: Mapping[str, Any], act: Act, target: str, rules: Rules) -> Order:
    """Refuse to go on unless an approver has ordered it within the last 24 hours.

    :param context: the context of a task that needs the order
    :param act: what the task does
    :param target: what it does it to, as the run's form says
    :param rules: who may approve, by the model file as it is now
    :returns: the order
    :raises NotApproved: saying what is wrong with the order
    """
    order, run = _read(context), context["dag_run"]
    if order is None:
        why = "nobody is on record as having started this run through Airflow's API"
    elif not order.is_proven(verifier(), run.dag_id, run.run_id):
        why = f"the order in the name of {order.by} has no signature of Airflow's API server for this run"
    elif (order.act, order.target) != (act, target):
        why = f"{order.by} ordered to {order.act} ({order.target}), this run is to {act} ({target})"
    elif order.by not in rules.approvers:
        why = f"{order.by} is no approver of this model.{likeness(order.by, rules.approvers)}"
    elif datetime.now(UTC) > order.ends_at:
        why = f"the order of {order.by} ended at {order.ends_at.isoformat(timespec='seconds')}"
    else:
        return order
    raise NotApproved(
        f"Only an approver may {act}",
        resource=target,
        why=why,
        fix=f"an approver ({', '.join(rules.approvers)}) triggers the DAG again, in the UI or by the API; a command "
        "line and other runs do not tell who ordered it",
    )


def _read(context: Mapping[str, Any]) -> Order | None:
    value = context["task_state_store"].get(ORDER)
    try:
        return Order.from_json(value) if value else None
    except UnreadableDocument:
        # The guard has not written this.
        return None
