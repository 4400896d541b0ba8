"""Airflow's own API server and UI, as a process, on a database with models whose releases are in every state."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import create_engine

from slipway.aws.links import EndpointLink, TrainingJobLink
from slipway.host.task_errors import FAILURE
from slipway.plan import Revision
from slipway.release_dag import build_release_dag
from slipway.request.contents import CONTENTS, contents_of
from slipway.source.pin import PINNED
from tests.conftest import ROOT
from tests.unit.board import world as worlds
from tests.unit.board.failures import CASES, failure_of
from tests.unit.board.world import RELEASED, World, results, upto
from tests.unit.request_samples import changed, request_zip, training_job
from tools import airflow_program

PASSWORDS = {"admin": "admin-word", "alice": "alice-word", "carol": "carol-word", "bob": "bob-word"}
CONSOLE = "http://127.0.0.1:4566/_local_aws"
_STARTS_SECONDS = 180.0
LONG_WHY = "\n".join(
    f"training.json: Hyperparameters.{name}: expected a number, found a text that is rather long and says little"
    for name in ("eta", "max_depth", "num_round", "subsample")
)


@dataclass(frozen=True)
class BoardServer:
    """The server, and the database that it reads, also as it was at the start."""

    url: str
    database: str
    log: Path
    filled: Path

    def forget(self) -> None:
        """Bring the database back to what it was at the start."""
        with closing(sqlite3.connect(self.filled)) as filled, closing(sqlite3.connect(_file(self.database))) as now:
            filled.backup(now)


def fill(database: str) -> None:
    """Models whose newest release waits, has failed, runs, is done, or does not exist."""
    worlds.NOW = datetime.now(UTC)
    with World(create_engine(database)) as world:
        for name in ("iris-model", "churn-model", "fraud-model", "price-model", "new-model", "ranking-model"):
            world.model(name)
        for version, days in ((11, 6), (12, 2)):
            left = results("iris-model", version, live=version - 1)
            left["evaluate"]["metrics"] = {"validation:accuracy": 0.9 + version / 200}
            left["deploy_prd"]["aws_seconds"] = 41.0
            world.run("iris-model", f"s3__{version}", "success", RELEASED, left, age=timedelta(days=days))
            made(world, version, request_zip())
            world.decided(
                "approve",
                decision="Approved",
                decided_by="alice",
                decided_at=(worlds.NOW - timedelta(days=days)).isoformat(timespec="seconds"),
                how="Airflow",
                comment="Better on every class.",
                approvals=[],
            )
        champion = {
            "metric": "accuracy",
            "rows": 30,
            "candidate": 0.9667,
            "candidate_p99_ms": 9.8,
            "live": 0.9333,
            "live_p99_ms": 11.2,
            "rule": "accuracy at least that of the live model",
            "passed": True,
        }
        left = results("iris-model", 13, live=12)
        left["test_dev"] |= {"champion": champion}
        tasks = world.run("iris-model", "s3__13", "running", upto("approve", "deferred"), left)
        made(world, 13, request_zip(changed(training_job(), "HyperParameters.max_depth", "7")))
        world.ask(tasks["approve"], 13, uploader="bob")
        world.run("churn-model", "s3__4", "success", RELEASED, results("churn-model", 4), age=timedelta(days=3))
        world.run("churn-model", "manual__4", "failed", upto("source", "failed", otherwise="upstream_failed"), by="bob")
        world.failure(
            "source",
            kind="ReleasedAlready",
            what="The run s3__4 has the newest version",
            where="s3://uploads/training_jobs/churn-model/trainingjob.zip version v4",
            why="it started at 2026-11-26T12:00:00+00:00",
            fix='to release this version again, press "Release this version again" on this run\'s page of the board',
        )
        zip_key = "training_jobs/churn-model/trainingjob.zip"
        world.remember("source", PINNED, Revision("uploads", zip_key, "v4", "e", 1, worlds.NOW.isoformat()).to_xcom())
        states = upto("process_request", "failed", otherwise="upstream_failed")
        world.run("churn-model", "s3__5", "failed", states, results("churn-model", 5))
        world.failure(
            "process_request",
            kind="RequestRefused",
            what="trainingjob.zip is not accepted",
            where="s3://mlops-us-west-2-123456789012/training_jobs/churn-model/trainingjob.zip",
            why=LONG_WHY,
            fix="correct the file and upload the zip again; nothing was started",
        )
        world.run("fraud-model", "s3__1", "success", RELEASED, results("fraud-model", 1), age=timedelta(days=9))
        world.run("fraud-model", "s3__2", "running", upto("train", "running"), results("fraud-model", 2))
        world.run("fraud-model", "s3__3", "running", upto("deploy_dev", "in line"), results("fraud-model", 3))
        world.run("price-model", "s3__7", "success", RELEASED, results("price-model", 7), age=timedelta(hours=30))
        world.run("ranking-model", "s3__1", "success", RELEASED, results("ranking-model", 1), age=timedelta(days=4))
        tasks = world.run(
            "ranking-model",
            "s3__2",
            "running",
            upto("decide_trial", "deferred"),
            results("ranking-model", 2, live=1),
        )
        world.ask(tasks["decide_trial"], 2, task_id="decide_trial", options=("Promote", "Keep", "Retire"))


def fill_failures(database: str) -> None:
    """A model for each task, whose release has failed there in its own way."""
    worlds.NOW = datetime.now(UTC)
    dag = build_release_dag(worlds.iris())
    with World(create_engine(database)) as world:
        for task_id in CASES:
            model = failing_model(task_id)
            world.model(model)
            states = upto(task_id, "failed", otherwise="upstream_failed") | {task_id: "failed"}
            world.run(model, "s3__13", "failed", states, results(model, 13))
            world.keep(task_id, FAILURE, failure_of(dag, task_id))


def failing_model(task_id: str) -> str:
    """Return the model whose release has failed at a task."""
    return f"{task_id.replace('_', '-')}-fails"


def made(world: World, version: int, data: bytes) -> None:
    """What the tasks of the last run of iris-model have kept of its zip, and of what they made in AWS."""
    world.keep("process_request", CONTENTS, contents_of(data).to_xcom())
    place = {"region_name": "us-west-2", "aws_domain": "aws.amazon.com", "console_url": CONSOLE}
    world.keep("train", TrainingJobLink.key, {**place, "job_name": f"mlops-iris-model-{version}"})
    world.keep("deploy_prd", EndpointLink.key, {**place, "endpoint_name": "iris-model-production"})


@contextmanager
def serving(folder: Path, port: int, fill: Callable[[str], None] = fill) -> Iterator[BoardServer]:
    """Make the database in a folder, fill it, and serve it until the end."""
    database, url, log = f"sqlite:///{folder / 'airflow.db'}", f"http://127.0.0.1:{port}", folder / "server.log"
    passwords = folder / "passwords.json"
    passwords.write_text(json.dumps(PASSWORDS))
    options = {
        "AIRFLOW_HOME": str(folder),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database,
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__API__SECRET_KEY": "y" * 64,
        "AIRFLOW__API_AUTH__JWT_SECRET": "x" * 64,
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin,alice:op,carol:op,bob:op",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(folder / "logs"),
        "PYTHONPATH": str(ROOT / "plugins"),
    }
    variables = os.environ | options
    migrate = airflow_program.command("db", "migrate")
    done = subprocess.run(migrate, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    fill(database)
    filled = folder / "filled.db"
    with closing(sqlite3.connect(_file(database))) as now, closing(sqlite3.connect(filled)) as copy:
        now.backup(copy)
    with log.open("w") as stream:
        server = subprocess.Popen(airflow_program.command("api-server"), env=variables, stdout=stream, stderr=stream)
    try:
        _wait(url, server, log)
        yield BoardServer(url, database, log, filled)
    finally:
        server.terminate()
        server.wait(timeout=60)


def _file(database: str) -> str:
    return database.removeprefix("sqlite:///")


def _wait(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _STARTS_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/slipway/guard/health", timeout=20) as answer:  # noqa: S310 (our own)
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(1)
    raise AssertionError(f"no API server:\n{log.read_text()[-3000:]}")
