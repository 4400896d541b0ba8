"""The sender's plots: their descriptions, and None when there is nothing to show."""

import re
from functools import cache

from slipway.load.phases import Arrivals, LoadStage
from slipway.load_report import plots, svg
from slipway.load_report.timeline import timeline
from tests.unit.load_report.samples import load, phase, two_minutes

NOTHING = timeline(load())


@cache
def shown():
    return timeline(two_minutes())


def said(drawn):
    return re.search('aria-label="([^"]*)"', drawn)[1]


def test_throughput_tells_peak_and_errors():
    assert said(plots.throughput(shown())) == "Answers each second over the run, 30 at most; 80 errors in all"
    assert plots.throughput(NOTHING) is None


def test_phases_are_named_above_the_plot():
    drawn = plots.throughput(shown())
    assert ">10 in flight<" in drawn
    assert ">100 in flight<" in drawn


def test_latency_tells_the_worst_second():
    worst = max(second["p99_ms"] for one in two_minutes()["phases"] for second in one["series"])
    assert said(plots.latency(shown())).endswith(f"p99 reaches {worst:.0f} ms")


def test_the_distribution_goes_as_far_as_there_are_answers():
    drawn = plots.distribution(two_minutes()["phases"], ["first", "second"])
    p99 = two_minutes()["phases"][0]["latency_ms"]["p99"]
    assert f"first: p99 {p99:.1f} ms" in said(drawn)
    # Of 2 400 answers one is beyond 99.96 %.
    assert ">99.9 %<" in drawn
    assert ">99.99 %<" not in drawn


def test_shares_and_accuracy_of_variants():
    assert said(plots.variant_shares(shown())) == "Share of the answers by variant: model-a 90.0%, model-b 10.0%"
    assert said(plots.accuracy(shown())) == "Share of correct answers by variant: model-a 66.7%, model-b 66.7%"


def test_a_phase_without_answers_shows_no_latency():
    silent = load(phase(LoadStage(1, 10), 0, 3, errors={"timeout": 3}, rate=0))
    run = timeline(silent)
    assert said(plots.throughput(run)).endswith("9 errors in all")
    assert plots.latency(run) is None
    assert plots.distribution(silent["phases"], ["x"]) is None
    assert plots.variant_shares(run) is None
    assert plots.accuracy(run) is None


def test_a_phase_of_one_second_and_a_variant_without_a_name_are_shown():
    short = load(phase(Arrivals(30, 1), 0, 1, variants=("",)))
    run = timeline(short)
    assert said(plots.latency(run))
    assert ">unnamed<" in plots.variant_shares(run)


def test_a_long_time_has_few_ticks():
    days = shown().start - 3 * 86400, shown().end + 3 * 86400
    drawn = []

    def paint(axes):
        plots.time_axis(axes, shown(), span=days)
        drawn.extend(axes.get_xticks())

    svg.draw("x", "x", paint)
    assert 2 < len(drawn) < 15
