"""The store of metrics: what its readers read at two sizes of the history, and what retention leaves of it."""

import random
from itertools import pairwise
from statistics import quantiles

import pytest

from local_aws.framework.disk import Disk
from local_aws.framework.store import Scope
from local_aws.metrics.history import AlarmHistory, Change, Wanted
from local_aws.metrics.points import Point, of_statistics, of_values
from local_aws.metrics.reading import Asked, datapoints, page
from local_aws.metrics.retention import DAY_SECONDS, HISTORY_SECONDS, HOUR_SECONDS, Retention, available_since
from local_aws.metrics.store import Metric, MetricStore

SCOPE = Scope("123456789012", "us-west-2")
NOW = 1_800_000_000 // HOUR_SECONDS * HOUR_SECONDS
ALL = ["SampleCount", "Sum", "Average", "Minimum", "Maximum"]


def metric(name="m", **dimensions):
    return Metric.of(SCOPE, "Tests", name, dimensions or {"EndpointName": "e"})


@pytest.fixture
def store(tmp_path):
    opened = MetricStore(tmp_path / "metrics.sqlite", Disk(tmp_path))
    yield opened
    opened.close()


def fill(store, begin, end, step=60, *, named=None, values=lambda at: [float(at % 7)]):
    store.add((named or metric(), of_values(at, "None", values(at))) for at in range(begin, end, step))


def read(store, begin, end, period, statistics=ALL, named=None):
    return datapoints(store, Asked(named or metric(), begin, end, period), statistics)


def keep(store, now=NOW):
    """Let retention do all that is due; return the rows that it read."""
    before = store.rows_read
    for _ in Retention(store).keep(now):
        pass
    return store.rows_read - before


def count(store):
    return store.rows("SELECT count(*) FROM points")[0][0]


def test_an_alarm_reads_its_periods_whatever_came_before(store):
    costs = []
    for days in (1, 8):
        fill(store, NOW - days * DAY_SECONDS, NOW - (0 if days == 1 else DAY_SECONDS))
        before = store.rows_read
        found = read(store, NOW - 5 * 60, NOW, 60, ["p99"])
        assert len(found) == 5
        costs.append(store.rows_read - before)
    assert costs[0] == costs[1] <= 12


def test_a_pass_of_retention_reads_what_an_hour_brings(store):
    costs = []
    for hours in range(1, 9):
        fill(store, NOW + (hours - 1) * HOUR_SECONDS, NOW + hours * HOUR_SECONDS, step=20)
        costs.append(keep(store, NOW + (hours + 4) * HOUR_SECONDS))
    assert costs[1] == costs[-1]


def test_old_points_are_aggregated_as_on_aws_and_none_is_lost(store):
    noise = random.Random(7)
    fill(store, NOW - 66 * DAY_SECONDS, NOW - 65 * DAY_SECONDS, values=lambda at: [noise.randrange(100, 9000)])
    fill(store, NOW - 20 * DAY_SECONDS, NOW - 19 * DAY_SECONDS, values=lambda at: [noise.randrange(100, 9000)])
    fill(store, NOW - DAY_SECONDS, NOW - DAY_SECONDS + 600, step=5, values=lambda at: [noise.randrange(100, 9000)])
    begin = NOW - 70 * DAY_SECONDS
    before = read(store, begin, NOW, HOUR_SECONDS, [*ALL, "p50", "p99"])
    assert count(store) == 2 * 1440 + 120
    keep(store)
    assert count(store) == 24 + 288 + 10
    after = read(store, begin, NOW, HOUR_SECONDS, [*ALL, "p50", "p99"])
    assert [one.start for one in after] == [one.start for one in before]
    for one, other in zip(after, before, strict=True):
        assert one.statistics == pytest.approx(other.statistics, rel=0.01)
        assert [one.statistics[name] for name in ALL] == pytest.approx([other.statistics[name] for name in ALL])
    assert keep(store, NOW) <= 4
    # The oldest points and what has none are gone.
    keep(store, NOW + 500 * DAY_SECONDS)
    assert (count(store), store.rows("SELECT * FROM metrics")) == (0, [])


def test_a_pass_that_was_interrupted_goes_on(store):
    fill(store, NOW - 18 * DAY_SECONDS, NOW - 16 * DAY_SECONDS)
    passing = Retention(store).keep(NOW)
    next(passing)
    passing.close()
    keep(store)
    assert count(store) == 2 * 288
    assert sum(one.statistics["SampleCount"] for one in read(store, NOW - 18 * DAY_SECONDS, NOW, 3600)) == 2 * 1440


def test_units_and_dimensions_are_kept_apart(store):
    at = NOW - 20 * DAY_SECONDS
    store.add(
        [
            (metric(a="1"), Point(at, "Seconds", 1, 2.0, 2.0, 2.0)),
            (metric(a="1"), Point(at + 60, "Count", 1, 3.0, 3.0, 3.0)),
            (metric(a="1", b="2"), Point(at, "Count", 1, 5.0, 5.0, 5.0)),
        ]
    )
    keep(store)
    seconds = datapoints(store, Asked(metric(a="1"), at, at + 300, 300, "Seconds"), ["Sum"])
    assert [one.statistics["Sum"] for one in seconds] == [2.0]
    assert [one.statistics["Sum"] for one in read(store, at, at + 300, 300, ["Sum"], metric(a="1"))] == [5.0]
    assert [one.statistics["Sum"] for one in read(store, at, at + 300, 300, ["Sum"], metric(b="2", a="1"))] == [5.0]
    assert read(store, at, at + 300, 300, ["Sum"], metric(b="2")) == []


