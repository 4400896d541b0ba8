"""check_source: the pinned bytes are checked, and their copy is what is built."""

import hashlib

import pytest

from slipway.errors import ImageRefused, NameConflict, PermanentError
from slipway.images.check import check_source
from slipway.images.checked import CheckedSource
from tests.unit.image_samples import BASE, KEY, PREFIX, forest_model, image_revision, source_zip
from tests.unit.request_samples import AWS, BUCKET, DictStore

DATA = source_zip()
REVISION = image_revision(DATA)
COPY = f"releases/{PREFIX}/images/{REVISION.revision_id}/image.zip"


class Store(DictStore):
    """Also describes objects, whose newest versions are called ``copy``."""

    def head(self, bucket, key, version_id=None):
        self.calls.append("head")
        return {"VersionId": "copy"} if (bucket, key, version_id) in self.objects else None


def store(data: bytes = DATA) -> Store:
    return Store({(BUCKET, KEY, "v1"): data}, {(BUCKET, KEY, "v1"): "ada"})


def check(s3: Store, **bounds: object) -> CheckedSource:
    model = forest_model(**bounds)
    return check_source(model, model.image.build, REVISION, s3=s3, aws=AWS)


def test_the_copy_of_what_was_checked_is_what_is_built():
    s3 = store()
    found = check(s3)
    assert s3.objects[BUCKET, COPY, None] == DATA
    assert (found.bucket, found.key, found.version_id) == (BUCKET, COPY, "copy")
    assert found.digest == hashlib.sha256(DATA).hexdigest()
    assert found.tag == f"src-{found.digest[:32]}"
    assert (found.base_images, found.files, found.uploader) == ((BASE,), 2, "ada")
    assert CheckedSource.from_xcom(found.to_xcom()) == found


def test_a_second_attempt_finds_the_copy_even_if_the_upload_was_deleted():
    s3 = store()
    first = check(s3)
    del s3.objects[BUCKET, KEY, "v1"]
    assert check(s3) == CheckedSource.from_xcom(first.to_xcom() | {"uploader": ""})


def test_a_deleted_upload_without_a_copy_fails():
    with pytest.raises(PermanentError, match="does not exist"):
        check(Store())


def test_a_copy_of_other_bytes_is_a_conflict_that_names_both_digests():
    s3 = store()
    s3.objects[BUCKET, COPY, None] = source_zip(files={"more": "x"})
    with pytest.raises(NameConflict, match=hashlib.sha256(DATA).hexdigest()):
        check(s3)


def test_a_refused_source_leaves_no_copy():
    s3 = store(source_zip(dockerfile="FROM ubuntu:22.04\n"))
    with pytest.raises(ImageRefused, match=r"found ubuntu:22\.04"):
        check(s3)
    assert s3.calls == ["read_version"]


def test_a_source_that_is_too_large_is_not_even_read():
    s3, model = store(), forest_model(max_source_mib=1)
    with pytest.raises(ImageRefused, match="expected at most 1048576 bytes, found 2000000"):
        check_source(model, model.image.build, image_revision(bytes(2_000_000)), s3=s3, aws=AWS)
    assert s3.calls == []


def test_the_bounds_are_the_model_files():
    s3 = store(source_zip(dockerfile="FROM ubuntu:22.04\nARG TOKEN\n"))
    assert check(s3, base_images=["ubuntu:*"], arguments={"TOKEN": "x"}).base_images == ("ubuntu:22.04",)
