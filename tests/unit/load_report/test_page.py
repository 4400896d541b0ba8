"""The page: it needs no other file, says what is missing, and is safe with any names."""

import html.parser
import re

import pytest

from slipway.load.phases import LoadStage
from slipway.load_report.page import render
from tests.unit.load_report.samples import at, full, load, minutes, phase

HOSTILE = "\"><img src=x onerror=alert(1)><script>alert('x')</script>&\x00\ud800"


class Elements(html.parser.HTMLParser):
    """Names and attributes of a page's elements, and its text."""

    def __init__(self, page):
        super().__init__()
        self.elements, self.text, self.open = [], "", []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in ("meta",):
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag
        self.text += " " if tag in ("td", "th", "dt", "dd") else ""

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="module")
def page():
    return render(full())


def test_the_verdict_comes_first_and_says_by_how_much(page):
    text = Elements(page).text
    assert text.index("Failed: not every limit was kept.") < text.index("Phases")
    assert "5 (25%) above" in text
    assert "0.1667 (33%) above" in text
    assert "Passed" not in text


def test_phases_variants_and_endpoint_are_told(page):
    words = " ".join(Elements(page).text.split())
    for expected in ("timeout 80", "model-a 3,240 90.00% 2,160 66.67%", "configuration EndpointConfig-1"):
        assert expected in words, expected
    assert "08:01:20 08:01:35 Successful model-a: Setting desired instance count to 3." in words
    assert "08:01:15 OK → ALARM: Threshold Crossed" in words
    assert "microseconds" in words
    # A count has no unit, which CloudWatch calls None.
    assert "Invocations Sum model-a 3 3,600" in words
    assert "ModelLatency Average model-a Microseconds 3" in words


def test_everything_is_in_the_page(page):
    elements = Elements(page).elements
    assert Elements(page).open == []
    assert "script" not in {tag for tag, _ in elements}
    for _, attributes in elements:
        assert not {"src", "onload", "onerror"} & attributes.keys()
        assert attributes.get("href", "#").startswith("#")
    assert set(re.findall(r"https?://[^\"' <]*", page)) == {"http://www.w3.org/2000/svg"}
    assert "@import" not in page
    assert not re.search(r"url\((?!#)", page)


