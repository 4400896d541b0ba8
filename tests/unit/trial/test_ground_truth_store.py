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


def hits(truths, minutes: int = 1) -> Hits:
    """Those of one variant."""
    span, kinds = (BEGAN, BEGAN + 60 * minutes), {"model-b": Answers.UNKNOWN}
    return truths.hits("s3://b-1/monitoring/prd", "s3://b-1/truth/", "iris-production", span, kinds)["model-b"]


def lists(stub, first_hour, *keys, after: str | None = None, more: bool = False) -> None:
    """Answer a listing that begins with an hour, or after a key."""
    now = datetime.now(UTC)
    found = {"Contents": [{"Key": key, "Size": 1, "LastModified": now} for key in keys]} if keys else {}
    place = {"Bucket": "b-1", "Prefix": first_hour.removesuffix(HOUR), "StartAfter": after or first_hour}
    stub.add_response("list_objects_v2", found | {"IsTruncated": more}, place)


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


def test_what_was_removed_since_it_was_listed_is_passed_over(truths):
    stub, gone, kept = stubbed(truths.s3, "s3"), f"truth/{HOUR}x.jsonl", f"truth/{HOUR}y.jsonl"
    lists(stub, f"truth/{HOUR}", gone, kept)
    stub.add_client_error("get_object", "NoSuchKey", http_status_code=404)
    stub.add_client_error("head_object", "404", http_status_code=404)
    holds(stub, kept, truth("a", "1"))
    lists(stub, CAPTURED, f"{CAPTURED}k.jsonl")
    holds(stub, f"{CAPTURED}k.jsonl", capture("a", "1"))
    assert hits(truths) == Hits(1, 1)
    stub.assert_no_pending_responses()


def test_what_is_not_text_fails_once_by_its_key(truths):
    stub, key = stubbed(truths.s3, "s3"), f"truth/{HOUR}x.jsonl"
    lists(stub, f"truth/{HOUR}", key)
    stub.add_response("get_object", {"Body": io.BytesIO(b"\xff\xfe{"), "ContentLength": 3})
    with pytest.raises(PermanentError, match=rf"s3://b-1/{key}.*not UTF-8 text"):
        hits(truths)


def test_of_all_hours_those_of_the_trial_are_read_page_by_page(truths):
    stub, next_hour = stubbed(truths.s3, "s3"), "truth/2026/05/03/00/"
    first = [f"truth/{HOUR}x.jsonl", f"truth/{HOUR}y/z.jsonl"]
    lists(stub, f"truth/{HOUR}", *first, "truth/2026/05/03/00.jsonl", more=True)
    for number, key in enumerate(first):
        holds(stub, key, truth(str(number), "1"))
    after = [f"{next_hour}x.jsonl", "truth/2026/05/03/01/x.jsonl", "truth/README"]
    lists(stub, f"truth/{HOUR}", *after, after="truth/2026/05/03/00.jsonl", more=True)
    holds(stub, after[0], truth("2", "1"))
    lists(stub, CAPTURED, f"{CAPTURED}k.jsonl")
    holds(stub, f"{CAPTURED}k.jsonl", *(capture(str(number), "1") for number in range(3)))
    assert hits(truths, minutes=60) == Hits(3, 3)
    stub.assert_no_pending_responses()


def test_the_clock_of_another_worker_may_be_behind(truths):
    stub = stubbed(truths.s3, "s3")
    lists(stub, f"truth/{HOUR}", f"truth/{HOUR}x.jsonl")
    holds(stub, f"truth/{HOUR}x.jsonl", truth("a", "1"))
    lists(stub, CAPTURED)
    assert hits(truths, minutes=-11) == Hits()
    stub.assert_no_pending_responses()
