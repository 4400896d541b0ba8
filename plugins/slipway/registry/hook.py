"""The SageMaker Model Registry: model package groups, model packages and their metadata."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from slipway.aws.calls import aws_call
from slipway.aws.identity import identity
from slipway.aws.patience import patient
from slipway.aws.sagemaker_api import SageMakerApiHook, is_missing_resource
from slipway.errors import NotApproved
from slipway.plan import ReleasePlan
from slipway.registry.metadata import DIGEST, REVISION, TEST_PREFIX, metadata_value
from slipway.registry.record import Candidate
from slipway.states import ModelApprovalStatus

# The largest page; the default is ten.
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ListModelPackages.html
_PAGE_SIZE = 100
# How much two clocks may differ: AWS refuses requests from a clock that is off by more.
# https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html (RequestTimeTooSkewed)
_CLOCK_MARGIN = timedelta(minutes=15)


@dataclass(frozen=True)
class ListedPackage:
    """A model package as a listing names it.

    :param description: what `register` wrote: the training job, and where the release's zip is
    :param pending: whether nobody has decided on it
    """

    arn: str
    description: str
    pending: bool = False


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
    def find_model_package(self, plan: ReleasePlan, *, named: str | None = None) -> dict | None:
        """Find the package of one release: by its ARN if that is known, else among those made since it began.

        The same zip uploaded twice makes two revisions with one digest and two models, so both have to match.

        :param plan: the release's plan
        :param named: the ARN that another task has passed on; a package of another group or release is ignored
        :returns: the package's description, or None
        :raises slipway.errors.AwsError: when a call fails
        """

        def is_wanted(package: Mapping[str, Any]) -> bool:
            properties = package.get("CustomerMetadataProperties", {})
            return properties.get(REVISION) == plan.revision_id and properties.get(DIGEST) == plan.digest

        if named and self._is_of_group(named, plan.model_package_group):
            package = self.describe_model_package(named)
            if package and is_wanted(package):
                return package
        window = {"CreationTimeAfter": plan.began - _CLOCK_MARGIN} if plan.began else {}
        return self._find(plan.model_package_group, plan.request_uri, is_wanted, window)

    @patient
    def package_of_artefact(
        self, group: str, data_url: str, *, written_at: datetime | None = None, revision_id: str | None = None
    ) -> Mapping[str, Any] | None:
        """Find the newest package of an artefact.

        `register` makes a package right after the copy of its artefact, so the time of the copy is where to look first.

        :param group: the model package group's name
        :param data_url: S3 URI of the artefact
        :param written_at: when S3 got the artefact; None if unknown
        :param revision_id: the release that must have registered it; None for anybody
        :returns: the package's description, or None
        :raises slipway.errors.AwsError: when a call fails
        """

        def is_wanted(package: Mapping[str, Any]) -> bool:
            properties = package.get("CustomerMetadataProperties", {})
            containers = package.get("InferenceSpecification", {}).get("Containers", ())
            return any(container.get("ModelDataUrl") == data_url for container in containers) and (
                revision_id is None or properties.get(REVISION) == revision_id
            )

        folder = f"{data_url.rpartition('/')[0]}/"
        if written_at is None:
            return self._find(group, folder, is_wanted, {})
        since = written_at - _CLOCK_MARGIN
        after = {"CreationTimeAfter": since, "SortOrder": "Ascending"}
        # An artefact that was overwritten is younger than its package.
        return self._find(group, folder, is_wanted, after) or self._find(
            group, folder, is_wanted, {"CreationTimeBefore": since}
        )

    @patient
    def listed_packages(self, group: str, since: datetime | None = None) -> list[ListedPackage]:
        """List the packages of a group as ListModelPackages names them, the newest first.

        https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ModelPackageSummary.html

        :param group: the group's name
        :param since: only those that were made after this
        :returns: none where the group is missing
        :raises slipway.errors.AwsError: when a call fails
        """
        window = {"CreationTimeAfter": since} if since else {}
        return [
            ListedPackage(
                item["ModelPackageArn"],
                item.get("ModelPackageDescription", ""),
                item.get("ModelApprovalStatus") == ModelApprovalStatus.PENDING,
            )
            for page in self._pages(group, window)
            for item in page
        ]

    @patient
    def newest_version(self, group: str) -> int | None:
        """Return the version of the newest package of a group, by one call.

        :param group: the group's name
        :returns: 0 for a group without packages; None where the group is missing
        :raises slipway.errors.AwsError: when the call fails
        """
        page = next(self._pages(group, {"MaxResults": 1}), None)
        return None if page is None else int(page[0]["ModelPackageArn"].rpartition("/")[2]) if page else 0

    @patient
    def model_package_arns(self, group: str) -> list[str]:
        """List the packages of a group, the newest first.

        https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ListModelPackages.html

        :param group: the group's name
        :returns: ARNs; none where the group is missing
        :raises slipway.errors.AwsError: when a call fails
        """
        return [item["ModelPackageArn"] for page in self._pages(group, {}) for item in page]

    def _find(
        self, group: str, place: str, is_wanted: Callable[[Mapping[str, Any]], bool], window: Mapping[str, Any]
    ) -> dict | None:
        """Describe the packages whose description names a place in S3, the newest of each page first.

        `register` writes where the release's zip is into the description, which the listing shows and no call changes.
        https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ModelPackageSummary.html
        """
        for page in self._pages(group, window):
            for item in reversed(page) if window.get("SortOrder") == "Ascending" else page:
                # A package without a description is looked at: it may be anybody's.
                if place not in item.get("ModelPackageDescription", place):
                    continue
                package = self.describe_model_package(item["ModelPackageArn"])
                if package and is_wanted(package):
                    return package
        return None

    def _pages(self, group: str, window: Mapping[str, Any]) -> Iterator[list[dict[str, Any]]]:
        """List the packages of a group, the newest first; pages are fetched only as far as they are read."""
        request = {"SortBy": "CreationTime", "SortOrder": "Descending", "MaxResults": _PAGE_SIZE, **window}
        with aws_call("list the model packages", group):
            try:
                pages = self.conn.get_paginator("list_model_packages").paginate(ModelPackageGroupName=group, **request)
                for page in pages:
                    yield page["ModelPackageSummaryList"]
            except ClientError as error:
                if not is_missing_resource(error):
                    raise

    def _is_of_group(self, arn: str, group: str) -> bool:
        """Check that an ARN is of a version of this account's group: a task may have passed on any."""
        versions = identity(self.aws_conn_id).sagemaker_arn(f"model-package/{group}")
        of_group, _, version = arn.rpartition("/")
        return of_group.lower() == versions.lower() and version.isdecimal()

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
            raise NotApproved(
                "There is no model package to decide on",
                resource=arn,
                why="somebody has deleted it since it was registered",
                fix="clear the task register and what follows",
            )
        found = package.get("CustomerMetadataProperties", {}).get(DIGEST)
        if found != digest:
            raise NotApproved(
                "The decision was made for another model",
                resource=arn,
                why=f"the package is of digest {found}, the decision of {digest}",
                fix="decide again, on the release that registered this package",
            )
        return package
