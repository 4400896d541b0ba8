"""A bucket's current objects: a call sees what it has changed before that is in the index, and a start reads none."""

import json

import pytest

from local_aws.framework.disk import Disk
from local_aws.host import current_objects
from local_aws.host.current_objects import Buckets
from local_aws.host.s3_index import S3Index
from tests.local_aws.gateway_script import run_with_gateway

HOLDER = ("123456789012", "kept")
# Two buckets of each of two accounts with objects, and an S3 that has just been started with them.
OBJECTS = """
from local_aws.host.s3_index import S3Index

index = built.objects.index
index.begin()
for number in range(int(sys.argv[2])):
    for account in ("123456789012", "210987654321"):
        for bucket in ("first", "second"):
            index.put_object((account, bucket), f"capture/{number:05}", {"etag": "", "size": 1})
index.commit([], [])
"""
START = """
from ministack.services import s3

index = built.objects.index
print(json.dumps([index.work, sorted(s3._buckets._data), len(s3._buckets._data["210987654321", "second"]["objects"])]))
"""


@pytest.fixture
def index(tmp_path):
    made = S3Index(tmp_path / "s3.sqlite", Disk(tmp_path))
    yield made
    made.close()


@pytest.fixture
def objects(index):
    """The objects of one bucket, with `a` in the index."""
    index.put_object(HOLDER, "a", {"etag": "1", "body": None})
    buckets = Buckets(index)
    buckets.setdefault(HOLDER, {"created": "now"})
    return buckets[HOLDER]["objects"]


@pytest.mark.local_aws
def test_a_start_reads_no_object_however_many_there_are(tmp_path):
    told = {}
    for count in (3, 300):
        folder = tmp_path / str(count)
        folder.mkdir()
        run_with_gateway(OBJECTS, folder, str(count))
        work, holders, length = json.loads(run_with_gateway(START, folder))
        assert holders == [[account, b] for account in ("123456789012", "210987654321") for b in ("first", "second")]
        assert length == count
        told[count] = work
    assert told[3] == told[300]


def test_what_is_in_the_index_is_found(objects):
    assert (objects["a"]["etag"], list(objects), len(objects), bool(objects)) == ("1", ["a"], 1, True)
    assert "b" not in objects and objects.get("b") is None


def test_a_new_object_is_seen_before_the_index_has_it(objects):
    record = {"etag": "2"}
    objects["b"] = record
    assert objects["b"] is record


def test_an_object_that_a_call_takes_away_is_gone_before_the_index_forgets_it(objects):
    assert objects.pop("a")["etag"] == "1"
    assert "a" not in objects and objects.pop("a", None) is None
    with pytest.raises(KeyError):
        del objects["a"]


def test_an_object_stays_in_a_call_that_has_read_it_until_it_takes_it_away(objects, index):
    """S3 tells whether a deleted object was there after the index has forgotten it."""
    assert objects.get("a")
    index.remove_object(HOLDER, "a")
    assert "a" in objects


def test_what_is_no_longer_held_is_read_again(objects, index, monkeypatch):
    monkeypatch.setattr(current_objects, "_HELD_KEYS", 2)
    objects.pop("a")
    index.remove_object(HOLDER, "a")
    for number in range(5):
        objects[str(number)] = {"etag": str(number)}
        index.put_object(HOLDER, str(number), objects[str(number)])
    assert "a" not in objects
    assert [objects[str(number)]["etag"] for number in range(5)] == list("01234")


def test_a_restore_from_an_archive_is_remembered_whatever_else_is_read(objects, monkeypatch):
    """ministack writes it into the record and nowhere else."""
    monkeypatch.setattr(current_objects, "_HELD_KEYS", 2)
    objects["a"]["restore"] = {"expires_at": 1.0}
    for number in range(5):
        objects[str(number)] = {"etag": str(number)}
    assert objects["a"]["restore"] == {"expires_at": 1.0}


def test_a_bucket_that_is_put_back_knows_what_it_knew(index):
    buckets = Buckets(index)
    buckets[HOLDER] = {"objects": {}}
    former = buckets[HOLDER]
    former["objects"]["a"] = {"etag": "1"}
    buckets[HOLDER] = former
    assert buckets[HOLDER]["objects"]["a"] == {"etag": "1"}


def test_each_bucket_has_its_own_objects_and_a_new_one_none(index):
    buckets = Buckets(index)
    index.put_object(HOLDER, "a", {"etag": "1"})
    buckets[HOLDER] = {"created": "now", "objects": {}}
    buckets["123456789012", "other"] = {"objects": {}}
    buckets["210987654321", "kept"] = {"objects": {}}
    assert [bool(bucket["objects"]) for bucket in buckets.values()] == [True, False, False]
    assert buckets.setdefault(HOLDER, {"created": "later"})["created"] == "now"
