"""Claims: a version belongs to one run, and a new attempt is a new release."""

import json
from dataclasses import replace

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from slipway import names
from slipway.plan import Revision
from slipway.source.claims import Claim, Claims, refusal
from tests.unit.stage_runs import MemoryDocuments

REVISION = Revision("b", "k", "v1", "etag", 1, "2026-05-01T12:00:00+00:00", sequence="2026-05-01T12:00:00.000002+00:00")
DAG = "iris-model"


@pytest.fixture
def documents() -> MemoryDocuments:
    return MemoryDocuments()


def claim(documents, run_id, *, new_attempt=False, deleted=()):
    claims = Claims(documents, "b", DAG, lambda dag_id, run_id: run_id not in deleted)
    return claims.claim(REVISION, DAG, run_id, new_attempt=new_attempt)


def test_the_first_attempt_has_the_versions_own_identity_and_place(documents):
    claimed = claim(documents, "one")
    assert claimed == REVISION
    assert claimed.revision_id == names.revision_id("b", "k", "v1")
    assert list(documents.bodies) == [f"releases/{DAG}/{claimed.revision_id}/claim.json"]


def test_a_run_finds_its_own_claim_again(documents):
    first = claim(documents, "one")
    assert claim(documents, "one") == first
    assert documents.writes == 1


def test_a_version_with_the_claim_of_another_run_is_refused(documents):
    claim(documents, "one")
    standing = claim(documents, "two")
    assert isinstance(standing, Claim)
    assert (standing.dag_id, standing.run_id) == (DAG, "one")
    assert claim(documents, "one") == REVISION


def test_a_run_that_was_deleted_leaves_its_claim_and_its_place_in_the_order(documents):
    claim(documents, "one")
    assert claim(documents, "two", deleted={"one"}) == REVISION
    assert isinstance(claim(documents, "three"), Claim)


def test_new_attempts_count_on_and_are_ordered_by_when_they_were_asked_for(documents):
    claim(documents, "one")
    second = claim(documents, "two", new_attempt=True)
    third = claim(documents, "three", new_attempt=True)
    assert [one.attempt for one in (second, third)] == [2, 3]
    assert REVISION.sequence < second.sequence < third.sequence
    assert len({one.revision_id for one in (REVISION, second, third)}) == 3
    assert claim(documents, "two", new_attempt=True) == second


def test_a_new_attempt_begins_with_nothing_even_where_the_run_before_was_deleted(documents):
    claim(documents, "one")
    assert claim(documents, "two", new_attempt=True, deleted={"one"}).attempt == 2


def test_a_new_attempt_at_what_was_never_released_is_the_first_and_the_newest(documents):
    claimed = claim(documents, "one", new_attempt=True)
    assert claimed.attempt == 1
    assert claimed.sequence > REVISION.sequence
    # After a crash it keeps its sequence.
    assert claim(documents, "one", new_attempt=True) == claimed


def test_the_loser_of_a_race_sees_the_winner(documents):
    class Raced(MemoryDocuments):
        def write(self, bucket, key, content, *, etag):
            if not self.bodies:
                claim(self, "winner") if content["run_id"] != "winner" else None
            return super().write(bucket, key, content, etag=etag)

    standing = claim(Raced(), "loser")
    assert standing.run_id == "winner"


@pytest.mark.parametrize(
    ("run_id", "kind"),
    [
        ("manual__1", AirflowFailException),
        # Nothing is wrong: a person was faster than the run that the upload started.
        ("s3__2026-05-01T12-00-00Z_0123456789abcdef", AirflowSkipException),
    ],
)
def test_the_refusal_names_the_run_and_the_fix(run_id, kind):
    standing = Claim(DAG, "s3__abc", "", "2026-05-01T12:00:00+00:00")
    error = refusal(replace(REVISION), standing, run_id, newest=False)
    assert isinstance(error, kind)
    assert "The run s3__abc has this version (s3://b/k version v1)" in str(error)
    assert f"/dags/{DAG}/runs/s3__abc" in str(error)
    assert f"{names.RELEASE_AGAIN}, or press Trigger, write v1 into" in str(error)
    newest = refusal(replace(REVISION), standing, run_id, newest=True)
    assert "The run s3__abc has the newest version (s3://b/k version v1)" in str(newest)


def test_a_sequence_in_the_future_is_not_taken_over(documents):
    """The run that took it over would be newer than every later release."""
    claim(documents, "one")
    (key,) = documents.bodies
    forged = json.loads(documents.bodies[key]) | {"sequence": "9999-12-31T23:59:59+00:00"}
    documents.bodies[key] = json.dumps(forged)
    assert claim(documents, "two", deleted={"one"}) == REVISION
