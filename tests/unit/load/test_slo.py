"""Limits, and by how much a run breaks them."""

import pytest

from slipway.load.phases import LoadStage, phase_to_json
from slipway.load.plan import Plan
from slipway.load.result import COMPLETED, LoadResult, PhaseResult
from slipway.load.rows import Row
from slipway.load.slo import Limit, Slo, judge_load
from slipway.load.tally import Tally


def phase(stage, *, answers=100, right=100, errors=0, abandoned=0, slow=0):
    """A phase of answers in 10 ms, of which some take 300 ms."""
    tally = Tally(sent=answers + errors + abandoned)
    for number in range(answers):
        tally.answer("blue", number < right, 0.3 if number < slow else 0.01, 0.01)
    tally.errors.update({"500": errors, "abandoned": abandoned})
    plan = Plan("e", [Row("1", "2")], (stage,))
    given = {
        "phase": phase_to_json(stage),
        "processes": 1,
        "elapsed_seconds": 1.0,
        "tally": tally.settle(),
        "seconds": (),
    }
    given |= {"cpu_seconds": 0.1, "cpu_share": 0.1, "started_at": "2024-01-01T00:00:00+00:00"}
    return plan, PhaseResult(**given)


def run(*phases, ended=COMPLETED):
    return LoadResult(phases[0][0].summary(), "2024-01-01T00:00:00+00:00", ended, tuple(one for _, one in phases))


FINE = phase(LoadStage(2, 100))
SLO = Slo(max_error_share=0.01, p99_ms=100, min_accuracy=0.9)


def test_what_keeps_every_limit_passes():
    verdict = judge_load(run(FINE), SLO)
    assert verdict.passed
    assert verdict.broken == ()
    assert [(limit["name"], limit["passed"]) for limit in verdict.to_json()["limits"]] == [
        ("max_error_share", True),
        ("p99_ms", True),
        ("min_accuracy", True),
    ]


@pytest.mark.parametrize(
    ("bad", "name", "measured", "excess"),
    [
        ({"answers": 95, "right": 95, "errors": 5}, "max_error_share", 0.05, 0.04),
        ({"slow": 2}, "p99_ms", 300, 200),
        ({"right": 80}, "min_accuracy", 0.8, 0.1),
    ],
)
def test_a_broken_limit_is_named_with_its_phase_and_by_how_much(bad, name, measured, excess):
    # The first phase is short beside the second, and fails all the same.
    verdict = judge_load(
        run(phase(LoadStage(3, 100), **bad), phase(LoadStage(9, 10_000), answers=10_000, right=10_000)), SLO
    )
    [broken] = verdict.broken
    assert not verdict.passed
    assert (broken.name, broken.phase) == (name, "3 in flight")
    assert broken.measured == pytest.approx(measured, rel=0.01)
    assert broken.excess == pytest.approx(excess, rel=0.01)
    assert f"{name} is {broken.allowed:g}, measured" in str(broken) and "broken by" in str(broken)


def test_large_figures_are_written_out():
    broken = Limit("p99_ms", allowed=1_200_000.0, measured=1_234_567.0, excess=34_567.0, phase="2 in flight")
    assert str(broken) == "p99_ms is 1200000, measured 1235000 (2 in flight), broken by 34570"


def test_a_limit_that_is_just_met_is_kept():
    assert judge_load(run(phase(LoadStage(2, 100), answers=99, right=99, errors=1)), Slo(max_error_share=0.01)).passed
    assert judge_load(run(phase(LoadStage(2, 100), right=90)), Slo(min_accuracy=0.9)).passed


def test_without_answers_nothing_is_kept():
    verdict = judge_load(run(phase(LoadStage(2, 5), answers=0, right=0, errors=5)), SLO)
    assert [limit.name for limit in verdict.broken] == ["max_error_share", "p99_ms", "min_accuracy"]
    assert "nothing was answered (2 in flight)" in str(verdict.broken[1])


def test_a_run_that_was_stopped_has_not_passed_but_broken_nothing():
    verdict = judge_load(run(phase(LoadStage(2, 100), answers=40, right=40, abandoned=2), ended="SIGTERM"), SLO)
    assert not verdict.passed
    assert verdict.broken == ()
    assert verdict.limits[0].measured == 0


def test_a_run_that_was_stopped_at_once_has_nothing_to_show():
    verdict = judge_load(LoadResult({}, "2024-01-01T00:00:00+00:00", "SIGTERM", ()), SLO)
    assert [limit.measured for limit in verdict.limits] == [None, None, None]
    assert not verdict.passed
    assert verdict.broken == ()


def test_limits_that_are_not_set_are_not_judged():
    verdict = judge_load(run(phase(LoadStage(2, 100), right=0, slow=100)), Slo())
    assert verdict.passed
    assert [(limit.name, limit.allowed) for limit in verdict.limits] == [("max_error_share", 0)]


@pytest.mark.parametrize("errors", [1, 990])
def test_where_no_limit_allows_errors_there_may_be_none(errors):
    answers = 1000 - errors
    verdict = judge_load(
        run(phase(LoadStage(2, 1000), answers=answers, right=answers, errors=errors)), Slo(None, 100, 0.9)
    )
    assert not verdict.passed
    assert [limit.name for limit in verdict.broken] == ["max_error_share"]
