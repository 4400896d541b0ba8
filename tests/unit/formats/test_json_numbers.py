"""Numbers in JSON: finite ones stay numbers, the others are texts that read back."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.formats.json_numbers import json_value, number_of, number_text


@given(st.floats())
def test_every_number_passes_through_strict_json(number):
    read = number_of(json.loads(json.dumps(json_value(number), allow_nan=False)))
    assert read == number or (math.isnan(read) and math.isnan(number))


def test_numbers_inside_a_document_are_found():
    document = {"a": [1, math.nan, {"b": (math.inf, -math.inf)}], "c": True, "d": None, "e": "text"}
    expected = {"a": [1, "NaN", {"b": ["Infinity", "-Infinity"]}], "c": True, "d": None, "e": "text"}
    assert json_value(document) == expected


@pytest.mark.parametrize(
    ("number", "text"),
    [(0.04, "0.04"), (math.nan, "not a number"), (math.inf, "infinite"), (-math.inf, "-infinite")],
)
def test_numbers_for_people(number, text):
    assert number_text(number) == text


def test_a_missing_number_is_not_a_number():
    assert math.isnan(number_of(None))


@pytest.mark.parametrize("value", ["failed", "", [], {}, 10**400])
def test_something_else_is_not_a_number(value):
    assert math.isnan(number_of(value))
