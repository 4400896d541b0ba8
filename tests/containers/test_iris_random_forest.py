"""The example of a container: its `train` and `serve` under SageMaker's contract, run as programs."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import joblib
import pytest

from demo import datasets
from tests.conftest import ROOT

if TYPE_CHECKING:
    from sklearn.ensemble import RandomForestClassifier

EXAMPLE = ROOT / "include" / "containers" / "iris-random-forest"
LAB = {"max_depth": "11", "n_jobs": "5", "n_estimators": "120"}


@cache
def split() -> datasets.Split:
    """The data set, which imports scikit-learn: not where the tests are collected."""
    return datasets.load("iris")


class OptMl:
    """The folder that a container has as /opt/ml."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("input/config", "model", "output"):
            (folder / name).mkdir(parents=True)

    def give(self, hyperparameters: dict[str, str], **channels: bytes) -> None:
        (self.folder / "input" / "config" / "hyperparameters.json").write_text(json.dumps(hyperparameters))
        for name, content in channels.items():
            channel = self.folder / "input" / "data" / name
            channel.mkdir(parents=True)
            (channel / "rows.csv").write_bytes(content)

    def environment(self, **more: str) -> dict[str, str]:
        places = {"INPUT": "input", "MODEL": "model", "OUTPUT": "output"}
        return {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONUNBUFFERED": "1",
            **{f"SM_{name}_DIR": str(self.folder / place) for name, place in places.items()},
            **more,
        }

    def train(self) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [EXAMPLE / "train", "train"], env=self.environment(), capture_output=True, text=True, check=False
        )

    @property
    def failure(self) -> str:
        return (self.folder / "output" / "failure").read_text()


@pytest.fixture
def opt_ml(tmp_path: Path) -> OptMl:
    return OptMl(tmp_path / "ml")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> OptMl:
    container = OptMl(tmp_path_factory.mktemp("trained") / "ml")
    container.give(LAB, train=datasets.to_csv(split().train), validation=datasets.to_csv(split().held_out))
    ended = container.train()
    assert ended.returncode == 0, ended.stdout + ended.stderr
    (container.folder / "output" / "log").write_text(ended.stdout)
    return container


def accuracy(model: RandomForestClassifier, rows: list[list[float]]) -> float:
    return float(model.score([row[1:] for row in rows], [row[0] for row in rows]))


def test_it_trains_the_forest_of_the_lab(trained: OptMl):
    # All processes of pytest import this file, and one runs it.
    from sklearn.ensemble import RandomForestClassifier

    forest = joblib.load(trained.folder / "model" / "model.joblib")
    assert {name: str(forest.get_params()[name]) for name in LAB} == LAB
    expected = RandomForestClassifier(max_depth=11, n_jobs=5, n_estimators=120, random_state=42)
    expected.fit([row[1:] for row in split().train], [row[0] for row in split().train])
    held_out = [row[1:] for row in split().held_out]
    assert forest.predict(held_out).tolist() == expected.predict(held_out).tolist()


def test_it_prints_the_metrics_that_a_model_file_can_find(trained: OptMl):
    log = (trained.folder / "output" / "log").read_text()
    forest = joblib.load(trained.folder / "model" / "model.joblib")
    assert f"train-accuracy={accuracy(forest, split().train):.5f}" in log
    assert f"validation-accuracy={accuracy(forest, split().held_out):.5f}" in log


