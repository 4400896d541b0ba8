"""How the snapshot is stored: in parts that stay below Airflow's limit, and readable by other versions."""

import json

import pytest

from slipway.errors import UnreadableDocument
from slipway.live.snapshot import Looked, Snapshot, part_keys
from tests.unit.board.test_live import endpoint, variant

MAX_BYTES = 65_535
LONGEST = "m" * 63


def full(number: int):
    """An endpoint with the longest names, a trial and all of its alarms."""
    name = f"{LONGEST[:50]}{number:013}"
    place = f"s3://{LONGEST}/releases/{LONGEST}/{'0' * 32}/model.tar.gz"
    package = f"arn:aws:sagemaker:us-west-2:123456789012:model-package/mlops-{LONGEST}/999"
    alarms = {f"model-{one}-{kind}": "INSUFFICIENT_DATA" for one in "ab" for kind in ("4xx", "5xx", "model", "latency")}
    variants = tuple(variant(f"model-{one}", artefact=place, package_arn=package) for one in "ab")
    return endpoint("m", name=name, alarms=alarms, variants=variants, failure="why " * 10)


@pytest.mark.parametrize("count", [0, 1, 40, 41, 2000])
def test_what_is_stored_reads_back_in_parts_below_the_limit(count):
    snapshot = Snapshot.of(full(number) for number in range(count))
    parts = json.loads(json.dumps(snapshot.parts()))
    assert list(parts) == part_keys(len(parts))
    assert all(len(json.dumps(part)) < MAX_BYTES for part in parts.values())
    assert Snapshot.from_parts(parts.values()) == snapshot
    # What is read back and stored again is the same, so nothing is written.
    assert Snapshot.from_parts(parts.values()).parts() == parts


def test_a_newer_version_may_have_added_members():
    (part,) = Snapshot.of([full(1)]).parts().values()
    part["endpoints"][0] |= {"since": "today"}
    part |= {"format_version": 2, "colour": "blue"}
    assert Snapshot.from_parts([part, None]) == Snapshot.of([full(1)])
    assert Looked.from_json({"at": "t", "parts": 1, "by": "x"}) == Looked("t", 1)


def test_before_the_first_look():
    assert Looked.from_json(None) == Looked()


@pytest.mark.parametrize("part", [[], {"endpoints": [{"name": "x"}]}, {"endpoints": 3}])
def test_what_is_no_snapshot_is_refused(part):
    with pytest.raises(UnreadableDocument):
        Snapshot.from_parts([part])
