"""The artefact that a model package was registered with, and the errors where it is another one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from slipway import names
from slipway.aws.s3 import bucket_and_key
from slipway.errors import ArtefactChanged
from slipway.formats.encoding import decoded, encoded
from slipway.registry.metadata import ARTEFACT_SHA256

# Entries of a model package's metadata, written by `register`.
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateModelPackage.html
_PREFIX = "slipway-artefact-"
_SHA256 = ARTEFACT_SHA256  # approvals are about it, too
_SIZE, _ETAG, _VERSION_ID = (f"{_PREFIX}{name}" for name in ("size", "etag", "version-id"))


@dataclass(frozen=True)
class Artefact:
    """One model.tar.gz in S3.

    :param uri: its S3 URI
    :param etag: without quotes
    :param version_id: S3's; ``null`` where the bucket keeps no versions
    :param sha256: of all its bytes, hexadecimal
    """

    uri: str
    size_bytes: int
    etag: str
    version_id: str
    sha256: str

    def __str__(self) -> str:
        return f"{self.size_bytes} bytes, ETag {self.etag}, version {self.version_id}, SHA-256 {self.sha256}"

    @property
    def place(self) -> tuple[str, str]:
        """Bucket and key."""
        return bucket_and_key(self.uri)

    def properties(self) -> dict[str, str]:
        """Return the metadata that keeps it on a model package; its URI is in the package's specification."""
        return {
            _SHA256: self.sha256,
            _SIZE: str(self.size_bytes),
            _ETAG: encoded(self.etag),
            _VERSION_ID: encoded(self.version_id),
        }


def data_url(package: Mapping[str, Any]) -> str:
    """Return the S3 URI of a model package's artefact.

    :param package: what DescribeModelPackage answered
    """
    return package["InferenceSpecification"]["Containers"][0]["ModelDataUrl"]


def image_of(package: Mapping[str, Any]) -> str | None:
    """Return the URI of the container image that a model package was registered with; None if it has none.

    :param package: what DescribeModelPackage answered
    """
    containers = package.get("InferenceSpecification", {}).get("Containers") or [{}]
    image: str | None = containers[0].get("Image")
    return image


def artefact_of(package: Mapping[str, Any]) -> Artefact | None:
    """Read which artefact a model package was registered with.

    :param package: what DescribeModelPackage answered
    :returns: the artefact on record; None for a package without such a record
    """
    properties = package.get("CustomerMetadataProperties", {})
    complete = all(properties.get(key) for key in (_SHA256, _ETAG, _VERSION_ID))
    if not complete or not properties.get(_SIZE, "").isdecimal():
        return None
    return Artefact(
        uri=data_url(package),
        size_bytes=int(properties[_SIZE]),
        etag=decoded(properties[_ETAG]),
        version_id=decoded(properties[_VERSION_ID]),
        sha256=properties[_SHA256],
    )


def on_record(package: Mapping[str, Any] | None, uri: str) -> Artefact:
    """Read the record of an artefact before it is served.

    :param package: the model package of the artefact; None where no package has it
    :param uri: the artefact, for the message
    :raises ArtefactChanged: when there is no record of its bytes
    """
    recorded = artefact_of(package) if package else None
    if recorded is None:
        raise ArtefactChanged(
            "There is no record of this artefact's bytes",
            resource=uri,
            why=f"{package['ModelPackageArn']} has no record of them" if package else "no model package has it",
            fix=f"release its version again: {names.RELEASE_A_VERSION}; where it is the live model beside a new "
            "one, set ABTests to false for one release",
        )
    return recorded


def changed(recorded: Artefact, found: Artefact | None) -> ArtefactChanged:
    """Build the error about an artefact that is not the one on record.

    :param recorded: the artefact on record
    :param found: what was found; None where there is no object
    """
    bucket, key = recorded.place
    return ArtefactChanged(
        "The artefact is not the one that was registered, and nothing is deployed",
        resource=recorded.uri,
        why=f"on record are {recorded}; found {found or 'no such object'}",
        fix="find out who wrote or removed it (CloudTrail's data events say so). Bring it back: `aws s3api "
        f"list-object-versions --bucket {bucket} --prefix {key}` shows which came after version {recorded.version_id}, "
        "`aws s3api delete-object` with `--version-id` removes them; then clear this task. Or release the version "
        f"again: {names.RELEASE_A_VERSION}",
    )
