"""The record of an image: written once, and the newest source's is the newest image."""

import json
from dataclasses import replace

import pytest

from slipway import names
from slipway.images.checked import CheckedSource
from slipway.images.record import record_image
from slipway.request.archive import MAX_BYTES
from slipway.request.newest_image import newest_image
from tests.unit.image_samples import PREFIX, image_revision
from tests.unit.images.aws import DIGEST, Documents
from tests.unit.request_samples import BUCKET

URI = f"123456789012.dkr.ecr.us-west-2.amazonaws.com/mlops-{PREFIX}"
SOURCE = CheckedSource(
    prefix=PREFIX,
    revision=image_revision(b"x"),
    digest="ab" * 32,
    bucket=BUCKET,
    key="key",
    version_id="copy",
    base_images=("python:3.11-slim",),
    files=2,
    uploader="ada",
)
BUILT = {
    "repository": f"mlops-{PREFIX}",
    "uri": URI,
    "digest": DIGEST,
    "tag": SOURCE.tag,
    "pushed_at": "2026-05-01T12:00:00+00:00",
    "size_bytes": 1000,
    "build_id": "p:1",
    "packages": f"s3://{BUCKET}/lists/packages.json",
}
RUN = {"dag_id": "image_build-iris-forest", "run_id": "s3__1", "url": "http://airflow/1"}
NEWEST = names.newest_image_key(PREFIX)


@pytest.fixture
def documents():
    found = Documents()
    found.objects["lists/packages.json"] = (
        b'[{"name": "scikit-learn", "version": "1.7"}, {"name": "pip", "version": "25"}]'
    )
    return found


def record(documents, source=SOURCE, **built) -> dict:
    found = record_image(source, BUILT | built, {"LOW": 3}, RUN, documents)
    assert json.loads(json.dumps(found)) == found
    return found


def test_says_what_the_image_is_and_where_it_comes_from(documents):
    found = record(documents)
    kept = documents.kept[SOURCE.key_of("image.json")]
    assert found["image"] == f"{URI}@{DIGEST}"
    assert (found["packages"], found["newest"], found["findings"]) == (2, True, {"LOW": 3})
    assert kept["packages"] == {"scikit-learn": "1.7", "pip": "25"}
    assert kept["base_images"] == ["python:3.11-slim"]
    assert kept["source"] == {
        "bucket": BUCKET,
        "key": SOURCE.revision.key,
        "version_id": "v1",
        "revision": SOURCE.revision.revision_id,
        "sha256": "ab" * 32,
        "uploader": "ada",
    }
    assert documents.kept[NEWEST] == kept


def test_keeps_a_bill_of_materials_beside_it(documents):
    documents.objects["lists/packages.debian"] = b"debian bookworm adduser 3.134 all\n\xff\n"
    found = record(documents)
    key = SOURCE.key_of("bill.cdx.json")
    assert found["bill_of_materials"] == documents.kept[NEWEST]["bill_of_materials"] == f"s3://{BUCKET}/{key}"
    bill = json.loads(documents.objects[key])
    assert [one["name"] for one in bill["components"]] == ["adduser", "pip", "scikit-learn"]
    assert bill["metadata"]["component"]["version"] == DIGEST


def test_a_second_attempt_writes_nothing_and_says_the_same(documents):
    first, writes = record(documents), documents.writes
    assert record(documents) == first
    assert documents.writes == writes


def test_an_older_source_that_ends_later_is_recorded_and_is_not_the_newest(documents):
    newer = replace(SOURCE, revision=replace(SOURCE.revision, version_id="v2", sequence="2026-05-01T13:00:00+00:00"))
    record(documents, newer, digest="sha256:" + "2" * 64)
    assert record(documents)["newest"] is False
    assert documents.kept[NEWEST]["digest"] == "sha256:" + "2" * 64
    assert SOURCE.key_of("image.json") in documents.kept


def test_a_newer_source_replaces_the_newest(documents):
    record(documents)
    newer = replace(SOURCE, revision=replace(SOURCE.revision, version_id="v2", sequence="2026-05-01T13:00:00+00:00"))
    assert record(documents, newer, digest="sha256:" + "2" * 64)["newest"]
    assert documents.kept[NEWEST]["digest"] == "sha256:" + "2" * 64


def listed(*packages: tuple[object, object]) -> bytes:
    return json.dumps([{"name": name, "version": version} for name, version in packages]).encode()


# The image writes the list itself. Kept, some of these could be read neither by a release nor by the next build.
@pytest.mark.parametrize(
    "left",
    [
        *(None, b"null", b"no json", b'{"name": 1}', b"[1]", b"[" * 100_000),
        *(listed(("\ud800", "1")), listed(("a", "\udfff")), listed(("a", None)), listed((["a"], "1"))),
        *(listed(("<b>", "1")), listed(("a", "\x1b[31m")), listed(("a" * 101, "1")), listed(("a", "1" * 101))),
        listed(*((f"a{number}", "1") for number in range(2001))),
    ],
)
def test_a_build_without_a_list_of_packages_is_recorded_without_one(documents, left):
    documents.objects = {} if left is None else {"lists/packages.json": left}
    assert record(documents)["packages"] == 0
    assert documents.kept[NEWEST]["packages"] is None
    assert documents.kept[NEWEST]["bill_of_materials"] is None


def test_the_longest_list_is_read_by_a_release_and_by_the_next_build(documents):
    documents.objects["lists/packages.json"] = listed(*((f"{number:0100}", "1" * 100) for number in range(2000)))
    assert record(documents)["packages"] == 2000
    assert len(json.dumps(documents.kept[NEWEST])) < MAX_BYTES
    assert record(documents)["newest"]


def test_a_release_reads_what_is_recorded(documents):
    record(documents)
    documents.objects[NEWEST] = json.dumps(documents.kept[NEWEST]).encode()
    found = newest_image(PREFIX, BUCKET, documents)
    assert found is not None
    assert (found.uri, found.tag) == (f"{URI}@{DIGEST}", SOURCE.tag)
    assert found.source == f"s3://{BUCKET}/{SOURCE.revision.key} version v1"
