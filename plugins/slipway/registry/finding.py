"""Finds the model package of an artefact where only its place in S3 is known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from slipway.aws.s3 import S3Hook, bucket_and_key
from slipway.errors import AwsRefused
from slipway.registry.hook import ModelRegistryHook


def package_of_artefact(
    group: str, url: str, registry: ModelRegistryHook, s3: S3Hook, *, revision_id: str | None = None
) -> Mapping[str, Any] | None:
    """Find the newest package of an artefact, from the time on at which S3 got the artefact.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html

    :param group: the model package group's name
    :param url: S3 URI of the artefact
    :param registry: the Model Registry
    :param s3: S3
    :param revision_id: the release that must have registered it; None for anybody
    :returns: what DescribeModelPackage answered, or None
    :raises slipway.errors.AwsError: when a call fails
    """
    try:
        head = s3.head(*bucket_and_key(url))
    except AwsRefused:
        # Without the right to see the object, all packages are listed.
        head = None
    written_at = head["LastModified"] if head else None
    return registry.package_of_artefact(group, url, written_at=written_at, revision_id=revision_id)
