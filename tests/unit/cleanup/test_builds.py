"""What builds of images have left: what goes, what stays, and that a look costs the same after many builds."""

from datetime import UTC, datetime, timedelta

import pytest

from slipway import image_names, names
from slipway.aws.s3 import StoredObject
from slipway.cleanup.builds import BuildFolders
from slipway.cleanup.folders import ReleaseFolders
from slipway.cleanup.rules import PastBuild, left_lists, superseded_builds
from tests.unit.stage_runs import MemoryDocuments

NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)
RELEASE = NOON.isoformat()
FILES = ("build.json", "image.zip")


def revision(number: int) -> str:
    return f"{number:032x}"


def digest(number: int) -> str:
    return f"sha256:{number:064x}"


def tag(number: int) -> str:
    return image_names.tag(f"{number:032x}")


class Bucket:
    """The objects of a model's builds; it counts what is listed and read."""

    def __init__(self, claims: int = 0) -> None:
        self.keys: set[str] = set()
        self.documents = MemoryDocuments()
        self.calls: list[str] = []
        self.documents.read = self._counted(self.documents.read)
        for number in range(1000, 1000 + claims):
            self.keys.add(names.claim_key("m/images", revision(number)))

    def _counted(self, read):
        def counted(bucket, key):
            self.calls.append(f"read {key}")
            return read(bucket, key)

        return counted

    def build(self, number: int, *, hours_ago: int, recorded: bool = True, run_id: str = "ended") -> None:
        """A build that has left everything; its image is that of its number."""
        sequence = (NOON - timedelta(hours=hours_ago)).isoformat()
        claim = {"dag_id": "image_build-m", "run_id": run_id, "sequence": sequence, "claimed_at": sequence}
        self.write(names.claim_key("m/images", revision(number)), claim)
        self.keys |= {image_names.build_key("m", revision(number), file) for file in FILES}
        self.keys.add(f"m/images/{tag(number)}/packages.json")
        if recorded:
            self.record(image_names.build_key("m", revision(number), "image.json"), number)

    def record(self, key: str, number: int) -> None:
        self.write(key, {"format_version": 1, "digest": digest(number), "tag": tag(number), "uri": "u"})

    def write(self, key: str, content: dict) -> None:
        assert self.documents.write("b", key, content, etag=None)
        self.keys.add(key)

    def objects(self, bucket: str, prefix: str) -> list[StoredObject]:
        self.calls.append(f"list {prefix}")
        return [StoredObject(key, 1, NOON) for key in sorted(self.keys) if key.startswith(prefix)]

    def look(self, *used: int) -> dict[str, set[str]]:
        """What a collection would remove, by place; kept releases use the images of some numbers."""
        folders = ReleaseFolders("m", "b", self, self.documents, self)
        folders.read(revision(0), NOON)
        self.calls.clear()
        builds = BuildFolders("m", "b", self, self.documents, lambda dag_id, run_id: run_id == "going on")
        found = builds.superseded(folders.builds, RELEASE, lambda: set(map(digest, used)))
        return {place: {one.key.rpartition("/")[2] for one in objects} for place, objects in found}

    def listed_packages(self, group: str, since: datetime | None) -> list:
        return []


def place(number: int) -> str:
    return f"s3://b/releases/m/images/{revision(number)}/"


def test_a_build_whose_image_no_kept_release_uses_goes_and_the_newest_stays():
    bucket = Bucket()
    for number in (1, 2, 3):
        bucket.build(number, hours_ago=10 - number)
    bucket.record(names.newest_image_key("m"), 3)
    assert bucket.look(2) == {place(1): {*FILES, "image.json"}, "s3://b/m/images/": {"packages.json"}}
    # Once it is gone, nothing more goes.
    bucket.keys = {key for key in bucket.keys if revision(1) not in key and tag(1) not in key}
    assert bucket.look(2) == {}


def test_what_an_interrupted_removal_has_left_goes():
    bucket = Bucket()
    bucket.build(1, hours_ago=9)
    bucket.keys -= {image_names.build_key("m", revision(1), file) for file in ("image.json", "build.json")}
    assert bucket.look() == {place(1): {"image.zip"}, "s3://b/m/images/": {"packages.json"}}


def test_a_build_that_failed_goes_when_a_later_release_is_good_and_one_that_goes_on_stays():
    bucket = Bucket()
    bucket.build(1, hours_ago=9, recorded=False)
    assert place(1) in bucket.look()
    bucket.build(2, hours_ago=8, recorded=False, run_id="going on")
    bucket.build(3, hours_ago=-1, recorded=False)
    # Nobody knows yet which list is theirs.
    assert bucket.look() == {place(1): set(FILES)}


def test_two_sources_of_the_same_bytes_share_their_list():
    bucket = Bucket()
    bucket.build(1, hours_ago=9)
    bucket.build(2, hours_ago=8, recorded=False)
    bucket.write(
        image_names.build_key("m", revision(2), "image.json"), {"format_version": 1, "digest": digest(2), "tag": tag(1)}
    )
    bucket.keys.discard(f"m/images/{tag(2)}/packages.json")
    assert bucket.look(2) == {place(1): {*FILES, "image.json"}}


def test_a_build_whose_claim_cannot_be_read_stays_with_all_lists():
    bucket = Bucket()
    bucket.build(1, hours_ago=9)
    bucket.keys.add(image_names.build_key("m", revision(2), "image.zip"))
    bucket.write(names.claim_key("m/images", revision(2)), {"run_id": 7})
    assert bucket.look() == {place(1): {*FILES, "image.json"}}


@pytest.mark.parametrize("claims", [10, 5000])
def test_a_look_costs_the_same_after_many_builds(claims):
    bucket = Bucket(claims)
    for number in (1, 2):
        bucket.build(number, hours_ago=9)
    bucket.look(1)
    # A claim and a record for each that has left something, the newest record, and one list of lists.
    assert [call.partition(" ")[0] for call in bucket.calls] == ["read"] * 5 + ["list"]


def test_without_builds_nothing_is_asked():
    bucket = Bucket(claims=500)
    assert bucket.look() == {}
    assert bucket.calls == []


def test_the_rules_keep_what_is_not_older_than_the_release():
    later = PastBuild("a", NOON.isoformat(), goes_on=False)
    assert superseded_builds([later], RELEASE, ()) == []
    assert left_lists({"m/images/t/packages.json": "t"}, [later]) == []
    assert left_lists({"m/images/t/packages.json": "t"}, []) == ["m/images/t/packages.json"]
