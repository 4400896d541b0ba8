"""Names of one AWS API in the fields of the next, for all that botocore's models allow."""

import re

import pytest
from botocore.session import get_session
from hypothesis import example, given
from hypothesis import strategies as st

from local_aws.framework.validation import Validator
from slipway import names
from slipway.formats.encoding import TAG_VALUE_MAX_CHARS, decoded, encoded, fits

MODEL = get_session().get_service_model("sagemaker")
SIMPLE = st.from_regex(r"[A-Za-z0-9_.:/+@-]([A-Za-z0-9_.:/+@ -]{0,110}[A-Za-z0-9_.:/+@-])?", fullmatch=True)
# MetricDefinition's Name is Java's .+ of at most 255 characters; Airflow's run ids have 250.
LINES = st.text(st.characters(exclude_characters="\n\r\u0085\u2028\u2029", exclude_categories=["Cs"]), min_size=1)


def refused(shape: str, value: object) -> list[str]:
    """What botocore's model, as the local AWS reads it, has against a value."""
    validator = Validator()
    validator.check(MODEL.shape_for(shape), value)
    return validator.failures


@given(LINES.filter(lambda name: len(name) <= 255))
@example("error (%)")
@example("a=3D")
@example("=")
@example("~")
@example("100%")
def test_a_metric_is_kept_under_a_key_that_reads_back_or_is_known_to_be_too_long(name):
    assert not refused("MetricName", name)
    key = names.metric_key(name)
    assert names.metric_of_key(key) == name
    assert bool(refused("CustomerMetadataKey", key)) is not names.keeps_metric(name)


@given(SIMPLE)
def test_simple_names_stay_as_they_are(name):
    assert encoded(name) == decoded(name) == name
    assert names.metric_key(name) == f"metric/{name}"


@given(LINES, LINES)
def test_no_two_names_share_an_encoding(one, other):
    assert (encoded(one) == encoded(other)) is (one == other)


@given(LINES.filter(lambda text: len(text) <= 250))
def test_a_run_id_is_a_tags_value_that_reads_back_or_is_known_to_be_too_long(run_id):
    assert decoded(encoded(run_id)) == run_id
    assert bool(refused("TagValue", encoded(run_id))) is not fits(run_id, TAG_VALUE_MAX_CHARS)


@pytest.mark.parametrize("stored", ["a=b", "ü", "f1=0.5", "=zz", "=FF", "=e2=82=ac"])
def test_what_was_stored_before_there_was_an_encoding_is_read_as_it_is(stored):
    assert decoded(stored) == stored


def test_the_limits_are_those_of_botocores_model():
    assert MODEL.shape_for("TagValue").metadata["max"] == TAG_VALUE_MAX_CHARS
    assert names.keeps_metric("x" * (MODEL.shape_for("CustomerMetadataKey").metadata["max"] - len("metric/")))
    assert not names.keeps_metric("x" * (MODEL.shape_for("CustomerMetadataKey").metadata["max"] - len("metric/") + 1))


def test_reports_of_runs_whose_ids_differ_in_a_character_are_in_different_folders():
    reports = {names.stress_key("m", run_id, "report.html") for run_id in ("a~b", "a-b", "a b", "a(b")}
    assert len(reports) == 4
    assert all(re.fullmatch(r"[\w./-]+", report) for report in reports)
