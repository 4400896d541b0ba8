"""The back end `process` and the files of containers, without an AWS."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path, PurePosixPath

import pytest

from local_aws.compute.base import ComputeSettings, ContainerFailed, ContainerSpec, UnknownImage
from local_aws.compute.forked import forkable
from local_aws.compute.kinds import create_compute
from local_aws.compute.process import ProcessCompute, ProcessRecord, process_start_time
from local_aws.compute.s3 import relative_path, split_url, upload_folder
from tests.local_aws.compute.support import IMAGE, alive, wait_until


def sleeper():
    return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)


def record(folder, pid, start_time):
    folder.joinpath("processes").mkdir(exist_ok=True)
    content = {"name": "it", "pid": pid, "start_time": start_time, "opt_ml": str(folder / "opt-ml")}
    (folder / "processes" / f"{pid}.json").write_text(json.dumps(content))


def test_an_unknown_kind_is_an_error_that_lists_the_known(tmp_path):
    with pytest.raises(ValueError, match="compute kind 'docker' is unknown; use one of: container, process"):
        create_compute(ComputeSettings("http://127.0.0.1:1", tmp_path, "secret", kind="docker"))


def test_an_orphan_is_killed_and_its_files_are_deleted(tmp_path):
    (tmp_path / "opt-ml").mkdir()
    orphan = sleeper()
    record(tmp_path, orphan.pid, process_start_time(orphan.pid))
    assert ProcessCompute(tmp_path).reap_orphans() == ["it"]
    orphan.wait(120)
    assert list((tmp_path / "processes").iterdir()) == []
    assert not (tmp_path / "opt-ml").exists()


def test_a_process_with_a_pid_used_again_is_left_alone(tmp_path):
    innocent = sleeper()
    record(tmp_path, innocent.pid, "another boot/1")
    try:
        assert ProcessCompute(tmp_path).reap_orphans() == []
        assert innocent.poll() is None
        assert list((tmp_path / "processes").iterdir()) == []
    finally:
        innocent.kill()
        innocent.wait()


def test_a_record_cut_off_in_the_middle_is_dropped(tmp_path):
    (tmp_path / "processes").mkdir()
    (tmp_path / "processes" / "x.json").write_text('{"name": ')
    assert ProcessCompute(tmp_path).reap_orphans() == []
    assert list((tmp_path / "processes").iterdir()) == []


def test_the_start_time_tells_processes_apart():
    first, second = sleeper(), None
    try:
        second = sleeper()
        assert process_start_time(first.pid) == process_start_time(first.pid)
        assert process_start_time(os.getpid()) != process_start_time(second.pid)
    finally:
        for process in filter(None, (first, second)):
            process.kill()
            process.wait()
    assert process_start_time(first.pid) is None
    assert ProcessRecord("a", 1, "b", "c") == ProcessRecord("a", 1, "b", "c")


@pytest.mark.parametrize("private_opt_ml", [None, False], ids=["as-permitted", "by-variables"])
def test_a_container_sees_its_directory(tmp_path, private_opt_ml):
    opt_ml = tmp_path / "opt-ml"
    (opt_ml / "input" / "config").mkdir(parents=True)
    (opt_ml / "model").mkdir()
    (opt_ml / "input" / "config" / "hyperparameters.json").write_text('{"eta": "9"}')
    compute = ProcessCompute(tmp_path, private_opt_ml=private_opt_ml)
    container = compute.start(ContainerSpec("it", IMAGE, "train", opt_ml))
    lines = list(container.logs())
    assert container.wait(120) == 1
    assert lines[-1] == "ClientError: Hyperparameter eta: 9.0 is not in [0, 1]"
    assert (opt_ml / "output" / "failure").read_text() == lines[-1]
    assert list((tmp_path / "processes").iterdir()) == []


def test_a_fork_ends_as_the_process_that_it_is(tmp_path):
    """Kill one fork, which changes nothing for the others; then the parent, which is replaced."""
    opt_ml = tmp_path / "opt-ml"
    (opt_ml / "input" / "config").mkdir(parents=True)
    os.mkfifo(opt_ml / "input" / "config" / "hyperparameters.json")
    compute = ProcessCompute(tmp_path)
    first, second = (compute.start(ContainerSpec(name, IMAGE, "train", opt_ml)) for name in ("first", "second"))
    parent = parent_of(first.pid)
    assert parent_of(second.pid) == parent
    os.kill(first.pid, signal.SIGKILL)
    assert first.wait(120) == -signal.SIGKILL
    assert second.wait(0) is None
    os.kill(parent, signal.SIGKILL)
    assert second.wait(120) == -signal.SIGKILL
    wait_until(lambda: not alive(second.pid))
    third = compute.start(ContainerSpec("third", IMAGE, "train", opt_ml))
    assert parent_of(third.pid) not in (parent, os.getpid())
    third.stop(10)
    assert list((tmp_path / "processes").iterdir()) == []


def test_a_container_with_variables_of_libraries_is_no_fork():
    assert forkable({"SAGEMAKER_BIND_TO_PORT": "1", "SM_MODEL_DIR": "/x"})
    assert not forkable({"SAGEMAKER_BIND_TO_PORT": "1", "OMP_NUM_THREADS": "1"})


def parent_of(pid):
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_stopping_ends_a_container_and_its_record(tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "the host's")
    opt_ml = tmp_path / "opt-ml"
    (opt_ml / "input" / "config").mkdir(parents=True)
    os.mkfifo(opt_ml / "input" / "config" / "hyperparameters.json")
    container = ProcessCompute(tmp_path).start(ContainerSpec("it", IMAGE, "train", opt_ml))
    (path,) = (tmp_path / "processes").iterdir()
    pid = json.loads(path.read_text())["pid"]
    assert container.wait(0) is None
    assert b"AWS_SECRET_ACCESS_KEY" not in Path(f"/proc/{pid}/environ").read_bytes()
    container.stop(10)
    assert container.wait(0) < 0
    wait_until(lambda: not alive(pid))
    container.stop(0)
    assert not path.exists()


def test_an_unknown_image_starts_nothing(tmp_path):
    with pytest.raises(UnknownImage):
        ProcessCompute(tmp_path).start(ContainerSpec("it", "kmeans:1", "train", tmp_path))
    assert list((tmp_path / "processes").iterdir()) == []


@pytest.mark.parametrize(
    ("key", "prefix", "expected"),
    [
        ("data/train/a.csv", "data/train", "a.csv"),
        ("data/train/a.csv", "data/train/", "a.csv"),
        ("data/train/sub/a.csv", "data/train", "sub/a.csv"),
        ("data/train.csv", "data/train", "train.csv"),
        ("data/train.csv", "data/train.csv", "train.csv"),
        ("data/training/a.csv", "data/train", "training/a.csv"),
        ("a.csv", "", "a.csv"),
        ("data/a.csv", "", "data/a.csv"),
    ],
)
def test_an_s3_prefix_is_laid_out_below_the_channel(key, prefix, expected):
    assert relative_path(key, prefix) == PurePosixPath(expected)


def test_s3_uris():
    assert split_url("s3://bucket/a/b c?d#e") == ("bucket", "a/b c?d#e")
    assert split_url("s3://bucket") == ("bucket", "")
    assert split_url("https://s3.us-west-2.amazonaws.com/bucket/a/b") == ("bucket", "a/b")
    with pytest.raises(ContainerFailed, match="https://x/y is not an S3 URI"):
        upload_folder(None, Path(), "https://x/y", Path("x.tar.gz"))
