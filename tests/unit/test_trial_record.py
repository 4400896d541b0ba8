"""A trial's record in a model package's metadata."""

import re

import pytest

from slipway.states import TrialOutcome, TrialVerdict
from slipway.trial import Comparison, VariantFigures
from slipway.trial_record import TrialRecord, outcome_properties, record_of, verdict_properties

FIGURES = Comparison(VariantFigures(100, 1, 8.0, 20.0, 10, 9), VariantFigures(40), "then", "now")
MADE = TrialRecord(TrialVerdict.PROMOTE, "alice", "2026-05-02T08:00:00+00:00", "Airflow", "looks good")
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateModelPackage.html
ALLOWED = re.compile(r"[\w .:/=+\-@]{1,256}")


def package(**properties: str) -> dict:
    return {"CustomerMetadataProperties": properties}


def test_it_is_read_as_it_was_written():
    written = verdict_properties(MADE, FIGURES)
    assert all(ALLOWED.fullmatch(value) for value in written.values())
    assert record_of(package(**written)) == MADE
    assert MADE.stands


@pytest.mark.parametrize(
    ("verdict", "outcome", "stands"),
    [
        (TrialVerdict.PROMOTE, TrialOutcome.PROMOTED, True),
        (TrialVerdict.PROMOTE, TrialOutcome.SENT_BACK, False),
        (TrialVerdict.KEEP, TrialOutcome.KEPT, False),
        (TrialVerdict.RETIRE, TrialOutcome.RETIRED, True),
    ],
)
def test_a_verdict_that_left_both_variants_may_be_followed_by_another(verdict, outcome, stands):
    written = verdict_properties(TrialRecord(verdict), FIGURES) | outcome_properties(outcome, "because")
    record = record_of(package(**written))
    assert (record.outcome, record.outcome_why, record.stands) == (outcome, "because", stands)


def test_a_verdict_changed_in_sagemaker_is_nobodys_here_and_has_no_outcome_yet():
    written = verdict_properties(TrialRecord(TrialVerdict.KEEP, "alice"), FIGURES)
    written |= outcome_properties(TrialOutcome.KEPT, "") | {"slipway-trial-verdict": "promote"}
    record = record_of(package(**written))
    assert (record.verdict, record.decided_by, record.how) == (TrialVerdict.PROMOTE, "unknown", "SageMaker")
    assert record.outcome is None


def test_without_a_verdict_there_is_no_record():
    assert record_of({}) is None
    assert record_of(package(**outcome_properties(TrialOutcome.SUPERSEDED, "s3__1"))) is None


def test_an_unknown_verdict_is_not_taken_for_a_known_one():
    with pytest.raises(ValueError, match="unknown TrialVerdict"):
        record_of(package(**{"slipway-trial-verdict": "maybe"}))
