"""Checks that a model has an approval on record that counts, before it is deployed to production."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from slipway.aws.identity import same_principal
from slipway.errors import NotApproved
from slipway.model.approval_rules import Rules
from slipway.registry.record import HOW_OUTSIDE, UNKNOWN, Decision, approvals_of, decision_of

_NEEDED = "Production needs an approval on record"


def check_approved(
    package: Mapping[str, Any], rules: Rules, uploader: str | None, airflow_arn: Callable[[], str]
) -> Decision:
    """Refuse a model whose approval is missing, unproven, or no longer enough for the model file.

    :param package: what DescribeModelPackage answered
    :param rules: whose approvals the model file requires
    :param uploader: who uploaded the zip, as S3 has it
    :param airflow_arn: returns the ARN of Airflow itself
    :returns: the decision that approves it
    :raises NotApproved: saying who decided what, and what to do
    """
    decision, arn = decision_of(package), package["ModelPackageArn"]
    if decision is None:
        given = ", ".join(f"{one.by} approved at {one.at}" for one in approvals_of(package))
        why = f"{given}; that is not enough" if given else "nobody has decided"
        fix = _how_to_approve(arn, rules)
    elif not decision.approved:
        why = f"{decision.decided_by} rejected it at {decision.decided_at} ({decision.how})"
        fix = "upload the zip again for a new decision"
    else:
        check_counts(decision, arn, rules, uploader, airflow_arn)
        return decision
    raise NotApproved(_NEEDED, resource=arn, why=why, fix=fix)


def check_counts(
    decision: Decision, arn: str, rules: Rules, uploader: str | None, airflow_arn: Callable[[], str]
) -> None:
    """Refuse an approval that is unproven, or no longer enough for the model file.

    :param decision: an approval on record
    :param arn: the model package it is about
    :param rules: whose approvals the model file requires
    :param uploader: who uploaded the zip, as S3 has it
    :param airflow_arn: returns the ARN of Airflow itself
    :raises NotApproved: saying who approved, why that does not count, and what to do
    """
    shortfall = _shortfall(decision, rules, uploader, airflow_arn)
    if shortfall is None:
        return
    raise NotApproved(
        _NEEDED,
        resource=arn,
        why=f"{decision.decided_by} approved it at {decision.decided_at} ({decision.how}), but {shortfall}",
        fix=f"withdraw the approval with `{_update_package(arn, 'PendingManualApproval')}`; then "
        + _how_to_approve(arn, rules),
    )


def _shortfall(decision: Decision, rules: Rules, uploader: str | None, airflow_arn: Callable[[], str]) -> str | None:
    """Say why an approval on record does not count; IAM decides who may approve in SageMaker."""
    if decision.how != HOW_OUTSIDE:
        missing = rules.shortfall(decision.approvals, uploader)
        return missing and f"{missing}; an approval counts only with the signature of Airflow's API server"
    if decision.decided_by == UNKNOWN:
        return "SageMaker does not say who that is"
    # Any task of this Airflow can act as Airflow, so its identity does not name a person.
    return "that is Airflow itself and no person" if same_principal(decision.decided_by, airflow_arn()) else None


def _how_to_approve(arn: str, rules: Rules) -> str:
    return (
        f"an approver ({', '.join(rules.approvers)}) clears the task approve and answers its question, or somebody "
        f"with the permission runs `{_update_package(arn, 'Approved')}`; then clear this task. The run's Audit Log "
        "names who marked approve; a mark counts only from an approver and while the question is open"
    )


def _update_package(arn: str, status: str) -> str:
    return f"aws sagemaker update-model-package --model-package-arn {arn} --model-approval-status {status}"
