"""Counts and their histograms."""

import json
import random

from slipway.load.tally import PERCENTILES, Tally, merged, milliseconds


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
