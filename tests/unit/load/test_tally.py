"""Counts and their histograms."""

import json
import random

from slipway.load.tally import PERCENTILES, Tally, histogram, merged, milliseconds


def tally(latencies, variant="blue"):
    made = Tally(sent=len(latencies))
    for number, seconds in enumerate(latencies):
        made.answer(variant, number % 2 == 0, seconds, seconds / 2)
    return made


def test_merged_tallies_are_as_if_one_had_counted_everything():
    noise = random.Random(3)
    parts = [[noise.expovariate(100) for _ in range(500)] for _ in range(4)]
    whole = tally([seconds for part in parts for seconds in part])
    added = merged(Tally.from_message(json.loads(json.dumps(tally(part).to_message()))) for part in parts)
    assert (added.sent, added.answered, added.right) == (2000, 2000, 1000)
    whole.settle()
    for percentile in PERCENTILES:
        assert milliseconds(added.latency, percentile) == milliseconds(whole.latency, percentile)
        assert milliseconds(added.service, percentile) == milliseconds(whole.service, percentile)
    assert added.latency.get_max_value() == whole.latency.get_max_value()


def test_a_percentile_is_right_to_three_digits():
    exact = [number / 1000 for number in range(1, 1001)]
    counted = tally(exact).settle()
    for percentile in (50, 90, 99):
        assert abs(milliseconds(counted.latency, percentile) / (percentile * 10) - 1) < 0.001


def test_times_are_recorded_as_the_histogram_would_record_each():
    noise = random.Random(5)
    times = [noise.expovariate(1 / scale) for scale in (1e-6, 1e-4, 0.002, 0.004, 0.05, 1, 3000) for _ in range(400)]
    counted, one_by_one = tally(times).settle(), histogram()
    for seconds in times:
        one_by_one.record_value(min(3_600_000_000, max(1, round(seconds * 1e6))))
    found, expected = (list(each.get_recorded_iterator()) for each in (counted.latency, one_by_one))
    assert [(entry.value_iterated_to, entry.count_at_value_iterated_to) for entry in found] == [
        (entry.value_iterated_to, entry.count_at_value_iterated_to) for entry in expected
    ]
    assert counted.latency.get_max_value() == one_by_one.get_max_value()
    assert counted.service.get_total_count() == len(times)


def test_variants_and_errors_add_up():
    one, other = tally([0.1, 0.2]), tally([0.3], variant="green")
    one.errors["timeout"] += 1
    other.errors.update({"timeout": 2, "503 ServiceUnavailable": 1})
    added = merged([one, other])
    assert dict(added.variants) == {"blue": 2, "green": 1}
    assert (dict(added.rights), added.right) == ({"blue": 1, "green": 1}, 2)
    assert dict(added.errors) == {"timeout": 3, "503 ServiceUnavailable": 1}
    # What was added is unchanged.
    assert (one.answered, other.errors.total()) == (2, 3)


def test_a_wait_beyond_the_histograms_end_counts_as_its_end():
    assert milliseconds(tally([2 * 3600.0]).settle().latency, 100) > 3_500_000


def test_nothing_has_no_latency():
    assert milliseconds(Tally().latency, 99) == 0
