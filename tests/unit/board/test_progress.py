"""How far releases have got: the same as by reading all runs, and without reading them."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from datetime import timedelta
from itertools import zip_longest
from typing import Any

from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from hypothesis import example, given
from hypothesis import strategies as st
from sqlalchemy import Engine, and_, select
from sqlalchemy.orm import Session

from slipway.board import progress
from slipway.board.progress import DEPLOYMENTS, WINDOWS
from slipway.board.stages import TASKS
from tests.generated import examples
from tests.unit.board.conftest import copied
from tests.unit.board.world import EVERY_STAGE, World, results, upto
from tests.unit.sqlite_steps import counted

WINDOW, LARGER = WINDOWS
MODELS = ("first", "second")
NOT_REACHED = (None, "skipped", "upstream_failed", "removed")
RUN = {"source": "success", "deploy_dev": "success", "approve": "success", "deploy_prd": "success"}
# After how many steps SQLite calls back.
STEPS = 100
NOTHING: dict[str, str | None] = {"source": None}

states = st.sampled_from([*NOT_REACHED, "scheduled", "running", "success", "failed", "up_for_retry", "deferred"])
releases = st.dictionaries(st.sampled_from([task for tasks in TASKS.values() for task in tasks]), states, max_size=6)
# Between the newest releases and some older ones there may be many that got nowhere.
histories = st.builds(
    lambda older, between, newer: [*older, *between, *newer],
    st.lists(releases, max_size=3),
    st.lists(st.sampled_from([NOTHING, {"source": "failed"}]), max_size=3).map(lambda some: some * WINDOW),
    st.lists(releases, max_size=3),
)


def read_all(engine: Engine, model: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read every task of every run, and choose."""
    columns = (DagRun.id, DagRun.run_id, TaskInstance.task_id, TaskInstance.state, TaskInstance.end_date)
    joined = and_(TaskInstance.dag_id == DagRun.dag_id, TaskInstance.run_id == DagRun.run_id)
    with engine.connect() as connection:
        rows = connection.execute(
            select(*columns).join(TaskInstance, joined).where(DagRun.dag_id == model).order_by(DagRun.id)
        ).all()
    reached = {}
    for stage, tasks in TASKS.items():
        runs = [row.id for row in rows if row.task_id in tasks and row.state not in NOT_REACHED]
        if runs:
            of_stage = [row for row in rows if row.id == runs[-1] and row.task_id in tasks]
            reached[stage] = {(row.id, row.task_id, row.state) for row in of_stage}
    deployed = {
        environment: (row.id, row.run_id, row.end_date)
        for environment, task in DEPLOYMENTS.items()
        for row in rows
        if row.task_id == task and row.state == "success"
    }
    return reached, deployed


def compare(engine: Engine, newest: Mapping[str, int | None]) -> None:
    with Session(engine) as session:
        found = progress.progress(newest, session)
        alone = {model: progress.deployed(model, session) for model in newest}
    assert set(found) == set(newest)
    for model, mine in found.items():
        reached, deployed = read_all(engine, model)
        assert {
            stage: {(one.run, task.task_id, task.state) for task in one.tasks} for stage, one in mine.reached.items()
        } == reached
        for shown in (mine.deployed, alone[model]):
            assert {name: (one.run, one.run_id, one.since) for name, one in shown.items()} == deployed


def write(world: World, history: Mapping[str, Sequence[Mapping[str, str | None]]]) -> None:
    """Write the runs of some models, one of each after the other."""
    with world:
        for model in history:
            world.model(model, serialized=False)
        for number, row in enumerate(zip_longest(*history.values())):
            for model, tasks in zip(history, row, strict=True):
                if tasks is not None:
                    world.run(model, f"run-{number}", "success", tasks, age=timedelta(hours=1000 - number))


@given(first=histories, second=histories)
@example(first=[RUN, *[NOTHING] * (WINDOW - 1)], second=[RUN, *[NOTHING] * WINDOW])
@example(first=[], second=[RUN, *[NOTHING] * LARGER, {"deploy_prd": "failed", "approve": "running"}])
@examples("histories of models")
def test_it_is_the_same_as_by_reading_all_runs(_tables: sqlite3.Connection, first: Any, second: Any) -> None:
    engine = copied(_tables)
    write(World(engine), dict(zip(MODELS, (first, second), strict=True)))
    with Session(engine) as session:
        runs = session.execute(select(DagRun.dag_id, DagRun.id).order_by(DagRun.id)).all()
    compare(engine, dict.fromkeys(MODELS))
    compare(engine, dict.fromkeys(MODELS) | dict(map(tuple, runs)))
    engine.dispose()


def test_without_models_nothing_is_found(engine: Engine) -> None:
    with Session(engine) as session:
        assert progress.progress({}, session) == {}


def test_a_deployment_older_than_many_releases_is_still_live(board, world) -> None:
    with world:
        world.model("iris-model")
        world.run("iris-model", "live", "success", EVERY_STAGE, results("iris-model", 1))
        for number in range(3 * WINDOW):
            world.run("iris-model", f"bad-{number}", "failed", upto("evaluate", "failed"), {})
    for row in (board.get("/releases")["models"][0], board.get("/models/iris-model")["row"]):
        assert row["production"] == "v1"
        assert [(one["environment"], one["run_id"]) for one in row["live"]] == [
            ("development", "live"),
            ("production", "live"),
        ]
        stages = {one["stage"]: one["run_id"] for one in row["stages"]}
        assert stages["train"] == f"bad-{3 * WINDOW - 1}"
        assert {stages[name] for name in ("development", "approval", "production", "trial")} == {"live"}
    past = board.get("/models/iris-model/releases", offset=3 * WINDOW)["releases"]
    assert [(one["run_id"], one["is_live"]) for one in past] == [("live", True)]
    assert board.get("/releases/iris-model/live")["is_live"]


def test_a_page_reads_the_same_with_many_releases_as_with_a_few(board, world, engine, record_property) -> None:
    pages = ("/releases", "/models/first", "/models/first/releases", "/releases/first/run-1")
    found: dict[int, dict[str, int]] = {}
    statements: dict[int, list[int]] = {}
    for before, size in ((0, 30), (30, 600)):
        with world:
            for model in MODELS if not before else ():
                world.model(model)
            for number in range(before, size):
                for model in MODELS:
                    world.run(model, f"run-{number}", "success", EVERY_STAGE, results(model, number))
        found[size], statements[size] = {}, []
        for page in pages:
            board.get(page)
            with counted(engine, STEPS) as steps:
                board.get(page)
            found[size][page] = steps[0]
            statements[size].append(board.statements)
        record_property(f"hundreds of steps with {size} releases", str(found[size]))
    assert statements[30] == statements[600]
    # Counting runs and finding the newest of each model takes an entry of an index for each run, and nothing else may.
    added = len(MODELS) * (600 - 30)
    for page in pages:
        assert (found[600][page] - found[30][page]) * STEPS < 50 * added, page
