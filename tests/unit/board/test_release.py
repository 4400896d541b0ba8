"""The page of one release."""

from datetime import timedelta

import pytest

from slipway.image_names import build_dag_id
from tests.unit.board.world import EVERY_STAGE, NOW, RELEASED, arn, results, upto


def test_a_release_that_waits_has_its_question_and_what_is_in_it(board, world):
    with world:
        world.model("iris-model")
        world.run("iris-model", "s3__12", "success", RELEASED, results("iris-model", 12), age=timedelta(days=1))
        tasks = world.run(
            "iris-model", "s3__13", "running", upto("approve", "deferred"), results("iris-model", 13, live=12)
        )
        world.ask(tasks["approve"], 13)
    found = board.get("/releases/iris-model/s3__13")
    assert (found["version"], found["production"], found["is_live"]) == ("13", "v12", False)
    assert [one["task_id"] for one in found["decisions"]] == ["approve"]
    facts = {one["name"]: one["value"] for one in found["facts"]}
    assert facts["Zip"] == "s3://uploads/training_jobs/iris-model/trainingjob.zip"
    assert facts["Model package"] == arn("iris-model", 13)
    assert facts["Training time"] == "61 s"
    states = {one["stage"]: one["state"] for one in found["stages"]}
    assert (states["train"], states["approval"], states["production"]) == ("done", "asking", "none")
    assert [one["task_id"] for one in found["tasks"]][:3] == ["source", "process_request", "train"]
    assert board.get("/releases/iris-model/s3__12")["is_live"]


def test_a_failure_comes_with_its_parts_and_a_skip_after_it(board, world):
    states = upto("deploy_dev", "skipped", otherwise="skipped") | {"register": "failed"}
    with world:
        world.model("iris-model")
        world.run("iris-model", "r", "failed", states, results("iris-model", 3))
        world.failure("deploy_dev", kind="Superseded", what="A newer release has reached the stage", fix="trigger it")
        world.failure(
            "register", kind="AwsRefused", what="Cannot register", where="arn:x", why="denied", fix="grant it"
        )
    failures = board.get("/releases/iris-model/r")["failures"]
    assert [(one["task_id"], one["skipped"]) for one in failures] == [("register", False), ("deploy_dev", True)]
    assert [failures[0][part] for part in ("what", "where", "why", "fix")] == [
        "Cannot register",
        "arn:x",
        "denied",
        "grant it",
    ]


def test_who_decided_is_named(board, world):
    with world:
        world.model("iris-model")
        world.run("iris-model", "r", "success", RELEASED, results("iris-model", 3))
        world.decided(
            "approve",
            decision="Approved",
            decided_by="alice and carol",
            decided_at="2026-11-29T10:00:00+00:00",
            how="Airflow",
            comment="better",
            approvals=[{"by": "alice", "at": "t", "how": "Airflow", "stage": "approval"}],
        )
    (decided,) = board.get("/releases/iris-model/r")["decided"]
    assert (decided["decision"], decided["by"], decided["comment"]) == ("Approved", "alice and carol", "better")
    assert decided["approvals"] == ["alice at t (Airflow)"]


@pytest.mark.parametrize(
    "path", ["/releases/iris-model/none", "/releases/none/r", "/models/none", "/models/other/releases"]
)
def test_what_is_not_there_is_not_found(board, world, path):
    with world:
        world.model("iris-model")
        world.model("other", tags=("slipway",), serialized=False)
    status, detail = board.status(path)
    assert status == 404
    assert detail.startswith("There is no ")


def test_a_run_id_with_all_kinds_of_characters_is_found(board, world):
    run_id = "manual__2026-11-29T10:00:00+00:00 ä%/x"
    with world:
        world.model("iris-model")
        world.run("iris-model", run_id.replace("/", "-"), "running", upto("train", "running"))
    found = board.get("/releases/iris-model/manual__2026-11-29T10%3A00%3A00%2B00%3A00%20%C3%A4%25-x")
    assert found["run_id"] == run_id.replace("/", "-")


