"""Scores of an endpoint's answers."""

import pytest

from slipway.errors import EndpointTestFailed
from slipway.scoring import Answer, Score, is_right


@pytest.mark.parametrize(
    ("label", "prediction", "right"),
    [
        ("2", "2.0", True),
        ("2", "1.0\n", False),
        ("1", "0.93", True),
        ("0", "0.93", False),
        ("1", "[0.1,0.8,0.1]", True),
        ("0", "0.1,0.8,0.1", False),
        ("setosa", "setosa\n", True),
        ("setosa", "virginica", False),
        ("1", "nan", False),
    ],
)
def test_a_prediction_names_a_class(label, prediction, right):
    assert is_right(label, prediction) is right


def test_what_a_row_of_answers_adds_up_to():
    score = Score(
        [Answer("1", "1.0", "model-a", 10), Answer("0", "1.0", "model-b", 30), Answer("1", "1", "model-a", 20)]
    )
    assert (score.correct, round(score.accuracy, 3)) == (2, 0.667)
    assert score.variants == {"model-a": 2, "model-b": 1}
    assert (score.latency_ms(50), score.latency_ms(99)) == (20, 30)


def test_regression_is_measured_by_distance():
    assert Score([Answer("1.5", "1.0", "a", 1), Answer("2.5", "3.0", "a", 1)]).rmse == 0.5


def test_regression_needs_numbers():
    with pytest.raises(EndpointTestFailed, match="not a number"):
        _ = Score([Answer("a", "1.0", "a", 1)]).rmse