def test_every_plot_is_described_and_ids_are_unique(page):
    elements = Elements(page).elements
    plots = [attributes for tag, attributes in elements if tag == "svg"]
    assert len(plots) == 9
    assert all(plot["aria-label"] for plot in plots)
    ids = [attributes["id"] for _, attributes in elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert "prefers-color-scheme: dark" in page


def test_what_is_missing_is_said():
    empty = {"cloudwatch": {"series": []}, "scaling_activities": [], "alarms": []}
    text = Elements(render({"load": load(phase(LoadStage(10, 100), 0, 3)), **empty})).text
    for said in (
        "The report has no limits, so the load was not judged.",
        "There was no scaling activity in this time.",
        "No alarm watches the endpoint.",
        "CloudWatch has no Invocations for this time.",
        "CloudWatch has no latencies for this time.",
        "AWS was not asked.",
    ):
        assert said in text, said


def test_what_was_not_asked_for_or_could_not_be_read_is_not_told_as_nothing():
    unread = {"cloudwatch": "ThrottlingException", "scaling_activities": "AccessDenied"}
    text = Elements(render({"load": load(phase(LoadStage(10, 100), 0, 3)), "missing": unread})).text
    assert text.count("This could not be read: ThrottlingException") == 2
    assert text.count("This could not be read: AccessDenied") == 1
    # The endpoint and its alarms.
    assert text.count("AWS was not asked.") == 2
    for wrong in ("There was no scaling activity", "No alarm watches", "CloudWatch has no"):
        assert wrong not in text


def test_parts_may_be_empty_or_none():
    empty = {"verdict": {"passed": True, "limits": []}, "endpoint": {}, "cloudwatch": {"series": []}, "alarms": []}
    none = dict.fromkeys(["verdict", "endpoint", "cloudwatch", "scaling_activities", "alarms"])
    for parts in (empty, none):
        assert "The report has no limits" in render({"load": load(), **parts})
    assert "No phase was started." in render({"load": load()})


def test_an_early_end_and_a_passed_verdict_are_said():
    verdict = {"passed": True, "limits": [{"name": "error_rate", "allowed": 0, "measured": 0, "passed": True}]}
    text = Elements(render({"load": load(ended="SIGTERM"), "verdict": verdict})).text
    assert "Not all of the load was sent: SIGTERM." in text
    assert "Passed: every limit was kept." in text
    assert "exactly at the limit" in text


def test_a_phase_that_ended_early_tells_what_was_planned_and_what_was_sent():
    stage = phase(LoadStage(150, 100_000), 0, 10)
    text = " ".join(Elements(render({"load": load(stage, ended="the task was ended")})).text.split())
    assert "concurrency planned sent answered errors" in text
    assert "150 100,000 300 300 0" in text


def test_a_figure_that_was_not_measured_is_no_number():
    limit = {"name": "latency_p99_ms", "allowed": 20, "measured": None, "passed": False}
    text = Elements(render({"load": load(), "verdict": {"passed": False, "limits": [limit]}})).text
    assert "above" not in text
    assert "not measured" in text


def test_a_verdict_tells_the_phase_and_an_early_end():
    limit = {"name": "p99_ms", "allowed": 20, "measured": 15, "passed": True, "phase": "10 in flight"}
    text = Elements(render({"load": load(ended="SIGTERM"), "verdict": {"passed": False, "limits": [limit]}})).text
    assert "Failed: every limit was kept, but the load ended before all of it was sent." in text
    assert "10 in flight 5 (25%) below" in " ".join(text.split())


def test_hostile_names_stay_text():
    document = full()
    document["load"] = load(
        phase(LoadStage(1, 90), 0, 3, variants=(HOSTILE,), errors={HOSTILE: 2}), endpoint=HOSTILE, ended=HOSTILE
    )
    document["endpoint"] = {"name": HOSTILE, "status": HOSTILE, "variants": [{"name": HOSTILE, "weight": HOSTILE}]}
    document["verdict"]["limits"] = [{"name": HOSTILE, "allowed": HOSTILE, "measured": HOSTILE, "passed": False}]
    document["cloudwatch"]["series"] = [
        minutes(metric, statistic, [1.0, 2.0], variant=HOSTILE, unit=HOSTILE)
        for metric, statistic in (("Invocations", "Sum"), ("ModelLatency", HOSTILE), (HOSTILE, "Sum"))
    ]
    document["scaling_activities"] = [
        {"start": at(1), "end": None, "cause": HOSTILE, "description": HOSTILE, "status": HOSTILE}
    ]
    document["alarms"] = [
        {
            "name": HOSTILE,
            "state": HOSTILE,
            "history": [{"at": at(1), "from": HOSTILE, "to": HOSTILE, "reason": HOSTILE}],
        }
    ]
    written = render(document)
    written.encode()
    found = Elements(written)
    assert {tag for tag, _ in found.elements} & {"script", "img"} == set()
    assert found.text.count("<script>alert('x')</script>") > 10
    assert "\x00" not in written


def test_what_a_table_or_a_plot_leaves_out_is_counted():
    document = full()
    document["load"] = load(phase(LoadStage(1, 90), 0, 3, errors={f"code {number}": 1 for number in range(103)}))
    document["alarms"] = [{"name": "quiet", "state": "OK", "history": []}] * 24
    document["cloudwatch"]["series"] = [minutes("Invocations", "Sum", [1.0])] * 105
    text = " ".join(Elements(render(document)).text.split())
    # One below the other: errors, the alarms' plot, series.
    assert re.findall(r"and \d+ more|leaves out \d+ more", text) == ["and 3 more", "leaves out 4 more", "and 5 more"]


def test_half_an_hour_is_a_small_page():
    document = full()
    minute = document["load"]["phases"][1]
    series = [{**second, "second": 80 * n + second["second"]} for n in range(23) for second in minute["series"]]
    document["load"]["phases"][1] = {**minute, "series": series, "elapsed_seconds": 1840.0}
    document["scaling_activities"] *= 300
    document["alarms"] *= 300
    written = render(document)
    assert len(written.encode()) < 1_000_000
    assert "and 200 more." in written
