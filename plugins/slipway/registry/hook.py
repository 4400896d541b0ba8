"""The SageMaker Model Registry: model packages and the decisions on them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from slipway.aws.calls import aws_call
from slipway.aws.patience import patient
from slipway.aws.sagemaker_api import SageMakerApiHook, is_missing_resource
from slipway.errors import AlreadyDecided, NotApproved, SlipwayError
from slipway.model.approvers import Approval
from slipway.registry.metadata import DIGEST, REVISION, TEST_PREFIX, metadata_value
from slipway.registry.record import (
    APPROVAL_PREFIX,
    DECISION,
    DECISION_KEYS,
    HOW_OUTSIDE,
    LATE_ANSWER,
    Candidate,
    Decision,
    approval_properties,
    approvals_of,
    decision_of,
    decision_properties,
    description,
)
from slipway.states import ModelApprovalStatus


class ModelRegistryHook(SageMakerApiHook):
    """Model package groups and model packages.

    https://docs.aws.amazon.com/sagemaker/latest/dg/model-registry.html
    """

    @patient
    def ensure_model_package_group(self, group: str, *, description: str, tags: Mapping[str, str]) -> None:
        """Create a model package group unless it is there.

        https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateModelPackageGroup.html

        :param group: the group's name
        :param description: what it holds
        :param tags: tag values by key
        :raises slipway.errors.AwsError: when a call fails
        """
        if self.describe_model_package_group(group) is not None:
            return
        with aws_call("create the model package group", group):
            try:
                self.conn.create_model_package_group(
                    ModelPackageGroupName=group,
                    ModelPackageGroupDescription=description,
                    Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
                )
            except ClientError as error:
                # Another release of this model has created it meanwhile.
                if "already exists" not in str(error):
                    raise

    def describe_model_package_group(self, group: str) -> dict | None:
        """Describe a model package group.

        https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeModelPackageGroup.html

        :param group: the group's name
        :returns: the description, or None if there is no such group
        """
        return self.describe_or_none("describe_model_package_group", group, ModelPackageGroupName=group)

    @patient
    def create_model_package(self, parameters: dict) -> str:
        """Register a version of a model.

        The parameters have a ClientToken, by which SageMaker recognizes a repeated request.
        https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateModelPackage.html

        :param parameters: the operation's parameters
        :returns: the model package's ARN
        :raises slipway.errors.AwsError: when the call fails
        """
        with aws_call("register the model in", parameters["ModelPackageGroupName"]):
            return self.conn.create_model_package(**parameters)["ModelPackageArn"]

    def describe_model_package(self, arn: str) -> dict | None:
        """Describe a model package.

        https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeModelPackage.html

        :param arn: the package's ARN
        :returns: the description, or None if there is no such package
        """
        return self.describe_or_none("describe_model_package", arn, ModelPackageName=arn)

    @patient
    def find_model_package(self, group: str, *, revision_id: str, digest: str) -> dict | None:
        """Find the package of one release.

        The same zip uploaded twice makes two revisions with one digest and two models, so both have to match.

        :param group: the model package group's name
        :param revision_id: the revision's id
        :param digest: SHA-256 of the zip, hexadecimal
        :returns: the package's description, or None
        :raises slipway.errors.AwsError: when a call fails
        """
        for arn in self._package_arns(group):
            package = self.describe_model_package(arn) or {}
            properties = package.get("CustomerMetadataProperties", {})
            if properties.get(REVISION) == revision_id and properties.get(DIGEST) == digest:
                return package
        return None

    @patient
    def package_of_artefact(self, group: str, data_url: str) -> Mapping[str, Any] | None:
        """Find the newest package of an artefact.

        https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeModelPackage.html

        :param group: the model package group's name
        :param data_url: S3 URI of the artefact
        :returns: the package's description, or None
        :raises slipway.errors.AwsError: when a call fails
        """
        for arn in self.model_package_arns(group):
            package = self.describe_model_package(arn) or {}
            containers = package.get("InferenceSpecification", {}).get("Containers", ())
            if any(container.get("ModelDataUrl") == data_url for container in containers):
                return package
        return None

    @patient
    def model_package_arns(self, group: str) -> list[str]:
        """List the packages of a group, the newest first.

        https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ListModelPackages.html

        :param group: the group's name
        :returns: ARNs; none where the group is missing
        :raises slipway.errors.AwsError: when a call fails
        """
        return list(self._package_arns(group))

    def _package_arns(self, group: str) -> Iterator[str]:
        """List the packages of a group; pages are fetched only as far as they are read."""
        with aws_call("list the model packages", group):
            try:
                pages = self.conn.get_paginator("list_model_packages").paginate(
                    ModelPackageGroupName=group, SortBy="CreationTime", SortOrder="Descending"
                )
                for page in pages:
                    yield from (item["ModelPackageArn"] for item in page["ModelPackageSummaryList"])
            except ClientError as error:
                if not is_missing_resource(error):
                    raise

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
        approvals: Iterable[Approval] = (),
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
        :param approvals: the approvals that were given, the deciding one included
        :returns: the decision on record; the same decision made again is returned unchanged
        :raises slipway.errors.AlreadyDecided: when there is another decision; it names who made it
        :raises slipway.errors.NotApproved: when the package is missing or of another digest
        :raises slipway.errors.AwsError: when a call fails
        """
        package = self._package_of(model_package_arn, digest)
        wanted = ModelApprovalStatus.APPROVED if approved else ModelApprovalStatus.REJECTED
        who = metadata_value(decided_by)
        if first := decision_of(package):
            return _same_or_raise(first, wanted, who, model_package_arn)
        decided_at = decided_at or datetime.now(UTC).isoformat(timespec="seconds")
        self._write_decision(
            package,
            Decision(wanted, who, decided_at, how, approvals=tuple(approvals)),
            ModelApprovalStatus=wanted.value,
            ApprovalDescription=description(comment),
        )
        standing = decision_of(self._package_of(model_package_arn, digest))
        if standing is None:
            raise SlipwayError("The decision was not recorded", resource=model_package_arn, fix="run the task again")
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
    def record_test(self, arn: str, results: Mapping[str, str], *, digest: str) -> None:
        """Record how the model compares with the live one; a repeated test replaces the results of the one before.

        :param arn: the package that was tested
        :param results: texts by name
        :param digest: SHA-256 of the zip it was made from
        :raises slipway.errors.NotApproved: when the package is missing or of another digest
        :raises slipway.errors.AwsError: when a call fails
        """
        properties = {f"{TEST_PREFIX}{name}": metadata_value(text) for name, text in results.items()}
        self._update(self._package_of(arn, digest), properties, replaces=(TEST_PREFIX,))

    @patient
    def candidate(self, arn: str, digest: str) -> Candidate:
        """Read the bytes that an answer is about.

        :param arn: the package
        :param digest: SHA-256 of the zip the package has to be of
        :returns: the package, its zip and its artefact
        :raises slipway.errors.NotApproved: when the package is missing or of another digest
        :raises slipway.errors.AwsError: when a call fails
        """
        return Candidate.of(self._package_of(arn, digest))

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

    @patient
    def annotate(self, package: Mapping[str, Any], properties: Mapping[str, str]) -> None:
        """Add to a package's metadata.

        https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_UpdateModelPackage.html

        :param package: what DescribeModelPackage answered
        :param properties: texts by key; those of other keys stay
        :raises slipway.errors.AwsError: when the call fails
        """
        # All metadata is written, so it is read again first: a repeated call must not undo what others wrote.
        self._update(
            self.describe_model_package(package["ModelPackageArn"]) or package, properties, replaces=tuple(properties)
        )

    def _write_decision(self, package: Mapping[str, Any], decision: Decision, **changes: Any) -> None:
        self._update(package, decision_properties(decision), replaces=(APPROVAL_PREFIX,), **changes)

    def _update(
        self, package: Mapping[str, Any], properties: Mapping[str, str], *, replaces: tuple[str, ...], **changes: Any
    ) -> None:
        arn, present = package["ModelPackageArn"], package.get("CustomerMetadataProperties", {})
        stale = sorted(key for key in present if key.startswith(replaces) and key not in properties)
        if stale:
            changes["CustomerMetadataPropertiesToRemove"] = stale
        # The other values are sent too: the documentation does not say whether the service merges or replaces.
        kept = {key: value for key, value in present.items() if key not in stale}
        with aws_call("write the record on", arn):
            self.conn.update_model_package(
                ModelPackageArn=arn, CustomerMetadataProperties={**kept, **properties}, **changes
            )

    def delete_model_package(self, arn: str) -> bool:
        """Delete a model package.

        https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DeleteModelPackage.html

        :param arn: the package's ARN
        :returns: False if it was gone
        """
        return self.delete("delete_model_package", arn, ModelPackageName=arn)

    def delete_model_package_group(self, group: str) -> bool:
        """Delete an empty model package group.

        https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DeleteModelPackageGroup.html

        :param group: the group's name
        :returns: False if it was gone
        """
        return self.delete("delete_model_package_group", group, ModelPackageGroupName=group)

    def _package_of(self, arn: str, digest: str) -> dict:
        package = self.describe_model_package(arn)
        if package is None:
            raise NotApproved("There is no model package to decide on", resource=arn, fix="run register again")
        found = package.get("CustomerMetadataProperties", {}).get(DIGEST)
        if found != digest:
            raise NotApproved(
                "The decision was made for another model",
                resource=arn,
                why=f"the package is of digest {found}, the decision of {digest}",
                fix="decide again, on the release that registered this package",
            )
        return package


def _same_or_raise(standing: Decision, wanted: ModelApprovalStatus, who: str, arn: str) -> Decision:
    if standing.decision is wanted and standing.decided_by == who:
        return standing
    raise AlreadyDecided(
        f"{who} wanted {wanted.value}, but the first decision stands",
        resource=arn,
        why=f"{standing.decided_by} decided {standing.decision.value} at {standing.decided_at} ({standing.how})",
        fix="upload the zip again for a release of its own",
    )
