"""The model file's stress section: no load by default, and none above its caps."""

import pytest
from pydantic import ValidationError

from slipway.load.phases import LAB_STAGES, Arrivals, LoadStage
from slipway.load.plan import Caps
from slipway.model.stress import Stress


def stress(**fields) -> Stress:
    return Stress.model_validate(fields)


def test_nothing_is_allowed_unless_the_file_says_so():
    made = stress()
    assert (made.allowed, made.before_production) == (False, False)
    assert made.load_caps() == Caps()
    assert made.phases() == LAB_STAGES
    assert made.watch_seconds == 60


def test_stages_or_a_rate_take_the_place_of_the_labs():
    assert stress(stages=[{"concurrency": 3, "requests": 30}]).phases() == (LoadStage(3, 30),)
    rate = stress(rate_rps=20, duration_seconds=5, caps={"max_concurrency": 40})
    assert rate.phases() == (Arrivals(20, 5, 40),)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"rate_rps": 5}, "rate_rps and duration_seconds together"),
        ({"rate_rps": 5, "duration_seconds": 5, "stages": [{"concurrency": 1, "requests": 1}]}, "either stages or"),
        ({"stages": []}, "too_short"),
        ({"stages": [{"concurrency": 0, "requests": 1}]}, "greater_than_equal"),
        ({"caps": {"max_requests": 1000}}, "within caps"),
        ({"rate_rps": 3000, "duration_seconds": 1}, "within caps"),
        ({"before_production": True, "slo": {"p99_ms": 100}}, "allowed: true"),
        ({"allowed": True, "before_production": True}, "at least one limit"),
        ({"slo": {"max_error_share": 1.5}}, "less_than_equal"),
        ({"watch_seconds": -1}, "greater_than_equal"),
        ({"rate_rps": float("inf"), "duration_seconds": 5}, "finite_number"),
        ({"rate_rps": 5, "duration_seconds": float("nan")}, "finite_number"),
        ({"slo": {"p99_ms": float("inf")}}, "finite_number"),
        ({"caps": {"max_seconds": float("inf")}}, "finite_number"),
        ({"rate_rps": 1e300, "duration_seconds": 1e300, "caps": {"max_rate_rps": 1e301}}, "within caps"),
        ({"stages": [{"concurrency": 1, "requests": 10**400}]}, "within caps"),
    ],
)
def test_what_cannot_be_meant_is_refused(fields, said):
    with pytest.raises(ValidationError) as error:
        stress(**fields)
    assert said in str(error.value)
