"""Whichever task of a release fails, the board has what, where, why and fix: on the list, and on the release's page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from airflow.sdk import BaseOperator

from slipway.board.stages import stage_of
from slipway.errors import AwsRefused
from slipway.host import task_errors
from slipway.release_dag import build_release_dag
from tests.unit.board.world import TASKS, World, iris, results, upto

DAG = build_release_dag(iris())
PARTS = {
    "what": "Cannot do it",
    "where": "arn:aws:sagemaker:us-west-2:123456789012:thing/of-mine",
    "why": "AccessDeniedException: not authorized\nto perform: sagemaker:DoIt",
    "fix": "grant sagemaker:DoIt to slipway-airflow, and clear the task",
}


class Kept:
    """A task instance that remembers the XCom of its error."""

    def __init__(self) -> None:
        self.value: dict[str, Any] = {}

    def xcom_push(self, key: str, value: dict[str, Any]) -> None:
        assert key == task_errors.FAILURE
        self.value = value


def fail(*_: Any, **__: Any) -> None:
    raise AwsRefused(PARTS["what"], resource=PARTS["where"], why=PARTS["why"], fix=PARTS["fix"])


def working(task: BaseOperator, monkeypatch: pytest.MonkeyPatch) -> Callable[[], object]:
    """Return what the task's worker calls, where the first thing that it does for the release fails."""
    if isinstance(task, task_errors.TaskErrors):
        # Wrapped by the operator's own base, as each of its classes is.
        failing = type("Failing", (type(task),), {"execute": fail})
        return lambda: failing.execute(task, {})
    monkeypatch.setattr("slipway.plan.pull_revision", fail)
    monkeypatch.setattr("slipway.release_dag.get_current_context", lambda: {"ti": Kept()})
    function: Callable[[], object] = task.python_callable  # type: ignore[attr-defined]
    return function


def resumed(task: BaseOperator) -> Callable[[], object]:
    """Return what the worker calls after a deferral whose trigger has failed."""
    failing = type("Failing", (type(task),), {"after": fail})
    return lambda: failing.resume_execution(_with(task, failing), "after", None, {})


def _with(task: BaseOperator, kind: type) -> BaseOperator:
    made = object.__new__(kind)
    made.__dict__.update(task.__dict__)
    return made


def kept(work: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Let the task fail, and return what its error block keeps."""
    ti = Kept()
    monkeypatch.setattr(task_errors, "get_current_context", lambda: {"ti": ti})
    with pytest.raises(AwsRefused):
        work()
    return ti.value


def shown(world: World, board: Any, task_id: str, failure: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the failure as the list of releases has it, and as the release's own page has it."""
    with world:
        world.model("iris-model")
        states = upto(task_id, "failed", otherwise="upstream_failed") | {task_id: "failed"}
        world.run("iris-model", "s3__3", "failed", states, results("iris-model", 3))
        world.keep(task_id, task_errors.FAILURE, failure)
    (row,) = board.get("/releases")["models"]
    assert row["need"] == "failed"
    return [row["failure"], board.get("/releases/iris-model/s3__3")["failures"][0]]


def test_these_are_all_tasks() -> None:
    assert set(DAG.task_ids) == set(TASKS)


@pytest.mark.parametrize("task_id", TASKS)
def test_a_failure_is_on_the_board_in_its_four_parts(
    world: World, board: Any, monkeypatch: pytest.MonkeyPatch, task_id: str
) -> None:
    failure = kept(working(DAG.get_task(task_id), monkeypatch), monkeypatch)
    for one in shown(world, board, task_id, failure):
        assert {part: one[part] for part in PARTS} == PARTS
        assert (one["task_id"], one["run_id"], one["kind"], one["skipped"]) == (task_id, "s3__3", "AwsRefused", False)


@pytest.mark.parametrize("task_id", [one for one in TASKS if isinstance(DAG.get_task(one), task_errors.TaskErrors)])
def test_a_failure_after_a_deferral_is_kept_too(monkeypatch: pytest.MonkeyPatch, task_id: str) -> None:
    failure = kept(resumed(DAG.get_task(task_id)), monkeypatch)
    assert {part: failure[part] for part in PARTS} == PARTS


@pytest.mark.parametrize("task_id", TASKS)
def test_a_task_that_was_killed_has_a_way_to_its_log(world: World, board: Any, task_id: str) -> None:
    """It has kept nothing, so the page says where to look."""
    with world:
        world.model("iris-model")
        states = upto(task_id, "failed", otherwise="upstream_failed") | {task_id: "failed"}
        world.run("iris-model", "s3__3", "failed", states, results("iris-model", 3))
    (row,) = board.get("/releases")["models"]
    told = [board.get("/releases/iris-model/s3__3")["failures"][0]]
    if stage_of(task_id):
        told.append(row["failure"])
    for one in told:
        assert (one["task_id"], one["what"]) == (task_id, "The task failed and left no reason")
        assert "read the end of its log" in one["fix"]
