"""A trial's record in a model package's metadata."""

import re
from dataclasses import replace

import pytest

from slipway.errors import UnreadableDocument
from slipway.registry.record import Candidate
from slipway.signed.proofs import signer
from slipway.states import TrialOutcome, TrialVerdict
from slipway.trial.figures import TrialComparison, VariantFigures
from slipway.trial.record import STAGE, TrialRecord, outcome_properties, record_of, verdict_properties

FIGURES = TrialComparison(VariantFigures(100, 1, 8.0, 20.0, 10, 9), VariantFigures(40), "then", "now")
MADE = TrialRecord(TrialVerdict.PROMOTE, "alice", "2026-05-02T08:00:00+00:00", "Airflow", "looks good")
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateModelPackage.html
ALLOWED = re.compile(r"[\w .:/=+\-@]{1,256}")


def package(**properties: str) -> dict:
    return {"ModelPackageArn": "arn:p/1", "CustomerMetadataProperties": properties}


def signed(record: TrialRecord, arn: str = "arn:p/1") -> TrialRecord:
    """The record of an answer that the guard has let through."""
    said = Candidate(arn, "", "").statement(
        "Promote", by=record.decided_by, at=record.decided_at, how=record.how, stage=STAGE
    )
    return replace(record, proof=signer().prove("0" * 11, *said))


def test_it_is_read_as_it_was_written():
    written = verdict_properties(signed(MADE), FIGURES)
    assert all(ALLOWED.fullmatch(value) for value in written.values())
    assert record_of(package(**written)) == MADE
    assert MADE.stands


@pytest.mark.parametrize(
    "forged",
    [MADE, replace(signed(MADE), decided_by="carol"), replace(signed(MADE), decided_at="now"), signed(MADE, "arn:p/2")],
)
def test_an_answer_that_the_guard_has_not_signed_is_no_verdict(forged):
    assert record_of(package(**verdict_properties(forged, FIGURES))) is None


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
    with pytest.raises(UnreadableDocument, match="slipway-trial-verdict is the text 'maybe', expected one of promote"):
        record_of(package(**{"slipway-trial-verdict": "maybe"}))
