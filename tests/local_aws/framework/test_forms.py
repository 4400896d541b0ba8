"""A form that several readers parse is parsed once, as urllib would."""

from urllib import parse

import pytest

from local_aws.framework import forms


@pytest.mark.parametrize("keep_blank_values", [False, True])
@pytest.mark.parametrize("text", ["", "a=1&a=2&b=%7B%22c%22%3A1%7D", "Tags=&a", "a=+x%20y", "=1&&a=%C3%A9%FF"])
def test_a_form_reads_as_urllib_reads_it(text, keep_blank_values):
    assert forms.parse_qs(text, keep_blank_values) == parse.parse_qs(text, keep_blank_values)


def test_what_one_reader_changes_another_does_not_see():
    first = forms.parse_qs("a=1")
    first["a"].append("2")
    first["b"] = []
    assert forms.parse_qs("a=1") == {"a": ["1"]}
