"""The history of an endpoint: bounded, in fine points for a day and coarse ones for a week."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from slipway.errors import UnreadableDocument
from slipway.live.history import COARSE, FINE, History, Point, Recorded, VariantHistory

NOON = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)
MAX_BYTES = 65_535


def every(length: timedelta, since: datetime, until: datetime) -> list[Point]:
    count = (until - since) // length
    return [Point(since + number * length, 123_456, 1_234, 1_234.5) for number in range(count)]


def test_a_week_of_four_variants_stays_below_the_limit():
    history = History()
    for day in range(9):
        until = NOON + timedelta(days=day)
        points = every(FINE, until - timedelta(days=1), until)
        history = history.with_points({f"a-long-name-{number}": points for number in range(6)}, until)
    stored = json.loads(json.dumps(history.to_json()))
    assert len(json.dumps(stored)) < MAX_BYTES
    assert History.from_json(stored) == history
    assert len(history.variants) == 4
    one = history.variants["a-long-name-5"]
    assert (len(one.fine), len(one.coarse)) == (288, 144)


def test_points_that_are_old_become_coarse_without_a_loss():
    begun = NOON - timedelta(days=2)
    history = VariantHistory().with_points(every(FINE, begun, NOON), NOON)
    hours = history.points(COARSE)
    assert sum(one.requests for one in hours) == 2 * 288 * 123_456
    assert [one.at for one in hours] == [one.at for one in every(COARSE, begun, NOON)]
    assert history.points(FINE)[0].at == NOON - timedelta(days=1)


def test_a_point_takes_the_place_of_one_of_the_same_time():
    history = VariantHistory().with_points([Point(NOON, 1)], NOON).with_points([Point(NOON, 2)], NOON)
    assert history.fine == (Point(NOON, 2),)


def test_variants_without_requests_are_forgotten_after_a_week():
    history = History().with_points({"model-b": [Point(NOON, 1)]}, NOON)
    later = NOON + timedelta(days=8, hours=2)
    history = history.with_points({"model-a": [Point(later, 1)]}, later).with_points({}, later + timedelta(days=1))
    assert set(history.variants) == {"model-a"}


@pytest.mark.parametrize(
    "value",
    [
        [],
        {"variants": []},
        {"variants": {"a": {"fine": {"at": ["x"]}}}},
        {"variants": {"a": {"fine": {"at": [1, 2], "requests": [1]}}}},
        {"variants": {"a": {"fine": {"at": [2**62], "requests": [1], "errors": [0], "latency_p99_ms": [None]}}}},
    ],
)
def test_what_is_no_history_is_refused(value):
    with pytest.raises(UnreadableDocument):
        History.from_json(value)


def test_spans_that_meet_are_one_and_there_are_not_many():
    recorded = Recorded().with_span(NOON, NOON + FINE).with_span(NOON + FINE, NOON + 2 * FINE)
    assert len(recorded.spans) == 1
    assert Recorded.from_json(json.loads(json.dumps(recorded.to_json()))) == recorded
    for number in range(100):
        begin = NOON + timedelta(hours=number)
        recorded = recorded.with_span(begin, begin + FINE)
    assert len(recorded.spans) == 50
    assert len(recorded.with_span(NOON + timedelta(days=30), NOON + timedelta(days=31)).spans) == 1
