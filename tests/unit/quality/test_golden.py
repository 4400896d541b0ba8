"""The golden set: every row is predicted correctly, or the error names it with both labels."""

import pytest

from slipway.errors import EndpointTestFailed
from slipway.quality import golden
from slipway.quality.scoring import Prediction


def answers(*pairs):
    return [Prediction(label, prediction, "model-a", 1.0) for label, prediction in pairs]


def test_right_classes_pass():
    golden.check(answers(("0", "0.0"), ("2", "0.1,0.2,0.7"), ("setosa", "setosa")), None, "endpoint")


def test_numbers_within_the_tolerance_pass():
    golden.check(answers(("1.5", "1.45"), ("-2", "[-2.1]")), 0.11, "endpoint")


@pytest.mark.parametrize("prediction", ["1.62", "nan", "many", "0.1,0.9"])
def test_other_numbers_do_not(prediction):
    with pytest.raises(EndpointTestFailed, match=r"row 2: expected '1\.5', got"):
        golden.check(answers(("1", "1"), ("1.5", prediction)), 0.11, "endpoint")


def test_a_few_wrong_rows_are_named_and_the_others_counted():
    given = answers(*[("0", "1")] * 7, ("0", "0"))
    with pytest.raises(EndpointTestFailed) as error:
        golden.check(given, None, "iris-model-development")
    text = str(error.value)
    assert "7 of 8 rows of the golden set wrongly (iris-model-development)" in text
    assert "row 1: expected '0', got '1'" in text and "row 5" in text and "row 6" not in text and "2 more" in text


def test_a_long_answer_is_cut():
    with pytest.raises(EndpointTestFailed) as error:
        golden.check(answers(("0", "x" * 10_000)), None, "endpoint")
    assert len(str(error.value)) < 500
