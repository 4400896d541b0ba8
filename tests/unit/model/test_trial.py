"""The model file's trial: defaults that promote nothing, and steps that end with all requests."""

import pytest
from pydantic import ValidationError

from slipway.model.trial import Trial
from slipway.states import Decider


def test_a_person_decides_unless_the_file_says_otherwise():
    trial = Trial.model_validate({})
    assert (trial.decide, trial.steps, trial.ground_truth) == (Decider.PERSON, [0.5, 1.0], None)


def test_a_rule_may_decide():
    trial = Trial.model_validate({"decide": "rule", "invocations": 200, "rule": {"latency_p99_ratio": None}})
    assert trial.decide is Decider.RULE
    assert trial.rule.latency_p99_ratio is None


@pytest.mark.parametrize("steps", [[], [0.5], [0.5, 0.4, 1.0], [0.5, 0.5, 1.0], [0.0, 1.0], [0.5, 1.5]])
def test_steps_grow_and_end_with_all_requests(steps):
    with pytest.raises(ValidationError):
        Trial.model_validate({"steps": steps})


@pytest.mark.parametrize(
    "fields", [{"minutes": 0}, {"decide": "coin"}, {"rule": {"error_share_margin": 2.0}}, {"ground_truth": "s3://b"}]
)
def test_what_is_out_of_range_is_refused(fields):
    with pytest.raises(ValidationError):
        Trial.model_validate(fields)
