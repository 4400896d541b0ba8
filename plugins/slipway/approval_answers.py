"""What the task ``approve`` and the API server tell each other through the task's own state store.

The task writes the question. The API server writes the answer in the transaction that accepts it, so that an answer
exists from the moment in which somebody was told so, whichever process dies afterwards. Nobody else may write there:
see slipway/approval_guard.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any, Self

from slipway.approval_rules import Approval

# Entries of the task's state store.
QUESTION = "asked"
DECIDED = "decided"
# Who decides when nobody did.
NOBODY = "slipway"


class How(StrEnum):
    """The way a decision came in, as the record names it."""

    AIRFLOW = "Airflow"
    MARKED_SUCCESS = "marked success in Airflow"
    MARKED_FAILED = "marked failed in Airflow"
    TIMEOUT = "timeout"
    SUPERSEDED = "superseded"


@dataclass(frozen=True)
class Question:
    """What is asked, since when, and what has been answered so far.

    :param at: when it was first asked, in seconds since the epoch
    :param model_package_arn: the model package that is decided upon
    :param number: how many answers came before; the key of the next one is made of it
    :param approvals: those given so far
    :param uploader: who uploaded the zip, as S3 has it
    """

    at: float
    model_package_arn: str
    number: int = 0
    approvals: tuple[Approval, ...] = ()
    uploader: str | None = None

    @property
    def answer_key(self) -> str:
        """The entry that its answer has, once there is one."""
        return f"answer/{self.number}"

    def next(self, approvals: Iterable[Approval]) -> Self:
        """:returns: the same question, put again to who has not answered"""
        return replace(self, number=self.number + 1, approvals=tuple(approvals))

    def to_json(self) -> dict[str, Any]:
        """:returns: plain JSON for the state store"""
        return {**asdict(self), "approvals": [asdict(approval) for approval in self.approvals]}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """:param value: what ``to_json`` returned"""
        approvals = tuple(Approval(**item) for item in value.get("approvals", ()))
        return cls(**{**value, "approvals": approvals})


@dataclass(frozen=True)
class Answer:
    """One person's answer.

    :param approve: True to approve, False to reject
    :param by: the person's Airflow user name
    :param at: ISO 8601, UTC
    :param how: the way it came in
    :param comment: what they said
    :param stage: the stage that an approval counts for
    :param model_package_arn: the model package it is about
    :param option: the button, where there are others than Approve and Reject
    """

    approve: bool
    by: str
    at: str
    how: How
    comment: str
    stage: str
    model_package_arn: str
    option: str = ""

    @property
    def approval(self) -> Approval:
        """The approval that it is, if it is one."""
        return Approval(by=self.by, at=self.at, how=self.how.value, stage=self.stage)

    def to_json(self) -> dict[str, Any]:
        """:returns: plain JSON for the state store"""
        return {**asdict(self), "how": self.how.value}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """:param value: what ``to_json`` returned"""
        return cls(**{**value, "how": How(value["how"])})

    def __str__(self) -> str:
        did = f"answered {self.option}" if self.option else f"{'approved' if self.approve else 'rejected'} it"
        return f"{self.by} {did} at {self.at} ({self.how})"
