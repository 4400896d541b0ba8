"""Boards and claims on the local AWS's S3: races of threads, and the order of uploads within one second."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from threading import Barrier

import pytest

from slipway import names
from slipway.aws.documents import S3Documents
from slipway.source.claims import Claim, Claims
from slipway.source.versions import S3Versions
from slipway.stages.board import Board, Outcome
from slipway.stages.gate import StageGate, Ticket
from slipway.states import BoardStage, ExecutionMode
from tests.local_aws.hooks import lead_hooks_to
from tests.unit.request_samples import BUCKET
from tests.unit.stages.test_board import entry

pytestmark = pytest.mark.local_aws
RACERS = 8


@pytest.fixture(scope="module", autouse=True)
def aws(local_aws):
    with pytest.MonkeyPatch.context() as patch:
        lead_hooks_to(local_aws.endpoint_url, patch)
        yield local_aws


def ticket(key: str, number: int, mode: ExecutionMode, stage: BoardStage = BoardStage.DEV) -> Ticket:
    return Ticket(BUCKET, key, stage, mode, entry(number))


def race(count: int, runner):
    """Run something in threads at once, each with a hook of its own; gives what came out in their order."""
    barrier = Barrier(count)

    def run(number: int):
        hook = S3Documents(aws_conn_id=None)
        hook.s3.conn  # noqa: B018
        barrier.wait(60)
        return runner(hook, number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


@pytest.mark.parametrize("mode", ExecutionMode)
def test_of_many_releases_at_one_stage_exactly_one_has_it(aws, mode):
    key = f"releases/race-{mode.value.lower()}/stages.json"

    def come(hook, number):
        return StageGate(hook, lambda dag_id, run_id: True).enter(ticket(key, number, mode))

    verdicts = race(RACERS, come)
    (first,) = [number for number, verdict in enumerate(verdicts) if verdict.outcome is Outcome.ENTERED]
    board = Board.from_json(S3Documents(aws_conn_id=None).read(BUCKET, key).content)
    assert board[BoardStage.DEV].holder.run_id == f"run{first}"
    # Nobody was lost: those who did not enter wait, or were overtaken by a newer one.
    waiting = {one.run_id for one in board[BoardStage.DEV].waiting}
    for number, verdict in enumerate(verdicts):
        if verdict.outcome is Outcome.WAIT:
            assert f"run{number}" in waiting
        elif verdict.outcome is Outcome.OVERTAKEN:
            assert verdict.other.is_newer_than(entry(number))
    # As many conditional writes succeeded as there are releases that the board knows.
    written = [call for call in aws.ledger(operation="PutObject", outcome="ok") if key in str(call["resource"])]
    assert len(written) == len([verdict for verdict in verdicts if verdict.outcome is not Outcome.OVERTAKEN])


def test_a_lease_that_is_left_goes_to_exactly_one_of_those_that_wait(aws):
    key = "releases/handover/stages.json"
    hook = S3Documents(aws_conn_id=None)
    gate = StageGate(hook, lambda dag_id, run_id: True)
    for number in range(RACERS):
        gate.enter(ticket(key, number, ExecutionMode.PARALLEL))
    gate.leave(ticket(key, 0, ExecutionMode.PARALLEL))

    def come(hook, number):
        return (
            StageGate(hook, lambda dag_id, run_id: True).enter(ticket(key, number + 1, ExecutionMode.PARALLEL)).outcome
        )

    outcomes = race(RACERS - 1, come)
    assert outcomes == [Outcome.ENTERED] + [Outcome.WAIT] * (RACERS - 2)


def test_of_many_runs_exactly_one_has_a_version_and_each_new_attempt_a_number_of_its_own(aws):
    version = aws.client("s3").put_object(Bucket=BUCKET, Key="claims/k.zip", Body=b"1")["VersionId"]
    revision, began = S3Versions(aws_conn_id=None).head_version(BUCKET, "claims/k.zip", version), datetime.now(UTC)

    def claim(hook, number, new_attempt=False):
        claims = Claims(hook, BUCKET, "claims", lambda dag_id, run_id: True)
        return claims.claim(revision, "claims", f"run{number}-{new_attempt}", began=began, new_attempt=new_attempt)

    claimed = race(RACERS, claim)
    (winner,) = [one for one in claimed if not isinstance(one, Claim)]
    assert winner.attempt == 1
    assert len({one.run_id for one in claimed if isinstance(one, Claim)}) == 1
    again = race(RACERS, lambda hook, number: claim(hook, number, new_attempt=True))
    assert sorted(one.attempt for one in again) == list(range(2, RACERS + 2))
    assert len({one.revision_id for one in [winner, *again]}) == RACERS + 1


def test_uploads_within_one_second_keep_their_order(aws):
    s3, hook, key = aws.client("s3"), S3Versions(aws_conn_id=None), "burst/trainingjob.zip"
    uploaded = [s3.put_object(Bucket=BUCKET, Key=key, Body=b"%d" % number)["VersionId"] for number in range(20)]
    s3.put_object(Bucket=BUCKET, Key=f"{key}.other", Body=b"x")
    revisions = [hook.head_version(BUCKET, key, version) for version in reversed(uploaded)]
    # S3 itself does not tell them apart.
    assert len({revision.last_modified for revision in revisions}) < 20
    sequences = [hook.sequence(revision) for revision in revisions]
    assert len(set(sequences)) == 20
    assert sequences == sorted(sequences, reverse=True)


def test_names_of_documents_stay_clear_of_releases():
    assert names.board_key("iris-model") == "releases/iris-model/stages.json"
    assert names.claim_key("iris-model", "0" * 32) == f"releases/iris-model/{'0' * 32}/claim.json"
