"""Which releases have left something: all are listed once a day where there are many, and in between what may go."""

from datetime import UTC, datetime, timedelta

import pytest

from slipway.aws.s3 import StoredObject
from slipway.cleanup.folders import ReleaseFolders
from slipway.registry.hook import ListedPackage
from tests.unit.stage_runs import MemoryDocuments

NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)


def revision(number: int) -> str:
    return f"{number:032x}"


class Bucket:
    """The objects of a model's releases, and its packages; it notes what is listed."""

    def __init__(self, claims: int, whole: int) -> None:
        self.keys = [f"releases/m/{revision(number)}/claim.json" for number in range(claims)]
        for number in range(claims - whole, claims):
            self.add(number)
        self.packages: list[ListedPackage] = []
        self.listed: list[str] = []
        self.since: list[datetime | None] = []
        self.now = NOON
        self.documents = MemoryDocuments()

    def add(self, number: int) -> None:
        self.keys.append(f"releases/m/{revision(number)}/model.tar.gz")

    def collect(self, *gone: str) -> None:
        """Leave nothing of some releases but their claims."""
        self.keys = [key for key in self.keys if not any(one in key for one in gone) or "claim.json" in key]

    def objects(self, bucket: str, prefix: str) -> list[StoredObject]:
        self.listed.append(prefix)
        return [StoredObject(key, 1, NOON) for key in self.keys if key.startswith(prefix)]

    def listed_packages(self, group: str, since: datetime | None) -> list[ListedPackage]:
        self.since.append(since)
        return self.packages

    def read(self, own: int, gone: list[str] | None = None) -> list[str]:
        """The releases that the next collection finds, which asks for the objects of those that may go."""
        self.listed.clear()
        folders = ReleaseFolders("m", "b", self, self.documents, self)
        found = folders.read(revision(own), self.now)
        objects = {one: found[one].objects for one in gone or ()}
        assert all("claim.json" not in one.key for folder in objects.values() for one in folder)
        folders.remember(one for one in found if objects.get(one, True))
        self.now += timedelta(hours=1)
        return sorted(found)


def registered(many: int) -> tuple[Bucket, list[str], list[str]]:
    """A bucket whose last releases have packages: those that a collection is to remove, and two that stay."""
    bucket = Bucket(claims=200, whole=many + 2)
    gone, stay = [revision(number) for number in range(198 - many, 198)], [revision(198), revision(199)]
    described = [f"Trained by j from s3://b/releases/m/{one}/trainingjob.zip" for one in (*gone, *stay)]
    bucket.packages = [ListedPackage("arn", one) for one in described]
    return bucket, gone, stay


def test_few_are_listed_each_time():
    bucket = Bucket(claims=10, whole=3)
    for _ in range(2):
        assert bucket.read(9) == [revision(number) for number in (7, 8, 9)]
        assert bucket.listed == ["releases/m/"]


@pytest.mark.parametrize("claims", [200, 5000])
def test_of_many_only_those_that_may_go_are_listed_again(claims):
    bucket = Bucket(claims, whole=3)
    last = [revision(number) for number in range(claims - 3, claims)]
    assert bucket.read(claims - 1) == last
    assert bucket.listed == ["releases/m/"]
    bucket.add(claims)
    bucket.add(claims + 1)
    bucket.add(claims + 2)
    bucket.packages = [ListedPackage("arn", f"Trained by j from s3://b/releases/m/{revision(claims)}/trainingjob.zip")]
    # It knows its own, and one by its package; the third has failed before it had one.
    assert bucket.read(claims + 1, gone=last[:1]) == [*last, revision(claims), revision(claims + 1)]
    assert bucket.listed == [f"releases/m/{last[0]}/"]
    bucket.packages = []
    bucket.keys = [key for key in bucket.keys if last[0] not in key]
    # Whatever may go is listed, and forgotten once nothing is left.
    assert bucket.read(claims + 1, gone=last[:1]) == [*last, revision(claims), revision(claims + 1)]
    assert bucket.listed == [f"releases/m/{last[0]}/"]
    assert bucket.read(claims + 1) == [*last[1:], revision(claims), revision(claims + 1)]
    assert bucket.listed == []
    bucket.now += timedelta(days=1)
    assert revision(claims + 2) in bucket.read(claims + 1)
    assert bucket.listed == ["releases/m/"]


