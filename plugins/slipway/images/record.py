"""The body of the task ``record``: what an image is and where it comes from, kept with its build and as the newest."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from slipway import image_names, names
from slipway.aws.documents import S3Documents, reading
from slipway.aws.s3 import bucket_and_key, uri
from slipway.errors import PermanentError
from slipway.formats.stored import known, versioned
from slipway.images.bill_of_materials import MEDIA_TYPE, Package, bill_of_materials, debian_packages, python_packages
from slipway.images.checked import CheckedSource

log = logging.getLogger(__name__)

_PACKAGES_MAX_BYTES = 512 * 1024


@dataclass(frozen=True)
class ImageRecord:
    """One image, as it is recorded.

    :param uri: of the repository, with the registry
    :param digest: of the image's manifest, with ``sha256:``
    :param tag: which its source has given it
    :param base_images: what its Dockerfile starts from
    :param source: the upload: bucket, key, VersionId, SHA-256 and who uploaded it
    :param sequence: orders the images of a model: when the source was uploaded, or built again; ISO 8601, UTC
    :param findings: of its scan, by severity
    :param packages: its Python packages and their versions; None where the build has left no list
    :param build_id: CodeBuild's; None where an image of the same bytes was there
    :param run: the Airflow run that has recorded it
    :param bill_of_materials: S3 URI of all its packages, as CycloneDX; None where the build has left no list
    """

    uri: str
    digest: str
    tag: str
    base_images: tuple[str, ...]
    source: dict[str, str]
    sequence: str
    pushed_at: str
    size_bytes: int
    findings: dict[str, int]
    packages: dict[str, str] | None
    build_id: str | None
    run: dict[str, str]
    bill_of_materials: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        return versioned(asdict(self) | {"base_images": list(self.base_images)})


def record_image(
    source: CheckedSource,
    built: Mapping[str, Any],
    findings: Mapping[str, int],
    run: Mapping[str, str],
    documents: S3Documents,
) -> dict[str, Any]:
    """Write the record of an image, and make it the newest unless a newer source has given one.

    A second run writes the same, except the run's name.

    :param source: what was built
    :param built: the result of ``build``
    :param findings: of the scan, by severity
    :param run: dag_id, run_id and url of the recording run
    :param documents: S3
    :returns: what the run's XCom and the asset's event say
    :raises slipway.errors.AwsError: when a call fails
    """
    revision, packages = source.revision, _packages(built["packages"], documents)
    record = ImageRecord(
        uri=built["uri"],
        digest=built["digest"],
        tag=built["tag"],
        base_images=source.base_images,
        source={
            "bucket": revision.bucket,
            "key": revision.key,
            "version_id": revision.version_id,
            "revision": revision.revision_id,
            "sha256": source.digest,
            "uploader": source.uploader,
        },
        sequence=revision.sequence or revision.last_modified,
        pushed_at=built["pushed_at"],
        size_bytes=built["size_bytes"],
        findings=dict(findings),
        packages=None if packages is None else {one.name: one.version for one in packages},
        build_id=built["build_id"],
        run=dict(run),
        bill_of_materials=None if packages is None else _keep_bill(source, built, packages, documents),
    )
    key = source.key_of(image_names.RECORD_FILE)
    # Where it exists, an earlier attempt of this task has written it.
    documents.write(source.bucket, key, record.to_json(), etag=None)
    newest = _make_newest(source, record, documents)
    return {
        "image": f"{record.uri}@{record.digest}",
        "tag": record.tag,
        "digest": record.digest,
        "base_images": list(record.base_images),
        "source_version": revision.version_id,
        "findings": record.findings,
        "packages": len(record.packages or ()),
        "bill_of_materials": record.bill_of_materials,
        "record": uri(source.bucket, key),
        "newest": newest,
    }


def _make_newest(source: CheckedSource, record: ImageRecord, documents: S3Documents) -> bool:
    key = names.newest_image_key(source.prefix)
    while True:
        document = documents.read(source.bucket, key)
        if document.content is not None:
            with reading(uri(source.bucket, key)):
                newest = known(ImageRecord, document.content)
            if newest.sequence > record.sequence:
                log.info("A newer source has given an image already, which stays the newest: %s", newest.digest)
                return False
            if (newest.digest, newest.sequence) == (record.digest, record.sequence):
                return True
        if documents.write(source.bucket, key, record.to_json(), etag=document.etag):
            return True


def _keep_bill(source: CheckedSource, built: Mapping[str, Any], python: list[Package], documents: S3Documents) -> str:
    """Write the image's bill of materials unless an earlier attempt has, and return its S3 URI."""
    bucket, key = bucket_and_key(built["packages"])
    place = f"{key.rpartition('/')[0]}/{image_names.DEBIAN_FILE}"
    try:
        listed = documents.s3.read_version(bucket, place, max_bytes=_PACKAGES_MAX_BYTES)
        debian = debian_packages(listed.decode(errors="replace"))
    except PermanentError as error:
        log.info("The bill of materials has no packages of Debian: %s", error)
        debian = []
    bill = bill_of_materials(built["uri"], built["digest"], [*python, *debian])
    data = f"{json.dumps(bill, indent=1)}\n".encode()
    documents.s3.put_if_absent(source.bucket, source.key_of(image_names.BILL_FILE), data, content_type=MEDIA_TYPE)
    return uri(source.bucket, source.key_of(image_names.BILL_FILE))


def _packages(place: str, documents: S3Documents) -> list[Package] | None:
    """Read the list of Python packages that the build has left; None where there is none."""
    bucket, key = bucket_and_key(place)
    try:
        return python_packages(json.loads(documents.s3.read_version(bucket, key, max_bytes=_PACKAGES_MAX_BYTES)))
    # Python's parser needs a level of its stack for each level of the document.
    except (PermanentError, ValueError, TypeError, KeyError, RecursionError) as error:
        log.warning("The image's packages are not recorded: %s", error)
        return None
