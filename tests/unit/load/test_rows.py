"""Labelled rows and predictions."""

import pytest

from slipway.load.rows import Row, is_right, parse_row


@pytest.mark.parametrize(
    ("line", "row"),
    [("2,6.3,3.3\n", Row("2", "6.3,3.3")), (" setosa ,5.1", Row("setosa", "5.1")), ("2", None), ("", None)],
)
def test_a_line_is_a_label_and_its_features(line, row):
    assert parse_row(line) == row


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