@pytest.mark.parametrize("many", [1, 40])
def test_collected_releases_are_not_found_again_by_their_packages(many):
    bucket, gone, stay = registered(many)
    assert bucket.read(199) == [*gone, *stay]
    bucket.collect(*gone)
    # The next collection sees that nothing is left. Those after it do not look again, however many there are.
    assert bucket.read(199, gone=gone) == [*gone, *stay]
    for _ in range(2):
        assert (bucket.read(199), bucket.listed) == (stay, [])
    # Somebody has one done again: it knows itself, and from then on the others know it.
    bucket.add(197)
    for own in (197, 199):
        assert bucket.read(own) == [revision(197), *stay]


@pytest.mark.parametrize("many", [1, 40])
def test_collected_releases_are_not_found_again_on_the_next_day(many):
    bucket, gone, stay = registered(many)
    bucket.read(199)
    bucket.collect(*gone)
    bucket.read(199, gone=gone)
    bucket.now += timedelta(days=1)
    assert (bucket.read(199), bucket.listed) == (stay, ["releases/m/"])
    for _ in range(2):
        assert (bucket.read(199), bucket.listed) == (stay, [])
    bucket.add(197)
    for own in (197, 199):
        assert bucket.read(own) == [revision(197), *stay]


def test_a_removal_that_broke_off_is_gone_on_with_on_the_next_day():
    bucket = Bucket(claims=200, whole=4)
    gone, half = revision(196), revision(197)
    bucket.packages = [ListedPackage("arn", f"Trained by j from s3://b/releases/m/{one}/zip") for one in (gone, half)]
    bucket.read(199)
    bucket.collect(gone)
    bucket.now += timedelta(days=1)
    for _ in range(2):
        assert bucket.read(199, gone=[half]) == [half, revision(198), revision(199)]
    bucket.collect(half)
    assert bucket.read(199, gone=[half]) == [half, revision(198), revision(199)]
    assert bucket.read(199) == [revision(198), revision(199)]


def test_the_list_of_packages_says_on_which_nobody_has_decided():
    bucket = Bucket(claims=200, whole=2)
    listed = {revision(number): number % 2 == 0 for number in range(196, 200)}
    bucket.packages = [
        ListedPackage("arn", f"Trained by j from s3://b/releases/m/{one}/trainingjob.zip", pending)
        for one, pending in listed.items()
    ]
    folders = ReleaseFolders("m", "b", bucket, bucket.documents, bucket)
    assert folders.pending() == set()
    folders.read(revision(199), NOON)
    assert folders.pending() == {revision(196), revision(198)}
    assert len(bucket.since) == 1


def test_what_an_earlier_version_has_kept_is_found_out_again():
    bucket = Bucket(claims=200, whole=3)
    stored = {"format_version": 1, "listed": NOON.isoformat(), "revisions": [revision(1)]}
    bucket.documents.write("b", "releases/m/kept.json", stored, etag=None)
    assert bucket.read(199) == [revision(number) for number in (197, 198, 199)]
    assert bucket.listed == ["releases/m/"]


def test_one_list_of_packages_is_enough_for_all_that_ask():
    bucket = Bucket(claims=2000, whole=3)
    bucket.read(1999)
    folders = ReleaseFolders("m", "b", bucket, bucket.documents, bucket)
    folders.read(revision(1999), bucket.now)
    assert folders.oldest() == NOON
    # The oldest object is from noon, and clocks may differ by an hour. Each collection lists them once.
    assert bucket.since == [NOON - timedelta(hours=1)] * 2
    folders.packages(NOON)
    assert len(bucket.since) == 2
    folders.packages(NOON - timedelta(hours=2))
    folders.packages(None)
    folders.packages(NOON)
    assert bucket.since[2:] == [NOON - timedelta(hours=2), None]
