"""Places are found in any text; test_policy.py tests their spellings."""

import json
from urllib.parse import quote

from hypothesis import given
from hypothesis import strategies as st

from slipway.request.locations import Location, locations

SPELLINGS = [
    "s3://bucket/key",
    "s3a://bucket/key",
    "https://bucket.s3.amazonaws.com/key",
    "https://s3.us-west-2.amazonaws.com/bucket/key",
    "arn:aws:s3:::bucket/key",
]


@given(st.text(max_size=80))
def test_any_text_can_be_looked_through(text):
    for place in locations(text):
        assert place.uri is None or place.uri.startswith("s3://")


@given(
    st.sampled_from(SPELLINGS),
    st.lists(st.sampled_from([json.dumps, lambda text: quote(text, safe="")]), max_size=3),
    st.sampled_from(["", " ", "x=", "[", "a,", "see "]),
)
def test_a_place_is_found_behind_what_encodes_it(spelling, encodings, before):
    text = before + spelling
    for encode in encodings:
        text = encode(text)
    assert "s3://bucket/key" in {place.uri for place in locations(text)}


def test_a_place_that_names_no_bucket_has_no_uri():
    assert locations("https://example.com/x") == [Location("https://example.com/x")]
    assert locations("nothing") == []


def test_a_bucket_of_before_2018_is_not_taken_for_the_end_of_its_name():
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html: they may have underscores."""
    assert "s3://foo_bar/key" in {place.uri for place in locations("foo_bar.s3.amazonaws.com/key")}
    assert "s3://bar/key" in {place.uri for place in locations("_bar.s3.amazonaws.com/key")}
    assert [place.uri for place in locations("s3://foo_bar/key")] == ["s3://foo_bar/key"]
