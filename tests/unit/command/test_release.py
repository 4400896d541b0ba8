"""How a release ended, as an exit code; and constants that the command line may not import."""

import logging
import sys
from types import SimpleNamespace

import pytest

from slipway import plan
from slipway.aws import s3
from slipway.cleanup import teardown, teardown_order
from slipway.command import data, rollback, session, upload
from slipway.command.exits import Exit
from slipway.command.follow import result_of
from slipway.command.output import Output
from slipway.command.release_code import kept_levels, release_code
from slipway.command.sources import Package
from slipway.host.task_errors import FAILURE

# The package's member of this name is the command.
submit = sys.modules["slipway.command.submit"]


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


TRAIN, VALIDATION = (data.Channel(name, f"s3://bucket/wine/input/{name}", True) for name in ("train", "validation"))
HELD_OUT = "s3://bucket/wine/input/validation/"


@pytest.mark.parametrize(
    ("local", "test_data", "looked_at"),
    [
        ([], HELD_OUT, ["channel train", "channel validation", "test.data of the model file"]),
        (["train"], HELD_OUT, ["channel validation", "test.data of the model file"]),
        (["validation"], HELD_OUT, ["channel train"]),
        (["train", "validation"], HELD_OUT, []),
        (["train", "validation", "other"], "s3://bucket/wine/input/held-out", ["test.data of the model file"]),
    ],
)
def test_only_what_no_local_file_is_uploaded_to_is_looked_for_in_s3(local, test_data, looked_at):
    assert [one.what for one in data.places_in_s3([TRAIN, VALIDATION], test_data, local)] == looked_at


@pytest.mark.parametrize(
    ("at", "said"),
    [
        ("read_package", "nothing was uploaded, so no release starts"),
        ("_checked", "nothing was uploaded, so no release starts"),
        ("upload_data", "data may have been uploaded, but no zip, so no release starts"),
        ("upload_zip", "if S3 has it, its release starts by itself"),
        ("run_id_of", "s3://bucket/key version v1"),
    ],
)
def test_ctrl_c_says_what_has_happened_and_what_has_not(slipway, monkeypatch, at, said):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    airflow = SimpleNamespace(board=lambda path: {"row": {"paused": False}, "user": "alice"}, url="http://airflow")
    replaced = {
        "read_package": Package(slipway.folder, b""),
        "_checked": ("wine", "bucket", "key"),
        "upload_data": [],
        "upload_zip": upload.Upload("bucket", "key", "v1", "alice"),
    }
    for name, answer in replaced.items():
        monkeypatch.setattr(submit, name, lambda *_, answer=answer, **__: answer)
    monkeypatch.setattr(session, "connect", lambda output: airflow)
    monkeypatch.setattr(submit, at, interrupt)
    ended = slipway("submit", "--json")
    assert ended.code == Exit.INTERRUPTED
    assert said in " ".join(filter(None, ended.json["error"].values()))


def test_what_a_command_imports_logs_nothing_until_the_command_ends():
    botocore = logging.getLogger("botocore.configprovider")
    before = botocore.getEffectiveLevel()
    with kept_levels():
        with release_code(Output(as_json=True)):
            pass
        assert not botocore.isEnabledFor(logging.INFO)
    assert botocore.getEffectiveLevel() == before
