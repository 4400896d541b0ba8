"""ECR: images of a repository by their tags, and what their scans have found."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from slipway import paths
from slipway.aws.calls import aws_call
from slipway.aws.patience import patient
from slipway.aws.session import AwsHook

WAITER_PATH = paths.waiters("ecr")

# https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_DescribeImages.html
_MISSING_CODE = "ImageNotFoundException"
_FIX = "set the account up again with slipway bootstrap, which makes the repository of each model with an image"


@dataclass(frozen=True)
class PushedImage:
    """An image in a repository.

    :param digest: of its manifest, with ``sha256:``
    :param pushed_at: when it was pushed
    :param size_bytes: of its layers, compressed
    """

    digest: str
    pushed_at: datetime
    size_bytes: int


@dataclass(frozen=True)
class Finding:
    """One vulnerability that a scan has found.

    :param name: such as CVE-2024-1
    :param severity: ECR's word
    :param package: where it is, as far as the scan says
    """

    name: str
    severity: str
    package: str


@dataclass(frozen=True)
class ScanResult:
    """What a scan has found.

    :param counts: findings by severity
    :param findings: each of them, as far as they were read
    """

    counts: dict[str, int]
    findings: list[Finding]


class EcrHook(AwsHook):
    """Images and their scans.

    https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_Operations.html
    """

    service = "ecr"

    @property
    def waiter_path(self) -> os.PathLike[str]:
        """The waiters of this package, not those of the provider."""
        return WAITER_PATH

    @patient
    def tagged_image(self, repository: str, tag: str) -> PushedImage | None:
        """Find the image of a tag.

        https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_DescribeImages.html

        :param repository: the repository's name
        :param tag: the tag
        :returns: None where the repository has no such tag
        :raises slipway.errors.AwsError: when the call fails
        """
        return self._image(repository, f"{repository}:{tag}", imageTag=tag)

    @patient
    def image(self, repository: str, digest: str) -> PushedImage | None:
        """Find an image by its digest.

        https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_DescribeImages.html

        :param repository: the repository's name
        :param digest: of the image's manifest, with ``sha256:``
        :returns: None where the repository does not have it, or no longer
        :raises slipway.errors.AwsError: when the call fails
        """
        return self._image(repository, f"{repository}@{digest}", imageDigest=digest)

    @patient
    def scan_status(self, repository: str, digest: str) -> str | None:
        """Say how far the scan of an image is; None before it was begun.

        :param repository: the repository's name
        :param digest: the image's digest
        :raises slipway.errors.AwsError: when the call fails
        """
        with aws_call("look at the image's scan", f"{repository}@{digest}", fix=_FIX):
            try:
                answer = self._scan_page(repository, digest, maxResults=1)
            except ClientError as error:
                if error.response["Error"]["Code"] == "ScanNotFoundException":
                    return None
                raise
        return str(answer["imageScanStatus"]["status"])

    @patient
    def scan_result(self, repository: str, digest: str) -> ScanResult:
        """Read what the scan of an image has found.

        https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_DescribeImageScanFindings.html

        :param repository: the repository's name
        :param digest: the image's digest
        :returns: the findings, a call for each thousand
        :raises slipway.errors.AwsError: when a call fails
        """
        counts: dict[str, int] = {}
        findings: list[Finding] = []
        more: dict[str, Any] = {}
        with aws_call("read the image's scan", f"{repository}@{digest}", fix=_FIX):
            while True:
                page = self._scan_page(repository, digest, maxResults=1000, **more)
                found = page.get("imageScanFindings", {})
                counts |= found.get("findingSeverityCounts", {})
                findings += map(_basic, found.get("findings", ()))
                findings += map(_enhanced, found.get("enhancedFindings", ()))
                if not page.get("nextToken"):
                    return ScanResult(counts, findings)
                more = {"nextToken": page["nextToken"]}

    def _image(self, repository: str, name: str, **image_id: str) -> PushedImage | None:
        with aws_call("look for the image", name, fix=_FIX):
            try:
                answer = self.conn.describe_images(repositoryName=repository, imageIds=[image_id])
            except ClientError as error:
                if error.response["Error"]["Code"] == _MISSING_CODE:
                    return None
                raise
        found = answer["imageDetails"][0]
        return PushedImage(found["imageDigest"], found["imagePushedAt"], found.get("imageSizeInBytes", 0))

    def _scan_page(self, repository: str, digest: str, **more: Any) -> dict[str, Any]:
        return self.conn.describe_image_scan_findings(
            repositoryName=repository, imageId={"imageDigest": digest}, **more
        )


def _basic(item: dict[str, Any]) -> Finding:
    said = {one["key"]: one.get("value", "") for one in item.get("attributes", ())}
    package = " ".join(filter(None, [said.get("package_name"), said.get("package_version")]))
    return Finding(item.get("name", "unnamed"), item["severity"], package)


def _enhanced(item: dict[str, Any]) -> Finding:
    """Read a finding of Amazon Inspector.

    https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_EnhancedImageScanFinding.html
    """
    detail = item.get("packageVulnerabilityDetails", {})
    packages = ", ".join(
        f"{one.get('name', '')} {one.get('version', '')}".strip() for one in detail.get("vulnerablePackages", ())
    )
    return Finding(detail.get("vulnerabilityId") or item.get("title", "unnamed"), item["severity"], packages)
