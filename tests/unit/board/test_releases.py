"""The board's first page: one row a model."""

import time
from datetime import timedelta

import pytest
from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager

from slipway.board.overview import RELEASE_TAG
from slipway.names import DAG_TAG
from slipway.release_dag import build_release_dag
from tests.unit.board.world import NOW, RELEASED, arn, iris, results, upto

APPROVAL = {"task_id": "approve"}


def waiting(world, model="iris-model", version=13, live=12, **question):
    """A release that waits for its approval, after one that is live."""
    if live:
        world.run(model, f"live-{live}", "success", RELEASED, results(model, live), age=timedelta(days=1))
    tasks = world.run(
        model, f"new-{version}", "running", upto("approve", "deferred"), results(model, version, live=live)
    )
    world.ask(tasks["approve"], version, **question)


def stages_of(row):
    return {one["stage"]: (one["state"], one["version"], one["run_id"]) for one in row["stages"]}


def test_the_tags_are_those_of_a_release_dag():
    assert {DAG_TAG, RELEASE_TAG} <= set(build_release_dag(iris()).tags)


def test_without_models_there_are_no_rows(board):
    found = board.get("/releases")
    assert (found["models"], found["total"], found["user"]) == ([], 0, "alice")


def test_a_model_without_releases_has_a_row(board, world):
    with world:
        world.model("iris-model")
    (row,) = board.get("/releases")["models"]
    assert (row["model"], row["need"], row["newest_run_id"]) == ("iris-model", "done", None)
    assert {state for state, _, _ in stages_of(row).values()} == {"none"}


def test_each_stage_shows_the_newest_release_that_has_reached_it(board, world):
    with world:
        world.model("iris-model")
        waiting(world)
        world.run("iris-model", "newest", "running", upto("train", "running"), results("iris-model", 14))
    (row,) = board.get("/releases")["models"]
    assert stages_of(row) == {
        "source": ("done", None, "newest"),
        "train": ("running", None, "newest"),
        "development": ("done", "13", "new-13"),
        "approval": ("asking", "13", "new-13"),
        "production": ("done", "12", "live-12"),
        "trial": ("none", None, None),
    }
    assert {one["environment"]: one["version"] for one in row["live"]} == {"development": "13", "production": "12"}


def test_a_decision_says_first_what_approve_does(board, world):
    with world:
        world.model("iris-model")
        waiting(world, uploader="bob")
    (row,) = board.get("/releases")["models"]
    (decision,) = row["decisions"]
    assert row["need"] == "decision"
    assert (
        decision["effect"] == "Version 13 takes the place of version 12 in production, for all requests, all at once. "
        "What production then costs is not known; what it costs now is not known."
    )
    assert decision["waits_for"] == "1 of alice, carol must approve"
    assert decision["uploader"] == "bob"
    asked, ends = (decision[name].replace("Z", "+00:00") for name in ("asked_at", "ends_at"))
    assert (asked, ends) == (
        (NOW - timedelta(minutes=10)).isoformat(),
        (NOW - timedelta(minutes=10) + timedelta(days=7)).isoformat(),
    )
    figures = {one["name"]: (one["new"], one["live"], one["gate"], one["passed"]) for one in decision["figures"]}
    assert figures["validation:accuracy"] == ("0.97", "0.95", "≥ 0.9", True)
    assert [(one["name"], one["refusal"]) for one in decision["options"]] == [("Approve", None), ("Reject", None)]
    assert decision["options"][1]["effect"] == "This release ends, and production keeps version 12."


@pytest.mark.parametrize(
    ("live", "share", "said"),
    [
        (None, None, "Version 13 becomes the first model in production and gets all requests."),
        (12, 0.1, "Version 13 gets 10 % of production's requests as model-b, beside version 12."),
        # Without a live model there is nothing to share with.
        (None, 0.1, "Version 13 becomes the first model in production and gets all requests."),
    ],
)
def test_the_effect_follows_from_what_is_live_and_from_the_share(board, world, live, share, said):
    plan = {"prefix": "iris-model", "trial_share": share}
    with world:
        world.model("iris-model")
        if live:
            world.run("iris-model", "live", "success", RELEASED, results("iris-model", live), age=timedelta(days=1))
        left = results("iris-model", 13, process_request=plan)
        tasks = world.run("iris-model", "new", "running", upto("approve", "deferred"), left)
        world.ask(tasks["approve"], 13)
    (row,) = board.get("/releases")["models"]
    assert row["decisions"][0]["effect"].startswith(f"{said} What production then costs is not known; ")


def test_who_may_not_answer_is_told_why(board, world):
    with world:
        world.model("iris-model")
        waiting(world)
    board.user = "bob"
    (row,) = board.get("/releases")["models"]
    assert {one["refusal"] for one in row["decisions"][0]["options"]} == {"Only its approvers may (alice, carol)."}
    board.user, board.role = "alice", "viewer"
    (row,) = board.get("/releases")["models"]
    assert {one["refusal"] for one in row["decisions"][0]["options"]} == {
        "Airflow does not let alice answer questions: ask an administrator for the permission."
    }


def test_a_trial_has_its_three_answers(board, world):
    with world:
        world.model("iris-model")
        tasks = world.run("iris-model", "new", "running", upto("decide_trial", "deferred"), results("iris-model", 13))
        world.ask(tasks["decide_trial"], 13, task_id="decide_trial", options=("Promote", "Keep", "Retire"))
    (row,) = board.get("/releases")["models"]
    (decision,) = row["decisions"]
    assert decision["task_id"] == "decide_trial"
    assert [(one["name"], one["refusal"]) for one in decision["options"]] == [
        ("Promote", None),
        ("Keep", None),
        ("Retire", None),
    ]
    assert decision["effect"] == "Version 13 gets all requests, step by step, and becomes the live model."


