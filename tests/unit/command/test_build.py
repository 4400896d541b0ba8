"""The source of an image is zipped and checked before anything is uploaded."""

import io
import shutil
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from slipway.command import session
from slipway.command.container import read_container
from slipway.command.errors import CommandError
from slipway.command.exits import Exit
from slipway.command.upload import Upload

# The package's member of this name is the command.
module = sys.modules["slipway.command.build"]
EXAMPLE = Path(__file__).resolve().parents[3] / "include" / "containers" / "iris-random-forest"
WHO = ("--approver", "alice", "--account", "123456789012", "--region", "us-west-2")
# SageMaker's SDK, which looks it up, has no release for every Python.
XGBOOST = ("--image", "246618743249.dkr.ecr.us-west-2.amazonaws.com/sagemaker-xgboost:1.7-1")


@pytest.fixture
def source(slipway):
    """A model with an image of its own, made by init, and the folder of its container."""
    made = slipway("init", "forest", "--custom", *WHO)
    assert made.code == 0, made.err
    assert "Build its image: slipway build forest" in made.out
    return slipway.folder / "forest" / "container"


@pytest.mark.parametrize("place", ["forest", "forest/container"])
def test_the_example_is_what_a_build_accepts(slipway, source, place):
    said = slipway("build", place, "--check-only")
    assert (said.code, said.out) == (0, "forest: the source of the image is what a build accepts, 4 files.\n")


def test_each_line_that_is_refused_is_told_before_anything_is_uploaded(slipway, source):
    (source / "Dockerfile").write_text("# syntax=docker/dockerfile:1\nFROM ubuntu:22.04\nRUN --mount=type=cache true\n")
    said = slipway("build", "forest")
    assert said.code == Exit.REFUSED
    for text in ("Dockerfile line 1: ", "Dockerfile line 2: ", "Dockerfile line 3: ", "start from an allowed image"):
        assert text in said.err
    assert slipway("build", "forest", "--json").json["exit_code"] == Exit.REFUSED


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("data",), Exit.NOT_FOUND, "expected Dockerfile or container/Dockerfile, found neither"),
        (("forest", "--model", "other"), Exit.NOT_FOUND, "There is no model file of other"),
        (("plain",), Exit.REFUSED, "add the line `image: {}`"),
    ],
)
def test_what_cannot_be_built_is_told_with_its_fix(slipway, source, words, code, told):
    (slipway.folder / "data").mkdir()
    assert slipway("init", "plain", *WHO, *XGBOOST).code == 0
    shutil.copytree(source, slipway.folder / "plain" / "container")
    said = slipway("build", *words, "--check-only")
    assert said.code == code
    assert told in said.err


def test_the_zip_has_what_docker_reads_and_is_always_the_same(tmp_path):
    folder = tmp_path / "one"
    shutil.copytree(EXAMPLE, folder)
    for name in (".git/config", "__pycache__/train.pyc", ".DS_Store", ".dockerignore", "more/a.py"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("x")
    shutil.copytree(folder, tmp_path / "two", copy_function=shutil.copy)
    bodies = {read_container(tmp_path / name).body for name in ("one", "two")}
    assert len(bodies) == 1
    with zipfile.ZipFile(io.BytesIO(bodies.pop())) as archive:
        modes = {info.filename: info.external_attr >> 16 for info in archive.infolist()}
    names = [".dockerignore", "Dockerfile", "more/a.py", "requirements.txt", "serve", "train"]
    assert sorted(modes) == names
    assert (modes["more/a.py"], modes["train"]) == (0o644, (EXAMPLE / "train").stat().st_mode & 0o777 | 0o600)


IMAGE = {"image": "registry/forest@sha256:1"}
DIED = {"what": "The build has failed", "where": "build:1", "why": "phase BUILD: pip", "fix": "correct it"}
FAILED, REFUSED = DIED | {"kind": "BuildFailed"}, DIED | {"kind": "ImageRefused"}


@pytest.mark.parametrize(
    ("states", "left", "code", "told"),
    [
        ({"build": "success", "record": "success"}, {"record": IMAGE}, Exit.DONE, "@sha256:1"),
        ({"build": "failed", "record": "upstream_failed"}, {"build": FAILED}, Exit.FAILED, "Why:   phase BUILD: pip"),
        ({"check_source": "failed"}, {"check_source": REFUSED}, Exit.REFUSED, "Fix:   correct it"),
        ({"build": "failed"}, {}, Exit.FAILED, "read its log in Airflow"),
    ],
)
def test_a_build_ends_with_its_image_or_with_the_reason(slipway, source, monkeypatch, states, left, code, told):
    def api(_method, path, **_):
        if "xcomEntries" in path:
            task = path.split("/taskInstances/")[1].split("/")[0]
            if task not in left:
                raise CommandError("There is no such XCom", code=Exit.NOT_FOUND)
            return {"value": left[task]}
        if path.endswith("taskInstances"):
            return {"task_instances": [{"task_id": task, "state": state} for task, state in states.items()]}
        return {"dag_run_id": "run", "state": "failed" if "failed" in states.values() else "success"}

    airflow = SimpleNamespace(api=api, url="http://airflow", run_url=lambda dag_id, run_id: f"http://airflow/{dag_id}")
    monkeypatch.setattr(session, "connect", lambda output: airflow)
    monkeypatch.setattr(module, "_upload", lambda *_: Upload("bucket", "key", "v1", "alice"))
    monkeypatch.setattr(module, "run_of", lambda *_: "run")
    said = slipway("build", "forest")
    assert (said.code, told in said.out) == (code, True), said
    assert "http://airflow/image_build-forest" in said.err
    assert slipway("build", "forest", "--json").json["exit_code"] == code
