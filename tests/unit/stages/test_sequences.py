"""A release's place in the order is a moment up to now."""

from datetime import UTC, datetime, timedelta

import pytest

from slipway.errors import PermanentError
from slipway.stages import sequences


def from_now(**difference) -> str:
    return (datetime.now(UTC) + timedelta(**difference)).isoformat()


@pytest.mark.parametrize("sequence", ["2024-01-31T23:59:59+00:00", "2024-01-31T23:59:59.000002Z"])
def test_a_moment_of_the_past_is_one(sequence):
    assert sequences.check(sequence, "x") == sequence


def test_clocks_may_differ_by_as_much_as_aws_lets_them():
    assert sequences.fault(from_now(minutes=14)) is None
    assert sequences.fault(from_now(minutes=16)) == "is in the future"


@pytest.mark.parametrize(
    ("sequence", "why"),
    [
        ("9999-12-31T23:59:59+00:00", "is in the future"),
        ("9999-12-31T23:59:59-23:59", "is in the future"),
        ("2024-01-31T23:59:59", "has no time zone"),
        ("tomorrow", "is not an ISO 8601 time"),
        ("", "is not an ISO 8601 time"),
    ],
)
def test_anything_else_is_refused_with_what_to_do(sequence, why):
    with pytest.raises(PermanentError, match=why) as refusal:
        sequences.check(sequence, "iris-model s3__1")
    assert refusal.value.resource == "iris-model s3__1"
    assert "claim.json" in refusal.value.fix


def test_a_release_is_older_than_a_newer_one_only():
    first, second = "2024-01-31T00:00:00+00:00", "2024-01-31T01:00:00+01:00"
    assert not sequences.is_older(first, second)
    assert not sequences.is_older(first, None)
    assert sequences.is_older(first, "2024-01-31T00:00:00.000001Z")
    assert not sequences.is_older("2024-01-31T00:00:00.000001Z", first)
    for invalid in ("9999-12-31T23:59:59+00:00", "soon", "2025-05-01T00:00:00"):
        assert not sequences.is_older(first, invalid)
