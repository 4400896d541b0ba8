"""Whichever task of a release fails, the board has what, where, why and fix: on the list, and on the release's page."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
from airflow.sdk import BaseOperator

from slipway.board.stages import stage_of
from slipway.errors import AwsRefused
from slipway.host import task_errors
from slipway.release_dag import build_release_dag
from tests.conftest import ROOT
from tests.unit.board.failures import CASES, failure_of, kept, working
from tests.unit.board.world import TASKS, World, iris, results, upto

PAGE = ROOT / "docs/failures.md"
BEGIN, END = "<!-- made by a test -->\n", "<!-- end -->"
DAG = build_release_dag(iris())
PARTS = {
    "what": "Cannot do it",
    "where": "arn:aws:sagemaker:us-west-2:123456789012:thing/of-mine",
    "why": "AccessDeniedException: not authorized\nto perform: sagemaker:DoIt",
    "fix": "grant sagemaker:DoIt to slipway-airflow, and clear the task",
}


def fail(*_: Any, **__: Any) -> None:
    raise AwsRefused(PARTS["what"], resource=PARTS["where"], why=PARTS["why"], fix=PARTS["fix"])


def resumed(task: BaseOperator) -> Callable[[], object]:
    """Return what the worker calls after a deferral whose trigger has failed."""
    failing = type("Failing", (type(task),), {"after": fail})
    return lambda: failing.resume_execution(_with(task, failing), "after", None, {})


def _with(task: BaseOperator, kind: type) -> BaseOperator:
    made = object.__new__(kind)
    made.__dict__.update(task.__dict__)
    return made


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
def test_a_failure_is_on_the_board_in_its_four_parts(world: World, board: Any, task_id: str) -> None:
    failure = kept(working(DAG.get_task(task_id), fail))
    for one in shown(world, board, task_id, failure):
        assert {part: one[part] for part in PARTS} == PARTS
        assert (one["task_id"], one["run_id"], one["kind"], one["skipped"]) == (task_id, "s3__3", "AwsRefused", False)


@pytest.mark.parametrize("task_id", [one for one in TASKS if isinstance(DAG.get_task(one), task_errors.TaskErrors)])
def test_a_failure_after_a_deferral_is_kept_too(task_id: str) -> None:
    failure = kept(resumed(DAG.get_task(task_id)))
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


def in_a_table(text: str | None) -> str:
    """Write a text for a cell of Markdown."""
    return (text or "-").replace("\n", "<br>").replace("|", "\\|").replace("<", "&lt;").replace("&lt;br>", "<br>")


@pytest.mark.parametrize("task_id", CASES)
def test_the_table_of_the_docs_has_what_the_board_shows(world: World, board: Any, task_id: str) -> None:
    """UPDATE_DOCS=1 writes the row instead."""
    on_list, on_page = shown(world, board, task_id, failure_of(DAG, task_id))
    assert {part: on_list[part] for part in PARTS} == {part: on_page[part] for part in PARTS}
    parts = "<br>".join(f"**{part.capitalize()}** {in_a_table(on_page[part])}" for part in PARTS)
    row = f"| `{task_id}` | {CASES[task_id][0]} | {parts} |"
    before, _, rest = PAGE.read_text().partition(BEGIN)
    table, _, after = rest.partition(END)
    rows = {line.split("`")[1]: line for line in table.splitlines() if line.startswith("| `")}
    if os.environ.get("UPDATE_DOCS"):
        head = "| task | what fails here | what the page says |\n|---|---|---|\n"
        rows[task_id] = row
        made = "".join(f"{rows[one]}\n" for one in CASES if one in rows)
        PAGE.write_text(f"{before}{BEGIN}{head}{made}{END}{after}")
    else:
        assert rows[task_id] == row


def test_the_table_of_the_docs_has_all_tasks() -> None:
    assert set(CASES) == set(TASKS)
