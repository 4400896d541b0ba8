"""Phases on one time axis, in few points that lose no count."""

from functools import cache

import pytest

from slipway.load.phases import LoadStage
from slipway.load_report.timeline import epoch, timeline
from tests.unit.load_report.samples import START, load, phase


@cache
def measured():
    return load(phase(LoadStage(10, 1200), 0, 40), phase(LoadStage(100, 3000), 45, 75))


def test_phases_stand_where_they_began():
    run = timeline(measured())
    assert [(span.start - START.timestamp(), span.end - START.timestamp()) for span in run.phases] == [
        (0, 40),
        (45, 120),
    ]
    assert run.points[1][0].at == START.timestamp() + 45
    assert (run.start, run.end) == (START.timestamp(), START.timestamp() + 120)
    assert run.variants == ["model-a", "model-b"]


@pytest.mark.parametrize("most", [10, 50, 1000])
def test_fewer_points_lose_no_count(most):
    run = timeline(measured(), max_points=most)
    seconds = [second for one in measured()["phases"] for second in one["series"]]
    assert len(run.all_points) <= most + len(run.phases)
    for counted in ("answered", "seconds"):
        expected = {"answered": sum(second["answered"] for second in seconds), "seconds": len(seconds)}[counted]
        assert sum(getattr(point, counted) for point in run.all_points) == expected
    assert sum(point.rights["model-b"] for point in run.all_points) == sum(
        second["right_by_variant"].get("model-b", 0) for second in seconds
    )
    # A peak is not averaged away.
    assert max(point.p99_ms for point in run.all_points) == max(second["p99_ms"] for second in seconds)


def test_minutes_are_those_of_the_clock():
    # It began ten seconds past the minute, and sent thirty requests each second.
    assert {at - START.timestamp(): count for at, count in timeline(measured()).minutes.items()} == {
        -10: 1200 + 5 * 30,
        50: 60 * 30,
        110: 10 * 30,
    }


def test_a_run_that_sent_nothing_has_no_points():
    run = timeline(load())
    assert (run.all_points, run.variants, run.start, run.end - run.start) == ([], [], START.timestamp(), 1)


def test_a_time_is_read():
    assert epoch("2026-05-02T08:00:10.000+00:00") == START.timestamp()
