"""Labelled rows."""

import pytest

from slipway.load.errors import UnreadableRows
from slipway.load.rows import Row, parse_row


@pytest.mark.parametrize(
    ("line", "row"),
    [
        ("2,6.3,3.3\n", Row("2", "6.3,3.3")),
        (" setosa ,5.1", Row("setosa", "5.1")),
        ('"2","6.3",3.3', Row("2", '"6.3",3.3')),
        ('"a ""b"", c" ,5.1', Row('a "b", c', "5.1")),
    ],
)
def test_a_line_is_a_label_and_its_features(line, row):
    assert parse_row(line, "a.csv") == row


@pytest.mark.parametrize("line", ["2", "", ",1,2", "2,", ",", '"a', '"a\n', '"a" b,1'])
def test_another_line_is_told_with_its_file(line):
    with pytest.raises(UnreadableRows, match=r"a\.csv: a line is not a label and its features"):
        parse_row(line, "a.csv")
