"""The record of a decision in a model package's metadata: written and read."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC
from enum import StrEnum
from typing import Any, Self, TypeVar

from slipway.errors import UnreadableDocument
from slipway.model.approval_rules import Approval
from slipway.registry.metadata import ARTEFACT_SHA256, DIGEST, metadata_value
from slipway.signed.proofs import verifier
from slipway.states import ModelApprovalStatus
from slipway.validation import shown

Value = TypeVar("Value", bound=StrEnum)

# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateModelPackage.html
APPROVAL_DESCRIPTION_MAX_CHARS = 1024

DECISION = "slipway-decision"
_DECIDED_BY = "slipway-decided-by"
_DECIDED_AT = "slipway-decided-at"
_DECIDED_HOW = "slipway-decided-how"
DECISION_KEYS = (DECISION, _DECIDED_BY, _DECIDED_AT, _DECIDED_HOW)
# One entry for each approval, numbered from 1: when, stage, how, the guard's proof and who, in that order.
APPROVAL_PREFIX = "slipway-approval-"
LATE_ANSWER = "slipway-late-answer"
HOW_OUTSIDE = "SageMaker"
# The name where the record does not say who decided.
UNKNOWN = "unknown"
APPROVE, REJECT = "Approve", "Reject"


@dataclass(frozen=True)
class Candidate:
    """The model package that an answer is about, with its digests.

    :param model_package_arn: the model package
    :param digest: SHA-256 of the zip, hexadecimal
    :param artefact: SHA-256 of the trained model, hexadecimal
    """

    model_package_arn: str
    digest: str
    artefact: str

    @classmethod
    def of(cls, package: Mapping[str, Any]) -> Self:
        """Read a candidate from what DescribeModelPackage answered."""
        properties = package.get("CustomerMetadataProperties", {})
        return cls(package["ModelPackageArn"], properties.get(DIGEST, ""), properties.get(ARTEFACT_SHA256, ""))

    def statement(self, option: str, *, by: str, at: str, how: str, stage: str) -> tuple[str, ...]:
        """Put together what the guard signs when it accepts an answer.

        :param option: the button of the question
        :param by: the person's Airflow user name
        :param at: ISO 8601, UTC
        :param how: the way the answer came in
        :param stage: the stage that an approval counts for; empty for other answers
        :returns: the texts for Signer.prove
        """
        return ("answer", self.model_package_arn, self.digest, self.artefact, option, by, at, how, stage)


@dataclass(frozen=True)
class Decision:
    """One recorded decision on a model package.

    ``decision`` is Approved or Rejected, ``decided_at`` ISO 8601 in UTC, ``how`` the way it came in. ``approvals`` are
    all that were given up to the decision, each with its proof.
    """

    decision: ModelApprovalStatus
    decided_by: str
    decided_at: str
    how: str
    comment: str = ""
    approvals: tuple[Approval, ...] = ()

    @property
    def approved(self) -> bool:
        """Whether the model may go to production."""
        return self.decision is ModelApprovalStatus.APPROVED

    def to_xcom(self) -> dict[str, Any]:
        """Return plain JSON, the XCom of ``approve``."""
        approvals = [{"by": one.by, "at": one.at, "how": one.how, "stage": one.stage} for one in self.approvals]
        return {**asdict(self), "decision": self.decision.value, "approvals": approvals}


def decision_of(package: Mapping[str, Any]) -> Decision | None:
    """Read the decision from a model package's description.

    A decision made in SageMaker Studio or by UpdateModelPackage has none of Slipway's properties; SageMaker's
    LastModifiedBy then names who made it.

    :param package: what DescribeModelPackage answered
    :returns: the decision, or None while it is pending
    :raises UnreadableDocument: when the status is unknown
    """
    status = known_value(ModelApprovalStatus, package.get("ModelApprovalStatus", ModelApprovalStatus.PENDING), package)
    if status is ModelApprovalStatus.PENDING:
        return None
    properties = package.get("CustomerMetadataProperties", {})
    comment = package.get("ApprovalDescription", "")
    # IAM guards the status, so properties that contradict it do not count.
    if properties.get(DECISION) == status:
        who, when, how = (properties.get(key, UNKNOWN) for key in (_DECIDED_BY, _DECIDED_AT, _DECIDED_HOW))
        return Decision(status, who, when, how, comment, tuple(_approvals_in(package)))
    modified_by = package.get("LastModifiedBy", {})
    who = modified_by.get("UserProfileName") or modified_by.get("IamIdentity", {}).get("Arn") or UNKNOWN
    modified_at = package.get("LastModifiedTime") or package.get("CreationTime")
    when = modified_at.astimezone(UTC).isoformat() if modified_at else UNKNOWN
    return Decision(status, who, when, HOW_OUTSIDE, comment, tuple(_approvals_in(package)))


def known_value(kind: type[Value], value: str, package: Mapping[str, Any], entry: str = "") -> Value:
    """Read one of the values that Slipway knows.

    :param kind: the enum of these values
    :param value: what the model package has
    :param package: what DescribeModelPackage answered
    :param entry: the metadata entry that has it; empty for the approval status
    :raises UnreadableDocument: naming the package, the value and those that are known
    """
    choices = [one.value for one in kind]
    if value in choices:
        return kind(value)
    arn = package["ModelPackageArn"]
    change = f"--customer-metadata-properties-to-remove {entry}" if entry else "--model-approval-status ..."
    raise UnreadableDocument(
        "This version of Slipway cannot read the model package",
        resource=arn,
        why=f"{entry or 'its approval status'} is {shown(value)}, expected one of {', '.join(choices)}",
        fix=f"correct it with `aws sagemaker update-model-package --model-package-arn {arn} {change}`, then clear this "
        "task",
    )


def approvals_of(package: Mapping[str, Any]) -> list[Approval]:
    """Read the approvals of a model package that the guard has signed.

    The approvals of a decision that was withdrawn in SageMaker no longer count: IAM guards the status.

    :param package: what DescribeModelPackage answered
    :returns: the approvals, in their order
    """
    properties = package.get("CustomerMetadataProperties", {})
    status = package.get("ModelApprovalStatus", ModelApprovalStatus.PENDING)
    withdrawn = DECISION in properties and properties[DECISION] != status
    return [] if withdrawn else list(_approvals_in(package))


def _approvals_in(package: Mapping[str, Any]) -> Iterator[Approval]:
    properties, candidate, number = package.get("CustomerMetadataProperties", {}), Candidate.of(package), 0
    while entry := properties.get(f"{APPROVAL_PREFIX}{(number := number + 1)}"):
        at, stage, how, proof, by = (*entry.split("/", 4), "", "", "", "")[:5]
        # All who may update the package can write here; only the guard can sign.
        if verifier().proves(proof, *candidate.statement(APPROVE, by=by, at=at, how=how, stage=stage)):
            yield Approval(by=by, at=at, how=how, stage=stage, proof=proof)


def approval_properties(approvals: Iterable[Approval]) -> dict[str, str]:
    """Return the metadata that keeps these approvals and no others."""
    return {
        f"{APPROVAL_PREFIX}{number}": metadata_value("/".join((one.at, one.stage, one.how, one.proof, one.by)))
        for number, one in enumerate(approvals, 1)
    }


def decision_properties(decision: Decision) -> dict[str, str]:
    """Return the metadata that keeps a decision."""
    return {
        DECISION: decision.decision.value,
        _DECIDED_BY: metadata_value(decision.decided_by),
        _DECIDED_AT: decision.decided_at,
        _DECIDED_HOW: metadata_value(decision.how),
        **approval_properties(decision.approvals),
    }


def comment_problem(text: Any) -> str | None:
    """Say why a comment cannot be kept with a decision, so that its author can correct it.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_UpdateModelPackage.html

    :param text: the comment, as it was sent
    :returns: the reason as a sentence; None when it can be kept as it is
    """
    if not isinstance(text, str):
        return f"The comment must be text, not {type(text).__name__}."
    if len(text) > APPROVAL_DESCRIPTION_MAX_CHARS:
        return f"The comment has {len(text)} characters, at most {APPROVAL_DESCRIPTION_MAX_CHARS} can be kept."
    for place, character in enumerate(text, 1):
        if unicodedata.category(character) in ("Cc", "Cs") and character not in "\t\n\r":
            return f"The comment's character {place}, U+{ord(character):04X}, cannot be kept: remove it."
    return None


def description(comment: str) -> str:
    """Shorten a comment to what ApprovalDescription takes."""
    return " ".join(comment.split())[:APPROVAL_DESCRIPTION_MAX_CHARS]


# The name on record when no person decided.
NOBODY = "slipway"


class How(StrEnum):
    """The way a decision came in, as the record names it."""

    AIRFLOW = "Airflow"
    MARKED_SUCCESS = "marked success in Airflow"
    MARKED_FAILED = "marked failed in Airflow"
    TIMEOUT = "timeout"
    SUPERSEDED = "superseded"
