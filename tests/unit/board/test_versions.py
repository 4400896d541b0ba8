"""The versions that can be released from the board."""

from datetime import timedelta

import pytest
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager

from slipway import names
from slipway.plan import Revision
from slipway.source.pin import PINNED
from tests.unit.board.world import NOW, RELEASED, arn, results, upto

KEY = "training_jobs/iris-model/trainingjob.zip"
PINNED_REVISION = Revision("uploads", KEY, "v9", "e", 1, "2026-11-28T14:03:05+00:00")


def revision(version: str, attempt: int = 1) -> str:
    return names.revision_id("uploads", KEY, version, attempt)[:4]


def versions(board) -> list[dict]:
    return board.get("/models/iris-model/versions")["versions"]


def test_the_newest_upload_is_first_and_each_version_is_there_once(board, world):
    again = results("iris-model", 4)
    uploaded_at = results("iris-model", 2)["source"]["last_modified"]
    again["source"] |= {"version_id": "v2", "attempt": 2, "last_modified": uploaded_at}
    with world:
        world.model("iris-model")
        for number in (2, 3):
            world.run("iris-model", f"s3__{number}", "success", RELEASED, results("iris-model", number))
        world.run("iris-model", "manual__4", "running", upto("deploy_prd", "running"), again)
    found = versions(board)
    assert [(one["version_id"], one["run_id"], one["released"]) for one in found] == [
        ("v3", "s3__3", True),
        ("v2", "manual__4", True),
    ]
    assert found[0]["name"] == f"v3 · {revision('v3')} · {(NOW - timedelta(hours=6)):%Y-%m-%d %H:%M}"
    assert found[1]["name"].startswith(f"v4 · {revision('v2', 2)} · ")
    assert (found[0]["bucket"], found[0]["key"]) == ("uploads", KEY)


def test_a_version_whose_run_never_claimed_it_can_be_released_as_it_is(board, world):
    upload = {"bucket": "uploads", "key": KEY, "version_id": "v7"}
    with world:
        world.model("iris-model")
        world.run("iris-model", "s3__7", "failed", upto("source", "failed", otherwise="upstream_failed"), conf=upload)
    (found,) = versions(board)
    assert (found["version_id"], found["released"], found["state"]) == ("v7", False, "failed")
    assert found["name"] == revision("v7")


def test_a_refused_run_does_not_hide_who_released_the_version(board, world):
    form = {"bucket": "mlops-{region}-{account}", "key": KEY, "version_id": "v3", "new_attempt": False}
    with world:
        world.model("iris-model")
        world.run("iris-model", "s3__3", "success", RELEASED, results("iris-model", 3))
        world.run("iris-model", "manual__2", "failed", upto("source", "failed", otherwise="upstream_failed"), conf=form)
    assert [(one["run_id"], one["bucket"], one["released"]) for one in versions(board)] == [("s3__3", "uploads", True)]


def test_roll_backs_are_no_versions(board, world):
    with world:
        world.model("iris-model")
        world.run("iris-model", "back", "success", RELEASED, conf={"roll_back_to": "previous", "version_id": "v1"})
    assert versions(board) == []


@pytest.mark.parametrize("runs", [1, 40])
def test_the_number_of_statements_does_not_depend_on_the_runs(board, world, runs):
    with world:
        world.model("iris-model")
        for number in range(runs):
            world.run("iris-model", f"s3__{number}", "success", RELEASED, results("iris-model", number))
    assert len(versions(board)) == runs
    assert board.statements <= 4


def test_a_refused_run_says_which_version_it_wanted(board, world):
    with world:
        world.model("iris-model")
        world.run("iris-model", "manual__2", "failed", upto("source", "failed", otherwise="upstream_failed"))
        world.remember("source", PINNED, PINNED_REVISION.to_xcom())
        world.run("iris-model", "manual__3", "failed", upto("source", "failed", otherwise="upstream_failed"))
    (wanted,) = board.get("/releases/iris-model/manual__2/version")["versions"]
    assert (wanted["bucket"], wanted["key"], wanted["version_id"], wanted["released"]) == ("uploads", KEY, "v9", True)
    assert wanted["name"] == f"{revision('v9')} · 2026-11-28 14:03"
    assert board.get("/releases/iris-model/manual__3/version")["versions"] == []
    assert board.status("/releases/iris-model/none/version") == (404, "There is no release none of iris-model.")
    assert board.status("/models/none/versions") == (404, "There is no model none.")


def test_who_may_release_nothing_is_told_why(board, world, monkeypatch):
    with world:
        world.model("iris-model")
        world.model("paused-model", paused=True)
    assert board.get("/models/iris-model/versions")["refusal"] is None
    assert "is paused" in board.get("/models/paused-model/versions")["refusal"]
    ours = SimpleAuthManager.is_authorized_dag

    def no_runs(self, *, method, access_entity=None, **more):
        starts = method == "POST" and access_entity is DagAccessEntity.RUN
        return not starts and ours(self, method=method, access_entity=access_entity, **more)

    monkeypatch.setattr(SimpleAuthManager, "is_authorized_dag", no_runs)
    assert "does not let alice start a run" in board.get("/models/iris-model/versions")["refusal"]


def test_a_release_has_its_name_on_both_pages(board, world):
    with world:
        world.model("iris-model")
        world.run("iris-model", "s3__3", "success", RELEASED, results("iris-model", 3))
        left = {"deploy_prd": results("iris-model", 2)["deploy_prd"]}
        world.run("iris-model", "back", "success", RELEASED, left, conf={"roll_back_to": arn("iris-model", 2)})
    name = board.get("/releases/iris-model/s3__3")["name"]
    assert name.startswith(f"v3 · {revision('v3')} · ")
    named = [one["name"] for one in board.get("/models/iris-model/releases")["releases"]]
    assert named == ["v2", name]