def test_the_history_says_what_to_roll_back_to(board, world):
    approved = {"decision": "Approved", "decided_by": "alice", "decided_at": "t", "how": "Airflow", "comment": ""}
    revision = {"prefix": "iris-model", "revision_id": "gone" * 8}
    with world:
        world.model("iris-model")
        world.run("iris-model", "r1", "success", RELEASED, results("iris-model", 1, process_request=revision))
        world.decided("approve", **approved)
        world.run("iris-model", "r2", "success", RELEASED, results("iris-model", 2))
        world.decided("approve", **approved)
        left = results("iris-model", 3, collect_garbage={"revisions": ["gone" * 8]})
        world.run("iris-model", "r3", "success", RELEASED, left, by="bob")
        world.decided("approve", **approved)
        world.run("iris-model", "r4", "failed", upto("approve", "failed"), results("iris-model", 4))
        world.decided("approve", **approved | {"decision": "Rejected"})
        back = dict.fromkeys(upto("source", "skipped"), "skipped") | {"roll_back": "success", "deploy_prd": "success"}
        outputs = {"outputs": {"ModelPackageArn": arn("iris-model", 2)}}
        conf = {"roll_back_to": arn("iris-model", 2)}
        world.run(
            "iris-model", "back", "success", back, {"deploy_prd": outputs, "roll_back": {}}, conf=conf, by="carol"
        )
    found = board.get("/models/iris-model/releases")
    assert found["total"] == 5
    lines = {one["run_id"]: (one["version"], one["is_live"], one["roll_back_refusal"]) for one in found["releases"]}
    assert lines == {
        "back": ("2", True, "It has no model package of its own."),
        "r4": ("4", False, "It is not approved."),
        "r3": ("3", False, None),
        "r2": ("2", True, "It is live."),
        "r1": ("1", False, "Its artefact was removed, see roll_back.keep_releases in the model file."),
    }
    assert [one["rolls_back"] for one in found["releases"]] == [True, False, False, False, False]
    assert found["releases"][0]["started_by"] == "carol"
    assert found["releases"][0]["reached_production_at"] is not None
    assert [one["run_id"] for one in board.get("/models/iris-model/releases", limit=2, offset=1)["releases"]] == [
        "r4",
        "r3",
    ]


def test_who_may_not_roll_back_is_told_why(board, world):
    with world:
        world.model("iris-model")
        world.model("stopped", paused=True)
    assert board.get("/models/iris-model")["may_roll_back"]
    assert board.get("/models/stopped")["roll_back_refusal"].startswith("The DAG is paused")
    board.role = "viewer"
    assert board.get("/models/iris-model")["roll_back_refusal"].startswith("Airflow does not let alice start a run")
    board.user = "bob"
    found = board.get("/models/iris-model")
    assert (found["may_roll_back"], found["roll_back_refusal"]) == (False, "Only its approvers may (alice, carol).")


def test_a_model_that_builds_an_image_of_its_own_says_so(board, world):
    with world:
        world.model("forest")
        world.model(build_dag_id("forest"), tags=())
        world.model("iris-model")
    assert board.get("/models/forest")["builds_image"]
    assert not board.get("/models/iris-model")["builds_image"]


def test_the_number_of_queries_does_not_grow_with_the_releases(board, world):
    counted = []
    for first, last in ((0, 5), (5, 50)):
        with world:
            if first == 0:
                world.model("iris-model")
            for number in range(first, last):
                world.run(
                    "iris-model", f"r{number}", "success", EVERY_STAGE, results("iris-model", number), age=NOW - NOW
                )
        sizes = []
        for path in ("/models/iris-model/releases", "/models/iris-model", "/releases/iris-model/r1"):
            board.get(path)
            board.get(path)
            sizes.append(board.statements)
        counted.append(sizes)
    assert counted[0] == counted[1]
