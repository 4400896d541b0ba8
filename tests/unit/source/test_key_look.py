"""A look at the versions of one key: which need attention, and how far it reads."""

import pytest

from slipway.source.key_look import look_at
from slipway.source.uploads import KeyState
from tests.unit.source.bucket import Bucket

KEY = "training_jobs/iris-model/trainingjob.zip"


def look(bucket: Bucket, before: KeyState | None = None, **how: bool):
    found = look_at(bucket, "uploads", KEY, before, **how)
    return [version.version_id for version in found.open], found.state


@pytest.fixture
def bucket():
    made = Bucket()
    for second, version_id in enumerate(["v1", "v2", "v3", "v4", "v5"]):
        made.put(KEY, version_id, second=second)
    made.put(f"{KEY}.bak", "other")
    return made


def seen(version_id: str, second: int, **more) -> KeyState:
    return KeyState(version_id, f"2026-05-01T12:00:{second:02}+00:00", "x", True, **more)


def test_versions_after_the_newest_known_one_are_open_the_oldest_first(bucket):
    opened, state = look(bucket, seen("v3", 2))
    assert opened == ["v4", "v5"]
    assert state == KeyState("v5", "2026-05-01T12:00:04+00:00", '"5"', True)
    assert look(bucket, state) == ([], state)


def test_without_anything_known_all_versions_are_open(bucket):
    assert look(bucket)[0] == ["v1", "v2", "v3", "v4", "v5"]
    assert look(bucket, KeyState())[0] == ["v1", "v2", "v3", "v4", "v5"]
    assert look(bucket, newest_only=True)[0] == ["v5"]


def test_newest_only_is_for_what_nothing_is_known_of(bucket):
    assert look(bucket, seen("v3", 2), newest_only=True)[0] == ["v4", "v5"]


def test_a_version_above_whose_time_is_older_is_open():
    """An upload in parts has the time at which it began."""
    bucket = Bucket()
    bucket.put(KEY, "v1", second=9)
    bucket.put(KEY, "parts", second=3)
    assert look(bucket, seen("v1", 9)) == (["parts"], KeyState("parts", "2026-05-01T12:00:03+00:00", '"2"', True))


def test_a_waiting_version_is_found_however_old_it_is(bucket):
    assert look(bucket, seen("v5", 4, waiting=("v2", "gone")))[0] == ["v2"]


def test_where_the_newest_known_was_deleted_the_time_decides(bucket):
    bucket.expire(KEY, "v3")
    assert look(bucket, seen("v3", 2))[0] == ["v4", "v5"]
    bucket.expire(KEY, "v5")
    bucket.expire(KEY, "v4")
    assert look(bucket, seen("v5", 4))[0] == []


def test_what_an_earlier_slipway_stored_may_have_gaps(bucket):
    assert look(bucket, KeyState(done=("v1", "v3", "v5"), waiting=("v2",)))[0] == ["v2", "v4"]


def test_a_delete_marker_hides_no_upload(bucket):
    bucket.delete(KEY)
    opened, state = look(bucket, seen("v4", 3))
    assert (opened, state.newest, state.etag) == (["v5"], "v5", "")


def test_nothing_is_stored_of_a_key_without_versions(bucket):
    for version_id in ("v1", "v2", "v3", "v4", "v5"):
        bucket.expire(KEY, version_id)
    assert look(bucket, seen("v5", 4)) == ([], None)


@pytest.mark.parametrize(("clock_seconds", "settled"), [(0, False), (1, False), (2, True)])
def test_a_version_is_settled_when_a_later_one_must_have_another_time(clock_seconds, settled):
    bucket = Bucket(clock_seconds=clock_seconds)
    bucket.put(KEY)
    assert look(bucket)[1].settled is settled
