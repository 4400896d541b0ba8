"""Plans, their caps and their rows."""

import json
import math

import pytest

from slipway.load.errors import LoadRefused
from slipway.load.phases import LAB_STAGES, Arrivals, LoadStage
from slipway.load.plan import Caps, Plan, figure, fitting
from slipway.load.rows import Row

ROWS = [Row("1", "2,3")]


def plan(*phases, **more):
    return Plan("e", ROWS, phases or LAB_STAGES, **more)


def test_the_labs_stages_are_the_default_and_within_the_caps():
    assert [(stage.concurrency, stage.requests) for stage in LAB_STAGES] == [(10, 1000), (100, 10_000), (150, 100_000)]
    Plan("e", ROWS).check()


@pytest.mark.parametrize(
    ("phases", "cap"),
    [
        ([LoadStage(10, 150_000), LoadStage(10, 50_001)], "max_requests is 200000, asked is 200001"),
        ([LoadStage(201, 1000)], "max_concurrency is 200, asked is 201"),
        ([Arrivals(2001, 10)], "max_rate_rps is 2000, asked is 2001"),
        ([Arrivals(1, 1000), Arrivals(1, 801)], "max_seconds is 1800, asked is 1801"),
    ],
)
def test_what_is_above_a_cap_is_refused(phases, cap):
    with pytest.raises(LoadRefused, match=cap):
        plan(*phases).check()


def test_a_cap_can_be_raised_on_purpose():
    plan(LoadStage(201, 1000), caps=Caps(max_concurrency=300)).check()


@pytest.mark.parametrize(
    ("phase", "said"),
    [
        (LoadStage(0, 10), "concurrency is 0"),
        (LoadStage(10, 0), "requests is 0"),
        (Arrivals(0, 10), "rate_rps is 0"),
        (Arrivals(1, 10, concurrency=0), "concurrency is 0"),
        (Arrivals(5, -5.0), "duration_seconds is -5.0"),
        (Arrivals(math.nan, 5), "rate_rps is nan"),
        (Arrivals(math.inf, 5), "rate_rps is inf"),
        (Arrivals(5, math.inf), "duration_seconds is inf"),
        (Arrivals(1e300, 1e300), "rate_rps times duration_seconds is inf"),
    ],
)
def test_a_load_of_nothing_or_without_an_end_is_refused(phase, said):
    with pytest.raises(LoadRefused, match=said):
        plan(phase).check()


@pytest.mark.parametrize("seconds", [math.nan, math.inf, 0, -1])
def test_a_cap_that_caps_nothing_is_refused(seconds):
    with pytest.raises(LoadRefused, match="max_seconds is"):
        plan(LoadStage(2, 10), caps=Caps(max_seconds=seconds)).check()


@pytest.mark.parametrize(
    ("value", "digits", "written"),
    [
        (200_000, 12, "200000"),
        (10**400, 12, "1" + 400 * "0"),
        (2000.0, 12, "2000"),
        (1800.4, 12, "1800.4"),
        (12345.6, 4, "12350"),
        (0.93999999, 4, "0.94"),
        (0.00001, 4, "0.00001"),
    ],
)
def test_a_figure_has_no_exponent(value, digits, written):
    assert figure(value, digits) == written


@pytest.mark.parametrize("variant", ["blue–green", "-blue", "blue-", "", "blue green", "b" * 64])  # noqa: RUF001
def test_a_variant_that_aws_has_no_name_for_is_refused(variant):
    with pytest.raises(LoadRefused, match="is not a variant's name"):
        plan(target_variant=variant).check()


@pytest.mark.parametrize("variant", ["b", "model-b", "Blue--2", "b" * 63])
def test_a_variants_name_may_be_asked_for(variant):
    plan(target_variant=variant).check()


def test_only_rows_that_fit_are_sent():
    wide = Row("1", "x" * 2**20)
    made = Plan("e", [wide] * 20)
    made.check()
    assert len(made.sent_rows) == made.summary()["rows"] == 15
    # What has to be escaped counts as it is sent to the processes.
    assert len(Plan("e", [Row("1", "é" * 2**20)] * 20).sent_rows) == 2
    assert Plan("e", ROWS * 3).sent_rows == ROWS * 3


def test_a_row_that_does_not_fit_is_refused():
    with pytest.raises(LoadRefused, match=r"The first row has 17\.0 MiB, but all rows together may have 16 MiB"):
        Plan("e", [Row("1", "x" * 17 * 2**20)]).check()


def test_no_more_rows_are_looked_at_than_fit():
    looked = []

    def rows():
        for number in range(1000):
            looked.append(number)
            yield Row("1", "x" * 2**20)

    assert len(fitting(rows())) == 15
    assert len(looked) == 16


def test_no_rows_no_phases():
    with pytest.raises(LoadRefused, match="no rows"):
        Plan("e", []).check()
    with pytest.raises(LoadRefused, match="no load"):
        Plan("e", ROWS, ()).check()


@pytest.mark.parametrize(
    ("phases", "seconds"),
    [
        ([LoadStage(10, 1000)], 1800),
        ([LoadStage(10, 1000), Arrivals(1, 1700)], 1800),
        ([Arrivals(1, 1800)], 1865),
        ([Arrivals(1, 900), Arrivals(1, 900)], 1930),
    ],
)
def test_a_run_ends_at_its_cap_but_not_before_the_last_answers_of_what_it_allows(phases, seconds):
    assert plan(*phases).ends_after_seconds == seconds


def test_several_processes_send_only_what_one_core_cannot(monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    assert [
        plan().processes_for(phase) for phase in (LoadStage(10, 1000), LoadStage(100, 10_000), LoadStage(150, 100_000))
    ] == [
        1,
        1,
        2,
    ]
    assert plan().processes_for(Arrivals(5000, 10)) == 1
    assert plan().processes_for(Arrivals(12_000, 10)) == 3
    assert plan(processes=5).processes_for(LoadStage(3, 1000)) == 3


def test_a_summary_is_json():
    summary = json.loads(json.dumps(plan(LoadStage(1, 2), Arrivals(5, 2)).summary()))
    assert [phase["kind"] for phase in summary["phases"]] == ["stage", "arrivals"]
    assert [phase["requests"] for phase in summary["phases"]] == [2, 10]
