"""What a rule says of the figures of two variants."""

import pytest

from slipway.model.trial import TrialRule
from slipway.states import TrialVerdict
from slipway.trial.figures import TrialComparison, VariantFigures, error_limit, judge

LIVE = VariantFigures(1000, 10, 8.0, 20.0, labelled=200, right=190)
GOOD = VariantFigures(100, 1, 9.0, 25.0, labelled=50, right=47)


def comparison(trial=GOOD, live=LIVE) -> TrialComparison:
    return TrialComparison(live, trial, "2026-05-01T12:00:00+00:00", "2026-05-01T13:00:00+00:00")


def verdict(trial=GOOD, live=LIVE, *, needs_truth=True, **rule) -> tuple[TrialVerdict, str]:
    said = judge(comparison(trial, live), TrialRule.model_validate(rule), needs_truth=needs_truth)
    return said.verdict, "; ".join(said.reasons)


def test_what_is_within_the_bounds_is_promoted():
    assert verdict()[0] is TrialVerdict.PROMOTE


@pytest.mark.parametrize(
    ("trial", "why"),
    [
        (VariantFigures(100, 3, 9.0, 25.0, 50, 47), "3.00% of model-b's answers are errors, the limit is 2.00%"),
        (VariantFigures(100, 1, 9.0, 30.1, 50, 47), "p99 of model-b is 30.1 ms, the limit is 30.0 ms"),
        (VariantFigures(100, 1, 9.0, 25.0, 50, 46), "accuracy of model-b is 0.9200, the limit is 0.9300"),
    ],
)
def test_what_is_worse_than_a_bound_is_retired(trial, why):
    assert verdict(trial) == (TrialVerdict.RETIRE, why)


@pytest.mark.parametrize(
    ("trial", "why"),
    [
        (VariantFigures(29, 0, 9.0, 25.0, 50, 47), "model-b had 29 invocations, the rule wants 30"),
        (VariantFigures(29, 29, 9.0, 900.0, 50, 47), "model-b had 29 invocations, the rule wants 30"),
        (VariantFigures(100, 1, None, None, 50, 47), "CloudWatch has no p99"),
        (VariantFigures(100, 1, 9.0, 25.0), "no ground truth"),
    ],
)
def test_what_cannot_be_told_is_kept(trial, why):
    said, reason = verdict(trial)
    assert said is TrialVerdict.KEEP
    assert why in reason


def test_figures_that_the_rule_does_not_ask_for_may_be_missing():
    bare = VariantFigures(100, 1)
    assert verdict(bare, VariantFigures(1000, 10), needs_truth=False, latency_p99_ratio=None)[0] is TrialVerdict.PROMOTE


def test_a_live_model_that_fails_too_raises_the_limit():
    assert error_limit(VariantFigures(10, 5), TrialRule()) == pytest.approx(0.51)
    assert error_limit(VariantFigures(), TrialRule()) == pytest.approx(0.01)


def test_it_survives_json_and_is_shown_side_by_side():
    made = comparison(VariantFigures(7))
    assert TrialComparison.from_json(made.to_json()) == made
    text = made.markdown()
    assert "| Invocations | 1000 | 7 |" in text
    assert "| Accuracy | 0.9500 | - |" in text
    assert str(GOOD) == "100 invocations, 1 errors (1.00%), p50 9.0 ms, p99 25.0 ms, accuracy 0.9400 of 50"
