"""Reports."""

import json

from hdrh.histogram import HdrHistogram

from slipway.load.phases import LoadStage, phase_to_json
from slipway.load.plan import Plan
from slipway.load.result import COMPLETED, LoadResult, PhaseResult, Second
from slipway.load.rows import Row
from slipway.load.tally import Tally

STARTED_AT = "2024-01-01T00:00:01.500+00:00"


def phase(tally, cpu_share=0.5):
    seconds = (Second.of(0, tally.settle(), {"blue": 2}),)
    return PhaseResult(phase_to_json(LoadStage(2, 10)), 1, STARTED_AT, 2.0, tally, seconds, 0.4, cpu_share)


def tally():
    made = Tally(sent=10)
    for number in range(8):
        made.answer("blue", number < 6, 0.010, 0.005)
    made.errors["timeout"] += 2
    return made


def test_a_report_has_totals_a_series_and_histograms_that_others_read():
    plan = Plan("e", [Row("1", "2")], (LoadStage(2, 10),))
    report = json.loads(LoadResult(plan.summary(), "2024-01-01T00:00:00+00:00", COMPLETED, (phase(tally()),)).to_json())
    [found] = report["phases"]
    assert (report["ended"], report["plan"]["rows"]) == ("completed", 1)
    assert (found["sent"], found["answered"], found["right"], found["accuracy"], found["rps"]) == (10, 8, 6, 0.75, 4.0)
    assert found["errors"] == {"timeout": 2}
    assert (round(found["latency_ms"]["p99"]), round(found["service_ms"]["p50"])) == (10, 5)
    assert HdrHistogram.decode(found["latency_hdr"]).get_total_count() == 8
    assert found["right_by_variant"] == {"blue": 6}
    assert found["series"] == [
        {
            "second": 0,
            "sent": 10,
            "answered": 8,
            "right": 6,
            "right_by_variant": {"blue": 6},
            "errors": {"timeout": 2},
            "variants": {"blue": 8},
            "instances": {"blue": 2},
            "p50_ms": found["latency_ms"]["p50"],
            "p99_ms": found["latency_ms"]["p99"],
        }
    ]
    assert found["started_at"] == STARTED_AT


def test_a_phase_without_answers_has_no_accuracy_and_no_latency():
    found = phase(Tally(sent=1)).to_json()
    assert (found["accuracy"], found["latency_ms"], found["rps"]) == (None, {}, 0)


def test_a_full_core_is_said():
    assert not phase(tally(), cpu_share=0.89).sender_full
    assert phase(tally(), cpu_share=0.95).sender_full
