"""Scores of an endpoint's answers."""

import math

import pytest

from slipway.errors import EndpointTestFailed
from slipway.load.answers import Answers
from slipway.quality.scoring import Prediction, Score


def test_what_a_row_of_answers_adds_up_to():
    score = Score(
        [
            Prediction("1", "1.0", "model-a", 10),
            Prediction("0", "1.0", "model-b", 30),
            Prediction("1", "1", "model-a", 20),
        ]
    )
    assert (score.correct, round(score.accuracy, 3)) == (2, 0.667)
    assert score.variants == {"model-a": 2, "model-b": 1}
    assert (score.latency_ms(50), score.latency_ms(99)) == (20, 30)


def test_regression_is_measured_by_distance():
    assert Score([Prediction("1.5", "1.0", "a", 1), Prediction("2.5", "[3.0]", "a", 1)]).rmse == 0.5


def test_regression_needs_numbers():
    with pytest.raises(EndpointTestFailed, match="not a number"):
        _ = Score([Prediction("a", "1.0", "a", 1)]).rmse


def test_what_a_prediction_means_follows_from_the_variant_that_made_it():
    margin, share = Answers.MARGIN, Answers.PROBABILITY
    score = Score([Prediction("1", "0.3", "model-a", 1, margin), Prediction("0", "0.3", "model-b", 1, share)])
    assert score.correct == 2


def test_an_answer_of_several_numbers_has_no_rmse():
    with pytest.raises(EndpointTestFailed, match="not a number"):
        _ = Score([Prediction("1", "0.1,0.9", "a", 1)]).rmse


def test_a_distance_that_is_too_large_to_square_is_infinite():
    assert Score([Prediction("1e200", "-1e200", "a", 1)]).rmse == math.inf


def test_answers_that_name_no_class_have_no_accuracy():
    numbers = Score([Prediction("1", "1.0", "a", 1, Answers.NUMBER)])
    numbers.check(regression=True)
    with pytest.raises(EndpointTestFailed, match="name no classes"):
        numbers.check(regression=False)


def test_distances_whose_squares_are_too_large_to_add_are_infinite():
    assert Score([Prediction("0", "1.2e154", "a", 1)] * 2).rmse == math.inf