def test_a_failed_release_shows_its_four_parts(board, world):
    parts = {
        "what": "The model does not pass its gates",
        "where": "iris-model",
        "why": "validation:accuracy is 0.61, at least 0.9",
        "fix": "train a better model",
        "kind": "GateFailed",
    }
    with world:
        world.model("iris-model")
        states = upto("evaluate", "failed", otherwise="upstream_failed")
        world.run("iris-model", "bad", "failed", states, results("iris-model", 13))
        world.failure("evaluate", **parts)
    (row,) = board.get("/releases")["models"]
    assert row["need"] == "failed"
    assert {name: row["failure"][name] for name in parts} == parts
    assert stages_of(row)["train"][0] == "failed"
    assert stages_of(row)["development"][0] == "none"


def test_a_failure_without_an_error_of_slipway_says_where_to_look(board, world):
    with world:
        world.model("iris-model")
        world.run("iris-model", "bad", "failed", upto("train", "failed", otherwise="upstream_failed"))
    (row,) = board.get("/releases")["models"]
    assert row["failure"]["fix"] == "read the end of its log, then clear the task"
    assert row["failure"]["task_id"] == "train"


def test_a_release_that_waits_for_another_one_says_so(board, world):
    with world:
        world.model("iris-model")
        world.run("iris-model", "second", "running", upto("deploy_dev", "in line"), results("iris-model", 13))
    (row,) = board.get("/releases")["models"]
    development = next(one for one in row["stages"] if one["stage"] == "development")
    assert (development["state"], development["waits_for"]) == (
        "in line",
        "waits until another release of this model has left the stage",
    )


def test_what_waits_for_a_person_comes_first_then_what_failed(board, world):
    with world:
        for name in ("a-done", "b-runs", "c-failed", "d-waits-since-noon", "e-waits-longer"):
            world.model(name)
        world.run("a-done", "r", "success", RELEASED, results("a-done", 1))
        world.run("b-runs", "r", "running", upto("train", "running"), results("b-runs", 1))
        world.run("c-failed", "r", "failed", upto("train", "failed"), results("c-failed", 1))
        waiting(world, "d-waits-since-noon", 2, None, age=timedelta(minutes=1))
        waiting(world, "e-waits-longer", 2, None, age=timedelta(minutes=2))
    names = lambda **query: [row["model"] for row in board.get("/releases", **query)["models"]]  # noqa: E731
    assert names() == ["e-waits-longer", "d-waits-since-noon", "c-failed", "b-runs", "a-done"]
    assert names(order="model") == ["a-done", "b-runs", "c-failed", "d-waits-since-noon", "e-waits-longer"]
    assert names(order="newest") == ["e-waits-longer", "d-waits-since-noon", "c-failed", "b-runs", "a-done"]
    assert names(text="WAITS") == ["e-waits-longer", "d-waits-since-noon"]
    assert names(text="%") == []
    assert names(need="failed") == ["c-failed"]
    assert names(limit=2, offset=1) == ["d-waits-since-noon", "c-failed"]
    found = board.get("/releases", need="failed", limit=1)
    assert found["total"] == 1
    assert found["counts"] == {"decision": 2, "failed": 1, "running": 1, "done": 1}


def test_only_models_that_somebody_may_read_are_there(board, world, monkeypatch):
    with world:
        world.model("secret")
        waiting(world, "secret", 2, None)
        world.model("open")
        world.model("no-model", tags=("slipway",), serialized=False)
        world.model("foreign", tags=("release",), serialized=False)
    monkeypatch.setattr(
        SimpleAuthManager, "filter_authorized_dag_ids", lambda self, *, dag_ids, **_: set(dag_ids) - {"secret"}
    )
    found = board.get("/releases")
    assert [row["model"] for row in found["models"]] == ["open"]
    assert found["total"] == 1


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "offset=-1", "need=x", "order=x", "text=" + "x" * 251])
def test_a_wrong_query_is_refused(board, query):
    assert board.status(f"/releases?{query}")[0] == 422


def test_the_number_of_queries_does_not_grow_with_the_models(board, world, record_property):
    counted = {}
    for size, before in ((10, 0), (200, 10)):
        with world:
            for number in range(before, size):
                name = f"model-{number:04}"
                world.model(name, serialized=number < 20)
                for release in range(8):
                    world.run(
                        name,
                        f"r{release}",
                        "success",
                        RELEASED,
                        results(name, release),
                        age=timedelta(days=9 - release),
                    )
                world.run(name, "failed", "failed", upto("train", "failed"), results(name, 8))
                waiting(world, name, 9, None) if number < 20 else world.run(
                    name, "last", "success", RELEASED, results(name, 9)
                )
        board.get("/releases")
        began = time.monotonic()
        found = board.get("/releases", limit=10)
        took = time.monotonic() - began
        assert found["total"] == size
        assert len(found["models"]) == 10
        counted[size] = board.statements
        record_property(f"the board with {size} models", f"{board.statements} statements, {took * 1000:.0f} ms")
    assert counted[10] == counted[200]
    assert found["models"][0]["decisions"][0]["version"] == "9"
    assert arn("model-0000", 9).endswith("/9")
