"""What carries a tag: found by one call for a hundred resources, however many the account has."""

from __future__ import annotations

from functools import cached_property

from slipway.aws.calls import aws_call
from slipway.aws.patience import patient
from slipway.aws.sagemaker import LISTINGS, PAGE_SIZE, Resource, SageMakerHook
from slipway.aws.session import AwsHook
from slipway.states import TrainingJobStatus

# The largest page of GetResources.
# https://docs.aws.amazon.com/resourcegroupstagging/latest/APIReference/API_GetResources.html
_TAGGED_IN_A_PAGE = 100


class TaggingHook(AwsHook):
    """Finds resources of all services by their tags.

    https://docs.aws.amazon.com/resourcegroupstagging/latest/APIReference/supported-services.html
    """

    service = "resourcegroupstaggingapi"

    @patient
    def tagged(self, resource_type: str, key: str, value: str) -> list[str]:
        """Find the resources of a type that carry a tag; what was deleted a moment ago may be among them.

        https://docs.aws.amazon.com/resourcegroupstagging/latest/APIReference/API_GetResources.html

        :param resource_type: such as ``sagemaker:model``
        :param key: the tag's key
        :param value: the tag's value
        :returns: their ARNs, in alphabetical order
        :raises slipway.errors.AwsError: when a call fails
        """
        with aws_call("find the resources with the tag", f"{key}={value}"):
            pages = self.conn.get_paginator("get_resources").paginate(
                TagFilters=[{"Key": key, "Values": [value]}],
                ResourceTypeFilters=[resource_type],
                ResourcesPerPage=_TAGGED_IN_A_PAGE,
            )
            return sorted(found["ResourceARN"] for page in pages for found in page["ResourceTagMappingList"])

    @patient
    def values_of(self, resource_type: str, key: str) -> dict[str, str]:
        """Find the resources of a type that carry a tag with any value, by one call for a hundred of them.

        https://docs.aws.amazon.com/resourcegroupstagging/latest/APIReference/API_GetResources.html

        :param resource_type: such as ``sagemaker:model``
        :param key: the tag's key
        :returns: the values, by ARN in small letters; what was deleted or changed a moment ago may be as it was
        :raises slipway.errors.AwsError: when a call fails
        """
        with aws_call("find the resources with the tag", key):
            pages = self.conn.get_paginator("get_resources").paginate(
                TagFilters=[{"Key": key}],
                ResourceTypeFilters=[resource_type],
                ResourcesPerPage=_TAGGED_IN_A_PAGE,
            )
            return {
                found["ResourceARN"].lower(): tag["Value"]
                for page in pages
                for found in page["ResourceTagMappingList"]
                for tag in found["Tags"]
                if tag["Key"] == key
            }


class TaggedResourcesHook(SageMakerHook):
    """SageMaker's resources that carry a tag; SageMaker's own List operations cannot filter by tag."""

    def tagged_arns(self, kind: str, key: str, value: str) -> list[str]:
        """Find the resources of one kind that carry a tag, by one call for a hundred of them.

        :param kind: ``endpoint``, ``endpoint config`` or ``model``
        :param key: the tag's key
        :param value: the tag's value
        :returns: ARNs; what was deleted a moment ago may be among them
        :raises slipway.errors.AwsError: when a call fails
        """
        return self._tagging.tagged(_type_of(kind), key, value)

    def tag_values(self, kind: str, key: str) -> dict[str, str]:
        """Find the resources of one kind that carry a tag with any value, as `TaggingHook.values_of` does."""
        return self._tagging.values_of(_type_of(kind), key)

    def list_tagged(self, kind: str, key: str, value: str) -> list[Resource]:
        """Describe the resources of one kind that carry a tag; the number of calls follows theirs, not the account's.

        :param kind: ``endpoint``, ``endpoint config`` or ``model``
        :param key: the tag's key
        :param value: the tag's value
        :returns: the resources that exist and carry the tag
        :raises slipway.errors.AwsError: when a call fails
        """
        found = []
        for arn in self.tagged_arns(kind, key, value):
            if one := self.tagged_resource(kind, arn, key, value):
                found.append(one)
        return found

    @patient
    def tagged_resource(self, kind: str, arn: str, key: str, value: str) -> Resource | None:
        """Describe a resource of which only the ARN is known, which has the name in small letters.

        https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ListTags.html

        :param kind: ``endpoint``, ``endpoint config`` or ``model``
        :param arn: its ARN
        :param key: the tag's key
        :param value: the tag's value
        :returns: None if it does not exist any more, or does not carry the tag
        :raises slipway.errors.AwsError: when a call fails
        """
        if self._tags_or_none(arn).get(key) != value:
            return None
        listing, name = LISTINGS[kind], arn.rpartition("/")[2]
        found = self.describe_or_none(f"describe_{kind.replace(' ', '_')}", name, **{listing.name: name})
        if found:
            status = found.get(listing.status) if listing.status else None
            return Resource(kind, found[listing.name], arn, status)
        # AWS documents only for endpoints that the case of letters does not count.
        # https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateEndpoint.html
        return next((one for one in self._list(kind, {"MaxResults": PAGE_SIZE}) if one.arn == arn), None)

    @patient
    def jobs(self, beginning: str, status: TrainingJobStatus, key: str, value: str) -> list[Resource]:
        """List the training jobs in one status that carry a tag, among those of a name.

        https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ListTrainingJobs.html

        :param beginning: what their names begin with
        :param status: the status
        :param key: the tag's key
        :param value: the tag's value
        :raises slipway.errors.AwsError: when a call fails
        """
        filters = {"NameContains": beginning, "StatusEquals": status.value, "MaxResults": PAGE_SIZE}
        listed = (one for one in self._list("training job", filters) if one.name.startswith(beginning))
        return [one for one in listed if self._tags_or_none(one.arn).get(key) == value]

    @cached_property
    def _tagging(self) -> TaggingHook:
        return TaggingHook(aws_conn_id=self.aws_conn_id, region_name=self.region_name, verify=self._verify)


def _type_of(kind: str) -> str:
    """Name a kind as the tagging API does."""
    return f"sagemaker:{kind.replace(' ', '-')}"
