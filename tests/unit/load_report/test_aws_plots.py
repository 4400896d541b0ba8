"""AWS's plots on the sender's axis of time."""

import re
from functools import cache

import pytest

from slipway.load_report import aws_plots
from slipway.load_report.timeline import timeline
from tests.unit.load_report.samples import START, at, full, load


# Counting thousands of answers takes a second: not where the tests are collected.
@cache
def document():
    return full()


@cache
def shown():
    return timeline(document()["load"])


def bounds():
    return aws_plots.span(shown(), document())


def said(drawn):
    return re.search('aria-label="([^"]*)"', drawn)[1]


def test_the_axis_holds_everything_that_is_shown():
    # From the minute in which the load began to the end of the last minute that was measured.
    assert [moment - START.timestamp() for moment in bounds()] == [-10, 170]
    late = {**document(), "scaling_activities": [{"start": at(900), "end": None}]}
    assert aws_plots.span(shown(), late)[1] - START.timestamp() == 900
    assert aws_plots.span(shown(), {}) == (shown().start, shown().end)


def test_instances_tell_their_most_and_number_the_activities():
    drawn = aws_plots.instances(shown(), document()["scaling_activities"], bounds())
    assert said(drawn) == "Instances over time, at most: model-a 4, model-b 4; 1 scaling activities"
    assert ">1</text>" in drawn
    assert aws_plots.instances(timeline(load()), [], (0, 1)) is None


def test_alarms_are_bars_of_their_states():
    drawn = aws_plots.alarms(shown(), document()["alarms"], bounds())
    assert said(drawn) == "States of 1 alarms over time. In ALARM at some time: TargetTracking-x"
    # Two stretches of OK around one of ALARM, and each colour once more in the legend.
    assert drawn.count("fill: var(--good)") == 3
    assert drawn.count("fill: var(--bad)") == 2
    assert aws_plots.alarms(shown(), [], bounds()) is None


def test_an_alarm_that_stayed_as_it_was_is_one_bar():
    drawn = aws_plots.alarms(shown(), [{"name": "x", "state": "INSUFFICIENT_DATA", "history": []}], bounds())
    assert said(drawn).endswith("none")
    assert drawn.count("fill: var(--unknown)") == 2


@pytest.mark.parametrize(
    ("state", "changes", "fired"),
    [
        ("ALARM", [], "x"),
        ("OK", [(60, "ALARM", "OK")], "x"),
        # It had gone before there was anything to show.
        ("OK", [(-10, "ALARM", "OK")], "none"),
        ("OK", [(60, "INSUFFICIENT_DATA", "OK")], "none"),
    ],
)
def test_an_alarm_that_went_off_before_the_run_is_told_as_it_is_drawn(state, changes, fired):
    history = [{"at": at(seconds), "from": before, "to": after, "reason": "r"} for seconds, before, after in changes]
    drawn = aws_plots.alarms(shown(), [{"name": "x", "state": state, "history": history}], bounds())
    assert said(drawn).endswith(f"In ALARM at some time: {fired}")
    assert drawn.count("fill: var(--bad)") == (1 if fired == "none" else 2)


def test_invocations_stand_beside_the_senders_answers():
    drawn = aws_plots.requests(shown(), document()["cloudwatch"], bounds())
    assert said(drawn) == "CloudWatch counts 3600 invocations in these minutes, the sender 3600 answers"
    assert aws_plots.requests(shown(), {}, bounds()) is None


def test_latencies_of_cloudwatch_are_milliseconds_here():
    drawn = aws_plots.latencies(shown(), document()["cloudwatch"], bounds())
    assert said(drawn) == "ModelLatency and OverheadLatency of each minute by variant"
    assert ">model-a, Average<" in drawn
    only = {"period_seconds": 60, "series": document()["cloudwatch"]["series"][:2]}
    assert said(aws_plots.latencies(shown(), only, bounds())) == "ModelLatency of each minute by variant"
    assert aws_plots.latencies(shown(), {"period_seconds": 60, "series": []}, bounds()) is None


def test_series_without_values_are_none():
    empty = {"series": [{"metric": "Invocations", "statistic": "Sum", "values": []}]}
    assert aws_plots.of_metric(empty, "Invocations") == []
