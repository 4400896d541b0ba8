"""The decisions on model packages, recorded in the Model Registry."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from slipway.aws.patience import patient
from slipway.errors import AlreadyDecided, AwsRefused, NotApproved, SlipwayError
from slipway.model.approval_rules import Approval
from slipway.names import approver_role
from slipway.registry.hook import ModelRegistryHook
from slipway.registry.metadata import metadata_value
from slipway.registry.record import (
    APPROVAL_PREFIX,
    DECISION,
    DECISION_KEYS,
    HOW_OUTSIDE,
    LATE_ANSWER,
    Decision,
    approval_properties,
    approvals_of,
    decision_of,
    decision_properties,
    description,
)
from slipway.states import ModelApprovalStatus


class DecisionRecordHook(ModelRegistryHook):
    """Reads and writes the decisions on model packages.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_UpdateModelPackage.html
    """

    @patient
    def record_decision(
        self,
        model_package_arn: str,
        *,
        approved: bool,
        decided_by: str,
        how: str,
        comment: str,
        digest: str,
        decided_at: str | None = None,
        approvals: Iterable[Approval] | None = None,
    ) -> Decision:
        """Record a decision on a model package; the first one counts.

        The registry has no compare-and-set, so the record is read again after the write: after two decisions at the
        same moment both writers see the one that counts. It is also read again before a repeated write.
        https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_UpdateModelPackage.html

        :param model_package_arn: the package
        :param approved: True to approve, False to reject
        :param decided_by: who decided
        :param how: the way the decision came in, such as ``Airflow UI``
        :param comment: their comment
        :param digest: SHA-256 of the zip the decision was made for
        :param decided_at: when they decided, ISO 8601 in UTC; now if None
        :param approvals: the approvals that were given, the deciding one included; those on record if None
        :returns: the decision on record; the same decision made again is returned unchanged
        :raises slipway.errors.AlreadyDecided: when there is another decision; it names who made it
        :raises slipway.errors.NotApproved: when the package is missing or of another digest, or IAM leaves approvals to
            approvers
        :raises slipway.errors.AwsError: when a call fails
        """
        package = self._package_of(model_package_arn, digest)
        wanted = ModelApprovalStatus.APPROVED if approved else ModelApprovalStatus.REJECTED
        who = metadata_value(decided_by)
        if first := decision_of(package):
            return _same_or_raise(first, wanted, who, model_package_arn)
        decided_at = decided_at or datetime.now(UTC).isoformat(timespec="seconds")
        given = approvals_of(package) if approvals is None else approvals
        try:
            self._write_decision(
                package,
                Decision(wanted, who, decided_at, how, approvals=tuple(given)),
                ModelApprovalStatus=wanted.value,
                ApprovalDescription=description(comment),
            )
        except AwsRefused as refusal:
            if approved and refusal.code in ("AccessDenied", "AccessDeniedException"):
                raise _left_to_approvers(model_package_arn, refusal) from refusal
            raise
        standing = decision_of(self._package_of(model_package_arn, digest))
        if standing is None:
            raise SlipwayError(
                "The decision was not recorded",
                resource=model_package_arn,
                why="the package has no decision after UpdateModelPackage; somebody may have withdrawn it at once",
                fix="clear this task, which records it again",
            )
        return _same_or_raise(standing, wanted, who, model_package_arn)

    @patient
    def record_approvals(self, arn: str, approvals: Iterable[Approval], *, comment: str, digest: str) -> None:
        """Record approvals that are not enough yet; the package stays pending.

        https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_UpdateModelPackage.html

        :param arn: the package they are about
        :param approvals: all that were given so far
        :param comment: their comments
        :param digest: SHA-256 of the zip they were given for
        :raises slipway.errors.NotApproved: when the package is missing or of another digest
        :raises slipway.errors.AwsError: when a call fails
        """
        package = self._package_of(arn, digest)
        # A withdrawn decision is removed, or these approvals would look withdrawn too.
        self._update(
            package,
            approval_properties(approvals),
            replaces=(APPROVAL_PREFIX, *DECISION_KEYS),
            ApprovalDescription=description(comment),
        )

    @patient
    def record_late_answer(self, arn: str, answer: str, *, digest: str) -> None:
        """Record an answer that came after the decision.

        :param arn: the package it was about
        :param answer: who answered what
        :param digest: SHA-256 of the zip it was given for
        :raises slipway.errors.NotApproved: when the package is missing or of another digest
        :raises slipway.errors.AwsError: when a call fails
        """
        self._update(self._package_of(arn, digest), {LATE_ANSWER: metadata_value(answer)}, replaces=(LATE_ANSWER,))

    @patient
    def undecided(self, arn: str, digest: str) -> tuple[list[Approval], str]:
        """Read the approvals of a pending package.

        :param arn: the package
        :param digest: SHA-256 of the zip the package has to be of
        :returns: the approvals so far that the guard has signed, and their comments
        :raises slipway.errors.NotApproved: when the package is missing or of another digest
        :raises slipway.errors.AwsError: when a call fails
        """
        package = self._package_of(arn, digest)
        approvals = approvals_of(package)
        return approvals, package.get("ApprovalDescription", "") if approvals else ""

    @patient
    def keep_outside_decision(self, arn: str, digest: str) -> Decision | None:
        """Record who decided outside Airflow, before a later change of the package hides it.

        :param arn: the package
        :param digest: SHA-256 of the zip the package has to be of
        :returns: the decision; None while it is pending
        :raises slipway.errors.NotApproved: when the package is missing or of another digest
        :raises slipway.errors.AwsError: when a call fails
        """
        package = self._package_of(arn, digest)
        decision = decision_of(package)
        kept = package.get("CustomerMetadataProperties", {}).get(DECISION)
        # The record may still have a withdrawn decision.
        if decision and decision.how == HOW_OUTSIDE and kept != decision.decision:
            self._write_decision(package, decision)
        return decision

    def _write_decision(self, package: Mapping[str, Any], decision: Decision, **changes: Any) -> None:
        self._update(package, decision_properties(decision), replaces=(APPROVAL_PREFIX,), **changes)


def _left_to_approvers(arn: str, refusal: AwsRefused) -> NotApproved:
    """Make the error of an approval that Airflow's role may not write: AirflowMayApprove of bootstrap.yaml is false."""
    role = approver_role(arn.rpartition(":model-package/mlops-")[2].partition("/")[0])
    return NotApproved(
        "Airflow may not record this approval",
        resource=arn,
        why=refusal.why,
        fix=f"approve as {role}: `aws sagemaker update-model-package --model-package-arn {arn} --model-approval-status "
        "Approved`; then clear this task. Where Airflow is to record approvals, deploy bootstrap.yaml with "
        "AirflowMayApprove=true",
    )


def _same_or_raise(standing: Decision, wanted: ModelApprovalStatus, who: str, arn: str) -> Decision:
    if standing.decision is wanted and standing.decided_by == who:
        return standing
    raise AlreadyDecided(
        f"{who} wanted {wanted.value}, but the first decision stands",
        resource=arn,
        why=f"{standing.decided_by} decided {standing.decision.value} at {standing.decided_at} ({standing.how})",
        fix="upload the zip again for a release of its own",
    )
