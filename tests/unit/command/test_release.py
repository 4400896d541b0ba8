"""How a release ended, as an exit code; and constants that the command line may not import."""

import pytest

from slipway import plan
from slipway.aws import s3
from slipway.cleanup import teardown, teardown_order
from slipway.command import rollback, upload
from slipway.command.exits import Exit
from slipway.command.follow import result_of
from slipway.host.task_errors import FAILURE


def release(state, *kinds, asks=False):
    return {"state": state, "failures": [{"kind": kind} for kind in kinds], "decisions": [{}] if asks else []}


@pytest.mark.parametrize(
    ("document", "result"),
    [
        (release("queued"), None),
        (release("running"), None),
        (release("running", asks=True), Exit.WAITS),
        (release("success"), Exit.DONE),
        (release("success", "Superseded"), Exit.SUPERSEDED),
        (release("success", "ReleasedMeanwhile"), Exit.SUPERSEDED),
        (release("failed", "Rejected"), Exit.REJECTED),
        (release("failed", "PolicyViolation"), Exit.REFUSED),
        (release("failed", "RequestRefused"), Exit.REFUSED),
        (release("failed", "TrainingFailed"), Exit.FAILED),
        (release("failed"), Exit.FAILED),
    ],
)
def test_each_end_has_its_code(document, result):
    assert result_of(document) is result


def test_the_words_are_those_of_the_release():
    """The command line starts without Airflow, which these modules import."""
    assert (rollback.PREVIOUS, rollback.ROLL_BACK_TO) == (plan.PREVIOUS, plan.ROLL_BACK_TO)
    assert upload.UPLOADED_BY == s3.UPLOADED_BY
    assert (teardown_order.MODEL, teardown_order.REMOVE_RECORD) == ("model", "remove_record")
    assert (teardown.KEPT, FAILURE) == ("kept", "slipway_failure")


@pytest.mark.parametrize("name", ["alice", "Zoë Müller", "山田 太郎 と とても ながい なまえ の ひと" * 3])
def test_an_uploaders_name_is_read_as_it_was_written(name):
    assert upload.as_metadata(name).isascii()
    assert s3._decoded(upload.as_metadata(name)) == name
