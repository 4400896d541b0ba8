"""Whether two names may be one person's."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.model.people import each_once, likeness, same_person, under_two_names


@pytest.mark.parametrize(
    ("other", "same"),
    [
        ("alice", True),
        ("Alice ", True),
        ("ALICE", True),
        ("alice@example.com", True),
        ("alice+ml@example.com", True),
        ("arn:aws:sts::123456789012:assumed-role/Developer/alice@example.com", True),
        ("arn:aws:iam::123456789012:user/alice", True),
        ("CORP\\alice", True),
        ("corp.example.com/alice", True),
        ("AROAEXAMPLEID123456789:alice", True),
        ("AIDAEXAMPLEID123456789:Alice@example.com", True),
        ("google-oauth2|alice", True),
        ("Alice Smith <alice@example.com>", True),
        ("alice <mail@example.com>", True),
        ('"alice" <mail@example.com>', True),
        # Full width, Cyrillic, capitals of which one is Cyrillic, an accent, an invisible space, a digit.
        ("\uff41lice", True),
        ("\u0430lice", True),
        ("\u0410LICE", True),
        ("al\u00edce", True),
        ("a\u200blice", True),
        ("a1ice", True),
        ("aIice", True),
        ("alicea", False),
        ("malice", False),
        ("bob", False),
        ("bob <bob@alice.example.com>", False),
        ("alice/bob", False),
        ("123456789012", False),
        ("@", False),
        ("", False),
        (None, False),
    ],
)
def test_a_person_is_known_by_any_spelling(other, same):
    assert same_person("alice", other) is same


@given(st.text(max_size=20), st.text(max_size=20))
def test_it_does_not_matter_who_is_compared_with_whom(one, other):
    assert same_person(one, other) == same_person(other, one)
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        written = unicodedata.normalize(form, one)
        assert same_person(one, written) or not one.strip() or not same_person(one, one)


def test_people_under_two_names_are_found():
    assert under_two_names(["alice", "carol", "Alice"]) == ("alice", "Alice")
    assert under_two_names(["alice", "carol", "alice"]) is None
    assert each_once(["alice", "Alice", "carol", "alice@corp"]) == ["alice", "carol"]


def test_a_name_that_is_like_another_is_told_apart_in_words():
    assert (
        likeness("\u0430lice", ["carol", "alice"]) == r" '\u0430lice' is not alice: names must agree letter by letter."
    )
    for name in ("alice", "bob", None):
        assert likeness(name, ["carol", "alice"]) == ""
