"""What ``check_source`` passes on: a source that may be built, by the digest of its bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from slipway import image_names
from slipway.formats.stored import known, versioned
from slipway.plan import Revision, result_needed

CHECK_SOURCE = "check_source"


@dataclass(frozen=True)
class CheckedSource:
    """A source that the model file lets be built; the XCom of ``check_source``.

    :param prefix: the model's prefix
    :param revision: the upload
    :param digest: SHA-256 of the zip, hexadecimal
    :param bucket: of the copy that is built, which nobody but Airflow's role may write
    :param key: its key
    :param version_id: its version
    :param base_images: as the Dockerfile names them
    :param files: how many files the zip has
    :param uploader: who uploaded it; empty where S3 has no name
    """

    prefix: str
    revision: Revision
    digest: str
    bucket: str
    key: str
    version_id: str
    base_images: tuple[str, ...]
    files: int
    uploader: str

    @property
    def tag(self) -> str:
        """The tag of its image."""
        return image_names.tag(self.digest)

    def key_of(self, file: str) -> str:
        """Return the key of a file that its build keeps."""
        return image_names.build_key(self.prefix, self.revision.revision_id, file)

    def shared_key_of(self, file: str) -> str:
        """Return the key of a file that the builds of all uploads of the same bytes share."""
        return image_names.build_key(self.prefix, self.tag, file)

    def to_xcom(self) -> dict[str, Any]:
        """Return plain JSON."""
        return versioned(asdict(self) | {"revision": self.revision.to_xcom(), "base_images": list(self.base_images)})

    @classmethod
    def from_xcom(cls, value: Mapping[str, Any]) -> Self:
        """Read what ``to_xcom`` returned.

        :raises UnreadableDocument: when it is no checked source
        """
        return known(cls, value)


def pull_source(context: Mapping[str, Any]) -> CheckedSource:
    """Read the source that the run builds.

    :param context: the task's Airflow context
    :raises PermanentError: when ``check_source`` has left none
    """
    return CheckedSource.from_xcom(result_needed(context, CHECK_SOURCE))
