"""The champion rule: comparisons that keep or break it, their message and their record."""

import json

import pytest

from slipway.errors import GateFailed
from slipway.model.serving import Champion
from slipway.quality import champion
from slipway.quality.scoring import Prediction, Score


def score(right, rows=100, latency_ms=10.0):
    return Score([Prediction("1", "1" if row < right else "0", "model-a", latency_ms) for row in range(rows)])


def off_by(distance, latency_ms=10.0):
    return Score([Prediction("1", str(1 + distance), "model-a", latency_ms)] * 4)


def compared(rule, ours, theirs, regression=False):
    return champion.compare(Champion.model_validate(rule), ours, theirs, regression=regression)


@pytest.mark.parametrize(
    ("rule", "ours", "theirs", "kept"),
    [
        ({"better_by_at_least": 0.01}, 96, 95, True),
        ({"better_by_at_least": 0.01}, 95, 95, False),
        ({"better_by_at_least": 0}, 95, 95, True),
        ({"not_worse_than": 0.02}, 93, 95, True),
        ({"not_worse_than": 0.02}, 92, 95, False),
        ({"not_worse_than": 0}, 100, 95, True),
    ],
)
def test_the_rule_about_classes(rule, ours, theirs, kept):
    found = compared(rule, score(ours), score(theirs))
    assert (found.metric, found.candidate, found.live) == ("accuracy", ours / 100, theirs / 100)
    assert found.to_xcom()["passed"] is kept


@pytest.mark.parametrize(("ours", "theirs", "kept"), [(0.2, 0.25, True), (0.25, 0.25, False), (0.3, 0.25, False)])
def test_of_a_distance_less_is_better(ours, theirs, kept):
    found = compared({"better_by_at_least": 0.05}, off_by(ours), off_by(theirs), regression=True)
    assert found.metric == "rmse" and found.to_xcom()["passed"] is kept


@pytest.mark.parametrize("broken", ["nan", "inf", "-1e200"])
def test_every_number_is_better_than_a_live_model_without_one(broken):
    live = Score([Prediction("1", broken, "model-a", 1.0)] * 4)
    found = compared({"better_by_at_least": 0.05}, off_by(0.3), live, regression=True)
    assert found.to_xcom()["passed"] and json.dumps(found.to_xcom(), allow_nan=False)
    assert not compared({"not_worse_than": 1}, live, live, regression=True).to_xcom()["passed"]


def test_latency_is_a_bound_of_its_own():
    rule = {"not_worse_than": 0, "latency_p99_not_worse_than_ms": 5}
    assert compared(rule, score(99, latency_ms=15.0), score(95)).to_xcom()["passed"]
    slow = compared(rule, score(99, latency_ms=15.1), score(95))
    with pytest.raises(GateFailed, match=r"p99 latency of 15\.1 ms is more than 5 ms above the live one's 10\.0 ms"):
        slow.check("iris-model")


def test_a_broken_rule_says_by_how_much():
    found = compared({"not_worse_than": 0.02}, score(90), score(95))
    with pytest.raises(
        GateFailed,
        match=r"same 100 rows its accuracy of 0\.9 is 0\.05 worse, the live one's is 0\.95; "
        r"expected accuracy not worse by more than 0\.02",
    ):
        found.check("iris-model")
    assert found.record()["champion-rule"] == "accuracy not worse by more than 0.02: broken"


def test_as_good_is_not_better():
    with pytest.raises(GateFailed, match="is as good, the live one's"):
        compared({"better_by_at_least": 0.01}, score(95), score(95)).check("iris-model")


def test_a_live_model_that_fails_is_no_rival():
    found = compared({"better_by_at_least": 0.5}, score(50), None)
    found.check("iris-model")
    assert (found.record()["live-accuracy"], found.record()["live-latency-p99-ms"]) == ("failed", "failed")


def test_what_is_kept():
    assert compared({"not_worse_than": 0.1}, score(90), score(95)).record() == {
        "accuracy": "0.9",
        "live-accuracy": "0.95",
        "latency-p99-ms": "10",
        "live-latency-p99-ms": "10",
        "champion-rule": "accuracy not worse by more than 0.1: kept",
    }