@pytest.mark.parametrize(
    ("hyperparameters", "train", "why"),
    [
        ({"max_deep": "11"}, b"0,1\n1,2\n", "Hyperparameter max_deep: expected one of max_depth, n_jobs"),
        ({"max_depth": "deep"}, b"0,1\n1,2\n", "Hyperparameter max_depth: expected a whole number, found deep"),
        ({"n_estimators": "0"}, b"0,1\n1,2\n", "Hyperparameter n_estimators: expected at least 1, found 0"),
        (LAB, b"", "Channel train: it has no rows"),
        (LAB, b"0,1\n1,two\n", "Channel train, file rows.csv, line 2: could not convert string to float: 'two'"),
        (LAB, b"0,1\n1,2,3\n", "Channel train, file rows.csv, line 2: expected 2 columns"),
        (LAB, b"0\n1\n", "Channel train, file rows.csv, line 1: expected a label and at least one feature"),
    ],
)
def test_what_the_user_can_correct_is_named(opt_ml: OptMl, hyperparameters, train, why):
    opt_ml.give(hyperparameters, train=train)
    assert opt_ml.train().returncode == 1
    assert opt_ml.failure.startswith(f"ClientError: {why}")
    assert not (opt_ml.folder / "model" / "model.joblib").exists()


def test_another_failure_names_the_error(opt_ml: OptMl):
    assert opt_ml.train().returncode == 1
    assert opt_ml.failure.startswith("AlgorithmError: FileNotFoundError: ")


def test_training_ends_at_sigterm(opt_ml: OptMl):
    opt_ml.give({"n_estimators": "1000000"}, train=datasets.to_csv(split().train))
    process = subprocess.Popen(
        [EXAMPLE / "train", "train"],
        env=opt_ml.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    assert "rows with" in process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    assert "Stopped before the end of the training" in process.communicate()[0]
    assert process.returncode == 1
    assert not (opt_ml.folder / "model" / "model.joblib").exists()


class Served:
    """A running `serve`."""

    def __init__(self, process: subprocess.Popen, port: int) -> None:
        self.process = process
        self.port = port

    def ask(self, method: str, path: str, body: str = "", content_type: str = "text/csv") -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, {"Content-Type": content_type})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()


@contextmanager
def serving(container: OptMl, port: int) -> Iterator[Served]:
    process = subprocess.Popen(
        [EXAMPLE / "serve", "serve"], env=container.environment(SAGEMAKER_BIND_TO_PORT=str(port))
    )
    served = Served(process, port)
    try:
        while True:
            assert process.poll() is None, "serve has ended"
            try:
                assert served.ask("GET", "/ping") == (200, "")
                break
            except ConnectionRefusedError:
                time.sleep(0.1)
        yield served
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def served(trained: OptMl, free_ports: Callable[[int], list[int]]) -> Iterator[Served]:
    with serving(trained, free_ports(1)[0]) as running:
        yield running


def test_its_answers_are_the_models_own(trained: OptMl, served: Served):
    body = "".join(f"{datasets.features(row)}\n" for row in split().held_out)
    status, answer = served.ask("POST", "/invocations", body)
    forest = joblib.load(trained.folder / "model" / "model.joblib")
    assert status == 200
    assert [float(line) for line in answer.splitlines()] == forest.predict(
        [row[1:] for row in split().held_out]
    ).tolist()


@pytest.mark.parametrize(
    ("body", "content_type", "status", "why"),
    [
        ("1,2,3,4", "application/json", 415, "expected text/csv, found application/json"),
        ("", "text/csv", 400, "the request has no rows"),
        ("1,2,3,x", "text/csv", 400, "could not convert string to float: 'x'"),
        ("1,2,3", "text/csv", 400, "X has 3 features, but RandomForestClassifier is expecting 4"),
        ("1,2,3,4\n1,2,3", "text/csv", 400, "its rows differ in length"),
    ],
)
def test_what_cannot_be_answered_is_refused_with_its_reason(served: Served, body, content_type, status, why):
    assert served.ask("POST", "/invocations", body, content_type)[0] == status
    assert why in served.ask("POST", "/invocations", body, content_type)[1]
    assert served.ask("POST", "/invocations", "5.1,3.5,1.4,0.2", "text/csv; charset=utf-8") == (200, "0\n")


def test_serving_ends_at_sigterm(trained: OptMl, free_port: int):
    with serving(trained, free_port) as running:
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait() in (0, -signal.SIGTERM)
