"""Claims: a version belongs to one run, and a new attempt is a new release."""

import json
import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count, takewhile

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from hypothesis import given
from hypothesis import strategies as st

from slipway import names
from slipway.plan import Revision
from slipway.source.claims import Claim, Claims, refusal
from tests.unit.stage_runs import MemoryDocuments

REVISION = Revision("b", "k", "v1", "etag", 1, "2026-05-01T12:00:00+00:00", sequence="2026-05-01T12:00:00.000002+00:00")
DAG = "iris-model"
BEGAN = datetime.now(UTC)


@pytest.fixture
def documents() -> MemoryDocuments:
    return MemoryDocuments()


def claims_in(documents, deleted=()):
    return Claims(documents, "b", DAG, lambda dag_id, run_id: run_id not in deleted)


def claim(documents, run_id, *, new_attempt=False, deleted=(), began=BEGAN):
    return claims_in(documents, deleted).claim(REVISION, DAG, run_id, began=began, new_attempt=new_attempt)


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


def key_of(attempt: int) -> str:
    return names.claim_key(DAG, replace(REVISION, attempt=attempt).revision_id)


def released(attempts, at=BEGAN - timedelta(days=1)) -> MemoryDocuments:
    """What these attempts have left, each by a run of its own, a second after the other."""
    made = MemoryDocuments()
    for attempt in attempts:
        moment = (at + timedelta(seconds=attempt)).isoformat()
        made.bodies[key_of(attempt)] = json.dumps(Claim(DAG, f"run{attempt}", moment, moment).to_json())
    return made


def walked(documents: MemoryDocuments) -> int:
    """The last attempt, found by a look at each."""
    return sum(1 for _ in takewhile(lambda attempt: key_of(attempt) in documents.bodies, count(1)))


@given(
    st.integers(0, 3000)
    | st.integers(0, 12).map(lambda power: 2**power)
    | st.integers(1, 12).map(lambda power: 2**power - 1)
)
def test_the_search_finds_what_a_look_at_each_attempt_finds(attempts):
    documents = released(range(1, attempts + 1))
    found = claims_in(documents).last(REVISION)
    assert (found[0] if found else 0) == walked(documents) == attempts
    assert found is None or found[1].run_id == f"run{attempts}"
    assert documents.reads <= 2 * math.log2(attempts + 1) + 2
    reads = documents.reads
    claimed = claim(documents, "new", new_attempt=True)
    assert claimed.attempt == attempts + 1
    # The search again, and the read before the conditional write.
    assert documents.reads - reads == reads + 1


@given(st.integers(0, 40), st.sets(st.integers(1, 40)))
def test_where_somebody_has_removed_claims_no_attempt_is_given_twice(attempts, removed):
    """Slipway removes none."""
    documents = released(set(range(1, attempts + 1)) - removed)
    there = dict(documents.bodies)
    given = [claim(documents, f"new{number}", new_attempt=True) for number in range(3)]
    keys = {key_of(one.attempt) for one in given}
    assert len(keys) == 3
    assert not keys & there.keys()
    assert documents.bodies.items() >= there.items()


def test_there_is_no_last_number():
    assert claim(released(range(1, 1201)), "new", new_attempt=True).attempt == 1201


@pytest.mark.parametrize("later", [0, 1, 2, 40])
def test_a_run_finds_its_own_attempt_again_however_many_came_after_it(later):
    documents = released(range(1, 101))
    mine = claim(documents, "mine", new_attempt=True)
    for number in range(later):
        claim(documents, f"later{number}", new_attempt=True)
    writes = documents.writes
    assert claim(documents, "mine", new_attempt=True) == mine
    assert documents.writes == writes


def test_a_clock_that_is_off_hides_no_attempt():
    """The run was made by a fast clock, and the claims were written by slow ones; AWS accepts 15 minutes."""
    documents = released(range(1, 100))
    mine = claim(documents, "mine", new_attempt=True)
    for number in range(3):
        claim(documents, f"later{number}", new_attempt=True)
    assert claim(documents, "mine", new_attempt=True, began=datetime.now(UTC) + timedelta(minutes=29)) == mine


def test_the_claims_from_before_a_run_are_not_read_for_its_own():
    documents = released(range(1, 366))
    claim(documents, "new", new_attempt=True)
    assert documents.reads == 19


@pytest.mark.parametrize("moment", ["", "yesterday", "2026-05-01T12:00:00"])
def test_a_claim_that_does_not_say_when_ends_no_search(moment):
    documents = released([1])
    mine = claim(documents, "mine", new_attempt=True)
    for attempt in (3, 4):
        documents.bodies[key_of(attempt)] = json.dumps(Claim(DAG, f"run{attempt}", "", moment).to_json())
    assert claim(documents, "mine", new_attempt=True) == mine


class Killed(Exception):
    """The process is gone."""


class Killing(MemoryDocuments):
    """Kills the process before or after its call of a number, and lets another run release meanwhile."""

    def __init__(self, documents: MemoryDocuments, call: int, *, after: bool) -> None:
        super().__init__()
        self.bodies, self.call, self.after = documents.bodies, call, after

    def read(self, bucket, key):
        return self._killed(lambda: MemoryDocuments.read(self, bucket, key))

    def write(self, bucket, key, content, *, etag):
        return self._killed(lambda: MemoryDocuments.write(self, bucket, key, content, etag=etag))

    def _killed(self, act):
        self.call -= 1
        if self.call == 0 and not self.after:
            raise Killed
        answer = act()
        if self.call == 0:
            raise Killed
        return answer


@pytest.mark.parametrize("another", [False, True])
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("attempts", [0, 1, 5, 8])
def test_a_run_that_is_killed_at_any_call_has_one_attempt(attempts, after, another):
    for call in count(1):
        documents = released(range(1, attempts + 1))
        try:
            claim(Killing(documents, call, after=after), "mine", new_attempt=True)
            break
        except Killed:
            pass
        if another:
            claim(documents, "another", new_attempt=True)
        mine = claim(documents, "mine", new_attempt=True)
        owners = [json.loads(documents.bodies[key_of(one)])["run_id"] for one in range(1, len(documents.bodies) + 1)]
        assert owners.count("mine") == 1
        assert owners[mine.attempt - 1] == "mine"
        assert len(owners) == attempts + 1 + another
    assert call > 2


@pytest.mark.parametrize("attempts", [0, 1, 5, 8])
def test_runs_that_come_between_any_two_calls_have_attempts_of_their_own(attempts):
    class Raced(MemoryDocuments):
        """Another run releases before the call of a number."""

        at = 0

        def read(self, bucket, key):
            self._race()
            return super().read(bucket, key)

        def write(self, bucket, key, content, *, etag):
            self._race()
            return super().write(bucket, key, content, etag=etag)

        def _race(self):
            self.at -= 1
            if self.at == 0:
                others = MemoryDocuments()
                others.bodies = self.bodies
                for number in range(3):
                    claim(others, f"other{number}", new_attempt=True)

    for call in count(1):
        documents = Raced()
        documents.bodies = released(range(1, attempts + 1)).bodies
        documents.at = call
        claim(documents, "mine", new_attempt=True)
        if documents.at > 0:
            break
        owners = [json.loads(documents.bodies[key_of(one)])["run_id"] for one in range(1, len(documents.bodies) + 1)]
        assert sorted(owners[attempts:]) == ["mine", "other0", "other1", "other2"]
