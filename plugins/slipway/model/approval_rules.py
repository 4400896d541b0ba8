"""Whose approvals a model needs, and whether the given ones are enough; without Airflow or AWS."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from slipway.model.people import each_once, likeness, same_person
from slipway.validation import shown_name

# The stage of a model file that names approvers and no stages.
ONLY_STAGE = "approval"


@dataclass(frozen=True)
class Approval:
    """One person's approval.

    :param by: the person's Airflow user name
    :param at: ISO 8601, UTC
    :param how: the way in which it was given
    :param stage: the stage it was given for
    :param proof: the guard's signature, see slipway/signed/proofs.py
    """

    by: str
    at: str
    how: str
    stage: str
    proof: str = field(default="", compare=False)


@dataclass(frozen=True)
class ApprovalStage:
    """Approvers, and how many of them must approve before the next stage is asked."""

    name: str
    approvers: tuple[str, ...]
    quorum: int = 1

    def approved_by(self, approvals: Iterable[Approval]) -> list[str]:
        """Return who of the stage has approved: each person once, also with several approvals or names."""
        names = (approval.by for approval in approvals if approval.stage == self.name)
        return each_once(name for name in names if name in self.approvers)


@dataclass(frozen=True)
class Rules:
    """Who decides, from the section ``approval`` of a model file.

    :param stages: in the order in which they are asked
    :param allow_uploader: whether who uploaded the zip may approve its model
    """

    stages: tuple[ApprovalStage, ...]
    allow_uploader: bool = True

    @property
    def approvers(self) -> list[str]:
        """Everybody who may answer, each once."""
        return list(dict.fromkeys(name for stage in self.stages for name in stage.approvers))

    @property
    def needed(self) -> int:
        """How many approvals there must be in all."""
        return sum(stage.quorum for stage in self.stages)

    def open_stage(self, approvals: Iterable[Approval]) -> ApprovalStage | None:
        """Find the stage that is asked next.

        :param approvals: the approvals so far
        :returns: the first stage without its quorum; None when all have theirs
        """
        given = list(approvals)
        return next((stage for stage in self.stages if len(stage.approved_by(given)) < stage.quorum), None)

    def refusal(self, name: str, approvals: Iterable[Approval], uploader: str | None) -> str | None:
        """Say why somebody's approval cannot count now.

        :param name: the person's Airflow user name
        :param approvals: the approvals so far
        :param uploader: who uploaded the zip, as S3 says
        :returns: the reason as a sentence; None when the approval counts
        """
        given = list(approvals)
        stage = self.open_stage(given)
        if stage is None:
            return "All approvals that the model file asks for have been given."
        if not self.allow_uploader and same_person(name, uploader):
            return f"{name} uploaded this model, and its model file does not let the uploader approve."
        if name not in stage.approvers:
            like = likeness(name, stage.approvers)
            return f"{shown_name(name)} is no approver of the stage {stage.name}; {self.wanted(given)}.{like}"
        if before := next((one for one in stage.approved_by(given) if same_person(name, one)), None):
            under = "" if before == name else f" as {before}"
            return f"{name} has approved already{under}; {self.wanted(given)}."
        return None

    def wanted(self, approvals: Iterable[Approval]) -> str:
        """Return whose approval is needed next, as a clause."""
        given = list(approvals)
        stage = self.open_stage(given)
        if stage is None:
            return "no more approvals are needed"
        there = stage.approved_by(given)
        missing = stage.quorum - len(there)
        names = [name for name in stage.approvers if not any(same_person(name, one) for one in there)]
        where = "" if stage.name == ONLY_STAGE else f" (stage {stage.name})"
        whose = " and ".join(names) if missing == len(names) else f"{missing} of {', '.join(names)}"
        return f"{whose} must approve{where}"

    def shortfall(self, approvals: Iterable[Approval], uploader: str | None) -> str | None:
        """Say why the approvals are not enough for production.

        :param approvals: the approvals on record
        :param uploader: who uploaded the zip, as S3 says
        :returns: the reason as a clause; None when they are enough
        """
        counted = [item for item in approvals if self.allow_uploader or not same_person(item.by, uploader)]
        return self.wanted(counted) if self.open_stage(counted) else None

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON, for the serialized DAG."""
        stages = [
            {"name": stage.name, "approvers": list(stage.approvers), "quorum": stage.quorum} for stage in self.stages
        ]
        return {"stages": stages, "allow_uploader": self.allow_uploader}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read what ``to_json`` returned."""
        stages = tuple(
            ApprovalStage(item["name"], tuple(item["approvers"]), item["quorum"]) for item in value["stages"]
        )
        return cls(stages, value["allow_uploader"])
