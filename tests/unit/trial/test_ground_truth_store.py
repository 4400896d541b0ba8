"""GroundTruth: the objects of the trial's hours, and no others."""

import gzip
import io
from datetime import UTC, datetime

import pytest

from slipway.errors import PermanentError
from slipway.load.answers import Answers
from slipway.trial.ground_truth import GroundTruth, Hits
from tests.unit.aws.stubs import stubbed
from tests.unit.trial.test_ground_truth import capture, truth

BEGAN = datetime(2026, 5, 2, 23, 10, tzinfo=UTC).timestamp()
HOUR = "2026/05/02/23/"
CAPTURED = f"monitoring/prd/iris-production/model-b/{HOUR}"


@pytest.fixture
def truths():
    return GroundTruth(aws_conn_id=None, region_name="us-west-2")


def hits(truths) -> Hits:
    return truths.hits(
        "s3://b-1/monitoring/prd", "s3://b-1/truth/", "iris-production", "model-b", (BEGAN, BEGAN + 60), Answers.UNKNOWN
    )


def lists(stub, prefix, *keys) -> None:
    now = datetime.now(UTC)
    found = {"Contents": [{"Key": key, "Size": 1, "LastModified": now} for key in keys]} if keys else {}
    stub.add_response("list_objects_v2", found, {"Bucket": "b-1", "Prefix": prefix})


def holds(stub, key, *lines) -> None:
    body = "\n".join(lines).encode()
    answer = {"Body": io.BytesIO(body), "ContentLength": len(body)}
    stub.add_response("get_object", answer, {"Bucket": "b-1", "Key": key})


def test_captures_of_the_variant_are_joined_with_the_truth(truths):
    stub = stubbed(truths.s3, "s3")
    lists(stub, f"truth/{HOUR}", f"truth/{HOUR}x.jsonl")
    holds(stub, f"truth/{HOUR}x.jsonl", truth("a", "1"), truth("b", "2"))
    lists(stub, CAPTURED, f"{CAPTURED}k.jsonl")
    holds(
        stub, f"{CAPTURED}k.jsonl", capture("a", "1"), capture("b", "0"), capture("a", "0", at="2026-05-02T23:09:59Z")
    )
    assert hits(truths) == Hits(2, 1)
    stub.assert_no_pending_responses()


def test_without_any_truth_no_capture_is_read(truths):
    stub = stubbed(truths.s3, "s3")
    lists(stub, f"truth/{HOUR}")
    assert hits(truths) == Hits()
    stub.assert_no_pending_responses()


def test_only_data_is_read_however_it_is_written(truths):
    stub, key = stubbed(truths.s3, "s3"), f"truth/{HOUR}x.jsonl"
    lists(stub, f"truth/{HOUR}", f"truth/{HOUR}.x.jsonl.crc", f"truth/{HOUR}_SUCCESS", key)
    compressed = gzip.compress(f"\ufeff{truth('a', '1')}\r\n\r\n{truth('b', '2')}".encode())
    answer = {"Body": io.BytesIO(compressed), "ContentLength": len(compressed)}
    stub.add_response("get_object", answer, {"Bucket": "b-1", "Key": key})
    lists(stub, CAPTURED, f"{CAPTURED}k.jsonl")
    holds(stub, f"{CAPTURED}k.jsonl", capture("a", "1"), capture("b", "2"))
    assert hits(truths) == Hits(2, 2)
    stub.assert_no_pending_responses()


def test_what_is_not_text_fails_once_by_its_key(truths):
    stub, key = stubbed(truths.s3, "s3"), f"truth/{HOUR}x.jsonl"
    lists(stub, f"truth/{HOUR}", key)
    stub.add_response("get_object", {"Body": io.BytesIO(b"\xff\xfe{"), "ContentLength": 3})
    with pytest.raises(PermanentError, match=rf"s3://b-1/{key}.*not UTF-8 text"):
        hits(truths)
