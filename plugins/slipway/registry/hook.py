"""The SageMaker Model Registry: what was trained, and who decided what about it."""

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
from slipway.registry.record import (
    APPROVAL_PREFIX,
    DECISION,
    DECISION_KEYS,
    DIGEST,
    HOW_OUTSIDE,
    LATE_ANSWER,
    Candidate,
    Decision,
    approval_properties,
    approvals_of,
    decision_of,
    decision_properties,
    description,
    metadata_value,
)
from slipway.states import ModelApprovalStatus

REVISION = "slipway-revision"
VERSION_ID = "slipway-version-id"
RUN = "slipway-run"
METRIC_PREFIX = "metric/"
TEST_PREFIX = "test/"


def metrics_of(package: Mapping[str, Any]) -> dict[str, float]:
    """Read the final training metrics that `register` wrote into a model package.

    :param package: What DescribeModelPackage answered.
    :returns: Values by metric name.
    """
    properties = package.get("CustomerMetadataProperties", {})
    return {
        key.removeprefix(METRIC_PREFIX): float(value)
        for key, value in properties.items()
        if key.startswith(METRIC_PREFIX)
    }


class ModelRegistryHook(SageMakerApiHook):
    """Model package groups and model packages.

    https://docs.aws.amazon.com/sagemaker/latest/dg/model-registry.html
    """

    @patient
    def ensure_model_package_group(self, group: str, *, description: str, tags: Mapping[str, str]) -> None:
        """Create a model package group unless it is there.

        https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateModelPackageGroup.html

        :param group: The group's name.
        :param description: What it holds.
        :param tags: Tag values by key.
        :raises slipway.errors.AwsError: When a call fails.
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
                # Another release of this model created it in between.
                if "already exists" not in str(error):
                    raise

    def describe_model_package_group(self, group: str) -> dict | None:
        """Describe a model package group.

        https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeModelPackageGroup.html

        :param group: The group's name.
        :returns: The description, or None if there is no such group.
        """
        return self.describe_or_none("describe_model_package_group", group, ModelPackageGroupName=group)

    @patient
    def create_model_package(self, parameters: dict) -> str:
        """Register a version of a model.

        The parameters bear a ClientToken, by which SageMaker knows a repeated request.
        https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateModelPackage.html

        :param parameters: The operation's parameters.
        :returns: The model package's ARN.
        :raises slipway.errors.AwsError: When the call fails.
        """
        with aws_call("register the model in", parameters["ModelPackageGroupName"]):
            return self.conn.create_model_package(**parameters)["ModelPackageArn"]

    def describe_model_package(self, arn: str) -> dict | None:
        """Describe a model package.

        https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeModelPackage.html

        :param arn: The package's ARN.
        :returns: The description, or None if there is no such package.
        """
        return self.describe_or_none("describe_model_package", arn, ModelPackageName=arn)

    @patient
    def find_model_package(self, group: str, *, revision_id: str, digest: str) -> dict | None:
        """Find the package of one release.

        The same zip uploaded twice is two revisions with one digest and two trained models, so both have to match.

        :param group: The model package group's name.
        :param revision_id: The revision's id.
        :param digest: SHA-256 of the zip, hexadecimal.
        :returns: The package's description, or None.
        :raises slipway.errors.AwsError: When a call fails.
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

        :param group: The model package group's name.
        :param data_url: S3 URI of the artefact.
        :returns: The package's description, or None.
        :raises slipway.errors.AwsError: When a call fails.
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

        :param group: The group's name.
        :returns: ARNs; none where the group is missing.
        :raises slipway.errors.AwsError: When a call fails.
        """
        return list(self._package_arns(group))

    def _package_arns(self, group: str) -> Iterator[str]:
        """As model_package_arns; pages are fetched only as far as they are read."""
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
        """Record a decision on a model package; the first one wins.

        The registry has no compare-and-set, so the record is read again after the write: of two decisions in the same
        instant both writers see the one that stands. For the same reason it is read again before a repeated write.
        https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_UpdateModelPackage.html

        :param model_package_arn: The package decided upon.
        :param approved: True to approve, False to reject.
        :param decided_by: Who decided.
        :param how: The way it came in, as ``Airflow UI``.
        :param comment: What they said.
        :param digest: SHA-256 of the zip the decision was made for.
        :param decided_at: When they decided, ISO 8601 in UTC; now if None.
        :param approvals: The approvals that were given, the deciding one included.
        :returns: The decision as recorded; the same one made again is given back unchanged.
        :raises slipway.errors.AlreadyDecided: Naming who was first, when that was another decision.
        :raises slipway.errors.NotApproved: When the package is missing or of another digest.
        :raises slipway.errors.AwsError: When a call fails.
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
        """Record approvals that do not suffice yet; the package stays pending.

        https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_UpdateModelPackage.html

        :param arn: The package they are about.
        :param approvals: All that were given so far.
        :param comment: What was said with them.
        :param digest: SHA-256 of the zip they were given for.
        :raises slipway.errors.NotApproved: When the package is missing or of another digest.
        :raises slipway.errors.AwsError: When a call fails.
        """
        package = self._package_of(arn, digest)
        # A decision that was withdrawn goes, or it would make these look withdrawn as well.
        self._update(
            package,
            approval_properties(approvals),
            replaces=(APPROVAL_PREFIX, *DECISION_KEYS),
            ApprovalDescription=description(comment),
        )

    @patient
    def record_late_answer(self, arn: str, answer: str, *, digest: str) -> None:
        """Keep an answer that came when the decision stood already.

        :param arn: The package it was about.
        :param answer: Who wanted what.
        :param digest: SHA-256 of the zip it was given for.
        :raises slipway.errors.NotApproved: When the package is missing or of another digest.
        :raises slipway.errors.AwsError: When a call fails.
        """
        self._update(self._package_of(arn, digest), {LATE_ANSWER: metadata_value(answer)}, replaces=(LATE_ANSWER,))

    @patient
    def record_test(self, arn: str, results: Mapping[str, str], *, digest: str) -> None:
        """Record how the model did beside the live one; a repeated test replaces what the one before found.

        :param arn: The package that was tested.
        :param results: Texts by name.
        :param digest: SHA-256 of the zip it was made from.
        :raises slipway.errors.NotApproved: When the package is missing or of another digest.
        :raises slipway.errors.AwsError: When a call fails.
        """
        properties = {f"{TEST_PREFIX}{name}": metadata_value(text) for name, text in results.items()}
        self._update(self._package_of(arn, digest), properties, replaces=(TEST_PREFIX,))

    @patient
    def candidate(self, arn: str, digest: str) -> Candidate:
        """Read what an answer is about.

        :param arn: The package.
        :param digest: SHA-256 of the zip the package has to be of.
        :returns: The package, its zip and its artefact.
        :raises slipway.errors.NotApproved: When the package is missing or of another digest.
        :raises slipway.errors.AwsError: When a call fails.
        """
        return Candidate.of(self._package_of(arn, digest))

    @patient
    def undecided(self, arn: str, digest: str) -> tuple[list[Approval], str]:
        """Read what a pending package has gathered.

        :param arn: The package.
        :param digest: SHA-256 of the zip the package has to be of.
        :returns: The approvals so far that the guard has signed, and what was said with them.
        :raises slipway.errors.NotApproved: When the package is missing or of another digest.
        :raises slipway.errors.AwsError: When a call fails.
        """
        package = self._package_of(arn, digest)
        approvals = approvals_of(package)
        return approvals, package.get("ApprovalDescription", "") if approvals else ""

    @patient
    def keep_outside_decision(self, arn: str, digest: str) -> Decision | None:
        """Write down who decided outside Airflow, before a later change of the package hides it.

        :param arn: The package decided upon.
        :param digest: SHA-256 of the zip the package has to be of.
        :returns: The decision, recorded like every other; None while it is pending.
        :raises slipway.errors.NotApproved: When the package is missing or of another digest.
        :raises slipway.errors.AwsError: When a call fails.
        """
        package = self._package_of(arn, digest)
        decision = decision_of(package)
        kept = package.get("CustomerMetadataProperties", {}).get(DECISION)
        # One that was withdrawn may be kept there still.
        if decision and decision.how == HOW_OUTSIDE and kept != decision.decision:
            self._write_decision(package, decision)
        return decision

    @patient
    def annotate(self, package: Mapping[str, Any], properties: Mapping[str, str]) -> None:
        """Add to a package's metadata.

        https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_UpdateModelPackage.html

        :param package: What DescribeModelPackage answered.
        :param properties: Texts by key; those of other keys stay.
        :raises slipway.errors.AwsError: When the call fails.
        """
        # All of the metadata is written, so it is read anew: a repetition must not undo what was written meanwhile.
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
        # The values registered before are sent along: the service does not say whether it merges or replaces.
        kept = {key: value for key, value in present.items() if key not in stale}
        with aws_call("write the record on", arn):
            self.conn.update_model_package(
                ModelPackageArn=arn, CustomerMetadataProperties={**kept, **properties}, **changes
            )

    def delete_model_package(self, arn: str) -> bool:
        """Delete a model package.

        https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DeleteModelPackage.html

        :param arn: The package's ARN.
        :returns: False if it was gone.
        """
        return self.delete("delete_model_package", arn, ModelPackageName=arn)

    def delete_model_package_group(self, group: str) -> bool:
        """Delete a model package group, which has to be empty.

        https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DeleteModelPackageGroup.html

        :param group: The group's name.
        :returns: False if it was gone.
        """
        return self.delete("delete_model_package_group", group, ModelPackageGroupName=group)

    def _package_of(self, arn: str, digest: str) -> dict:
        package = self.describe_model_package(arn)
        if package is None:
            raise NotApproved("There is no model package to decide upon", resource=arn, fix="run register again")
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
