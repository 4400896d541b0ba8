"""What a decision's record can hold of what people type."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.registry.record import comment_problem, description


@pytest.mark.parametrize("text", ["", "fine", "Größe\n\tpasst 👍", "x" * 1024])
def test_what_people_type_is_kept(text):
    assert comment_problem(text) is None


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("x" * 1025, "The comment has 1025 characters, at most 1024 can be kept."),
        ("ab\ud83d", "The comment's character 3, U+D83D, cannot be kept: remove it."),
        ("\udc4d", "character 1, U+DC4D"),
        ("a\0b", "character 2, U+0000"),
        ("\x1b[31m", "character 1, U+001B"),
    ],
)
def test_what_cannot_be_kept_is_said(text, why):
    assert why in comment_problem(text)


@given(st.text(st.characters(exclude_categories=[]), max_size=1100))
def test_what_passes_can_be_sent_to_aws_and_kept_in_a_database(text):
    why = comment_problem(text)
    if why is None:
        assert len(description(text)) <= 1024
        assert "\0" not in text
        json.dumps(text, ensure_ascii=False).encode()
    else:
        why.encode()
