"""The files of a stress test's report, and its summary."""

import json

import pytest

from slipway.load.phases import LoadStage
from slipway.load.slo import Slo, judge_load
from slipway.stress.report_files import document, machine_readable, page, summary
from tests.unit.load.test_slo import phase, run

RESULT = run(phase(LoadStage(2, 100), errors=1, answers=99, right=90), phase(LoadStage(3, 50), answers=50, right=50))
JUDGED = judge_load(RESULT, Slo(p99_ms=100, min_accuracy=0.95))


def test_both_files_are_of_one_document():
    report = document(RESULT, JUDGED, {"alarms": [], "endpoint": {"name": "iris-model-development", "variants": []}})
    kept = machine_readable(report)
    assert (kept.name, json.loads(kept.content)) == ("report.json", report)
    assert report["load"]["phases"][0]["sent"] == 100
    assert report["verdict"]["passed"] is False
    shown = page(report)
    assert (shown.name, shown.content_type) == ("report.html", "text/html; charset=utf-8")
    assert "iris-model-development" in shown.content
    assert "min_accuracy" in shown.content


def test_a_summary_has_figures_and_no_rows():
    found = summary(RESULT, JUDGED)
    assert (found["endpoint_name"], found["passed"], found["ended"]) == ("e", False, "completed")
    assert (found["sent"], found["answered"], found["errors"]) == (150, 149, 1)
    assert found["accuracy"] == 140 / 149
    assert [limit["passed"] for limit in found["limits"]] == [False, True, False]
    assert len(json.dumps(found)) < 1000


def test_a_run_that_sent_nothing_has_a_page_too():
    nothing = run(phase(LoadStage(2, 10), answers=0, right=0), ended="the task was ended")
    verdict = judge_load(nothing, Slo(p99_ms=1))
    assert page(document(nothing, verdict, {})).content.startswith("<!")
    assert summary(nothing, verdict)["accuracy"] is None


def test_a_figure_that_is_no_number_is_a_text_in_the_file_for_machines():
    content = machine_readable({"series": [{"values": [1.0, float("nan"), float("-inf")]}]}).content
    assert json.loads(content, parse_constant=pytest.fail)["series"][0]["values"] == [1.0, "NaN", "-Infinity"]