def test_percentiles_are_of_the_values_that_were_put(store):
    noise = random.Random(1)
    values = [noise.expovariate(1 / 5000) for _ in range(140)]
    store.add([(metric(), of_values(NOW, "None", values[:70])), (metric(), of_values(NOW, "None", values[70:]))])
    (found,) = read(store, NOW, NOW + 60, 60, ["p50", "p99"])
    exact = quantiles(values, n=100, method="inclusive")
    assert found.statistics == pytest.approx({"p50": exact[49], "p99": exact[98]})
    # Of a value that occurs often, of statistic sets and of negative values.
    for put, statistics in (
        (of_values(NOW, "None", [1.0, 9.0], [98.0, 2.0]), {"p50": 1.0, "p99": 9.0}),
        (of_statistics(NOW, "None", {"SampleCount": 4, "Sum": 12, "Minimum": 3, "Maximum": 3}), {"p50": 3, "p99": 3}),
        (of_statistics(NOW, "None", {"SampleCount": 4, "Sum": 12, "Minimum": 1, "Maximum": 5}), {}),
        (of_values(NOW, "None", [-1.0, 2.0]), {}),
        # The sum of the ten is not exactly 1.
        (of_values(NOW, "None", [0.1] * 10), {"p50": 0.1, "p99": 0.1}),
    ):
        one = metric(str(put.total))
        store.add([(one, put)])
        (found,) = read(store, NOW, NOW + 60, 60, ["p50", "p99"], one)
        assert found.statistics == statistics


def test_a_page_has_the_first_datapoints_of_either_end(store):
    fill(store, NOW - HOUR_SECONDS, NOW, values=lambda at: [float(at)])
    asked = Asked(metric(), NOW - DAY_SECONDS, NOW, 60)
    newest, more = page(store, asked, "Sum", 3, descending=True)
    assert ([at for at, _ in newest], more) == ([NOW - 60, NOW - 120, NOW - 180], True)
    oldest, more = page(store, asked, "Sum", 60, descending=False)
    assert ([oldest[0][0], oldest[-1][0]], len(oldest), more) == ([NOW - 3600, NOW - 60], 60, False)
    assert all(one[0] < other[0] for one, other in pairwise(oldest))


def test_a_timestamp_on_a_boundary_belongs_to_the_period_that_begins(store):
    """An alarm's minute may last 0.6 s, and 0.6 * 6 is not exactly the end of the sixth."""
    store.add([(metric(), of_values(0.6 * at, "None", [float(at)])) for at in range(10)])
    start = 0.6 * 5 - 0.001
    found = datapoints(store, Asked(metric(), start, 0.6 * 8 - 0.001, 0.6, origin=start), ["Sum"])
    assert [one.statistics["Sum"] for one in found] == [5.0, 6.0, 7.0]


@pytest.mark.parametrize(("period", "days"), [(1, 0.125), (60, 15), (300, 63), (3600, 455), (7200, 455)])
def test_a_period_is_available_as_long_as_its_resolution(period, days):
    assert NOW - available_since(period, NOW) == days * DAY_SECONDS


def test_what_was_added_is_there_for_the_next_process(store, tmp_path):
    with pytest.raises(AttributeError):
        store.add([(metric(), of_values(NOW, "None", [1.0])), (metric(), None)])
    assert count(store) == 0
    fill(store, NOW - 600, NOW)
    before = read(store, NOW - 600, NOW, 60)
    store.close()
    again = MetricStore(tmp_path / "metrics.sqlite", Disk(tmp_path))
    assert read(again, NOW - 600, NOW, 60) == before
    again.close()


def test_a_page_of_an_alarms_history_reads_no_more_than_it_has(store):
    history = AlarmHistory(store)
    costs = []
    for size in (50, 500):
        for number in range(size):
            at = NOW - HISTORY_SECONDS - 60 + number
            for name in ("a", "b"):
                history.add(SCOPE, Change(name, "MetricAlarm", at, "StateUpdate", f"{name} {size} {number}", "{}"))
        before = store.rows_read
        newest = [one.summary for _, one in history.page(SCOPE, Wanted(alarm="b"), 3)]
        assert newest == [f"b {size} {number}" for number in range(size - 1, size - 4, -1)]
        costs.append(store.rows_read - before)
    assert costs == [3, 3]
    (_, first), (_, second) = history.page(SCOPE, Wanted(since=NOW - HISTORY_SECONDS), 2, descending=False)
    assert {first.alarm, second.alarm} == {"a", "b"}
    assert history.page(SCOPE, Wanted(kinds=["CompositeAlarm"]), 1) == []
    keep(store)
    assert store.rows("SELECT count(*) FROM history") == [(2 * 440,)]
