"""Questions and answers, which the asking task and the API server exchange through the task's state store.

The task writes the question. The API server writes the answer in the transaction that accepts it, so that an answer
which a person was told is accepted cannot be lost. Nobody else may write there: see slipway/guard.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from typing import Any, Self, cast

from slipway.errors import UnreadableDocument
from slipway.formats.stored import known, versioned
from slipway.model.approval_rules import Approval
from slipway.registry.record import APPROVE, REJECT, Candidate, How
from slipway.signed.proofs import Signer, TaskPlace, Verifier, verifier

# Entries of the task's state store.
QUESTION = "asked"
DECIDED = "decided"

# The entry of a task's context that keeps its question.
_KNOWN = "slipway_question"

UNSIGNED_ANSWER = (
    "An answer was ignored because the guard in Airflow's API server has not signed it. That server must load "
    "Slipway's plugin, and [slipway] approval_public_keys must hold its key here too: see docs/approval.md"
)


@dataclass(frozen=True)
class Question:
    """A question: what is asked, since when, and the approvals so far.

    :param at: when it was first asked, in seconds since the epoch
    :param model_package_arn: the model package that is decided on
    :param number: makes the key of its answer
    :param approvals: those given so far
    :param uploader: who uploaded the zip, by S3's record
    :param digest: SHA-256 of that zip, hexadecimal
    :param artefact: SHA-256 of the trained model, hexadecimal
    """

    at: float
    model_package_arn: str
    number: int = 0
    approvals: tuple[Approval, ...] = ()
    uploader: str | None = None
    digest: str = ""
    artefact: str = ""

    @property
    def candidate(self) -> Candidate:
        """What is decided on, with the hashes of its bytes."""
        return Candidate(self.model_package_arn, self.digest, self.artefact)

    @property
    def answer_key(self) -> str:
        """The state store's key of its answer."""
        return _answer_key(self.number)

    @classmethod
    def about(cls, candidate: Candidate, approvals: Iterable[Approval], *, number: int, uploader: str | None) -> Self:
        """Make a new question, asked now."""
        return cls(
            time.time(),
            candidate.model_package_arn,
            number,
            tuple(approvals),
            uploader,
            candidate.digest,
            candidate.artefact,
        )

    def next(self, approvals: Iterable[Approval]) -> Self:
        """Return the question to ask after an answer, with the approvals so far."""
        return replace(self, number=self.number + 1, approvals=tuple(approvals))

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON for the state store."""
        return versioned({**asdict(self), "approvals": [asdict(approval) for approval in self.approvals]})

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read what ``to_json`` returned."""
        return known(cls, value)


@dataclass(frozen=True)
class Answer:
    """One person's answer.

    :param approve: True to approve, False to reject
    :param by: the person's Airflow user name
    :param at: ISO 8601, UTC
    :param how: the way it came in
    :param comment: the person's comment
    :param stage: the stage that an approval counts for
    :param model_package_arn: the model package it is about
    :param option: the button, where the buttons are not Approve and Reject
    :param proof: the guard's signature, see slipway/signed/proofs.py
    """

    approve: bool
    by: str
    at: str
    how: How
    comment: str
    stage: str
    model_package_arn: str
    option: str = ""
    proof: str = ""

    def signed(self, signer: Signer, question: Question, place: TaskPlace) -> Self:
        """Return a copy with the guard's signature, as the answer to this question of this task."""
        return replace(self, proof=signer.prove(place.asked(question.number), *self._statement(question)))

    def is_proven(self, verifier: Verifier, question: Question, place: TaskPlace) -> bool:
        """Check that the guard has signed it as the answer to this question of this task."""
        return verifier.answers(self.proof, place.asked(question.number), *self._statement(question))

    def _statement(self, question: Question) -> tuple[str, ...]:
        option = self.option or (APPROVE if self.approve else REJECT)
        return question.candidate.statement(option, by=self.by, at=self.at, how=self.how.value, stage=self.stage)

    @property
    def approval(self) -> Approval:
        """The approval that this answer gives, if it approves."""
        return Approval(by=self.by, at=self.at, how=self.how.value, stage=self.stage, proof=self.proof)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON for the state store."""
        return versioned({**asdict(self), "how": self.how.value})

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read what ``to_json`` returned."""
        return known(cls, value)

    def __str__(self) -> str:
        did = f"answered {self.option}" if self.option else f"{'approved' if self.approve else 'rejected'} it"
        return f"{self.by} {did} at {self.at} ({self.how})"


def read_question(context: Mapping[str, Any]) -> Question | None:
    """Read the newest question of the task that asks; None before its first one.

    It is read once in a process of the task: nobody else writes it.
    """
    kept = cast(dict[str, Any], context)
    if _KNOWN not in kept:
        asked: Any = context["task_state_store"].get(QUESTION)
        kept[_KNOWN] = Question.from_json(asked) if asked else None
    question: Question | None = kept[_KNOWN]
    return question


def write_question(context: Mapping[str, Any], question: Question, retention: timedelta) -> None:
    """Store the question of the task that asks.

    :param context: the task's Airflow context
    :param question: the question
    :param retention: for how long
    """
    store: Any = context["task_state_store"]
    store.set(QUESTION, question.to_json(), retention=retention)
    cast(dict[str, Any], context)[_KNOWN] = question


def free_number(context: Mapping[str, Any]) -> int:
    """Find the number of a new question: former answers keep their entries."""
    former = read_question(context)
    number = former.number if former else 0
    while context["task_state_store"].get(_answer_key(number)):
        number += 1
    return number


def read_answer(context: Mapping[str, Any], question: Question) -> Answer | None:
    """Read the answer that the guard has written down.

    :param context: the Airflow context of the task that asks
    :param question: its question
    :returns: None while there is no answer with the guard's signature
    """
    given: Any = context["task_state_store"].get(question.answer_key)
    try:
        answer = Answer.from_json(given) if given else None
    except UnreadableDocument:
        # The guard has not written this.
        return None
    return answer if answer and answer.is_proven(verifier(), question, TaskPlace.of(context["ti"])) else None


def has_unsigned_answer(context: Mapping[str, Any], question: Question) -> bool:
    """Check whether there is an answer that the guard has not signed."""
    return bool(context["task_state_store"].get(question.answer_key)) and read_answer(context, question) is None


def _answer_key(number: int) -> str:
    return f"answer/{number}"
