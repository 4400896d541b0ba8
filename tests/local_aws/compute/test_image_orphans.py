"""Containers of images that outlive a killed host end with the next one's start."""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from local_aws.compute.docker.tools import images_folder
from local_aws.compute.process import ProcessCompute
from tests.local_aws.compute.docker.images import needs_sandbox, store_on
from tests.local_aws.compute.support import wait_until

pytestmark = needs_sandbox
ROOT = Path(__file__).parents[3]
IMAGE = f"123456789012.dkr.ecr.us-west-2.amazonaws.com/own@sha256:{'a' * 64}"
HOST = """
import sys, time
from pathlib import Path
from local_aws.compute.base import ContainerSpec
from local_aws.compute.process import ProcessCompute
folder = Path(sys.argv[1])
ProcessCompute(folder).start(ContainerSpec("it", sys.argv[2], "train", folder / "ml", {"MARK": sys.argv[3]}))
time.sleep(600)
"""


def running(mark):
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if f"MARK={mark}".encode() in (folder / "environ").read_bytes().split(b"\0"):
                found.append(folder.name)
    return found


@pytest.fixture
def state(tmp_path, base_folder):
    """A compute's folder with an image that was pulled, whose `train` sleeps."""
    store = store_on(base_folder, images_folder(tmp_path))
    config = '{"config": {"Entrypoint": ["/bin/sh", "-c", "sleep 600"]}, "layers": []}'
    (store.folder / "pulled" / f"{'a' * 64}.json").write_text(config)
    (tmp_path / "ml" / "model").mkdir(parents=True)
    return tmp_path


def test_a_killed_hosts_container_is_ended_and_its_files_are_removed(state):
    mark = str(state)
    with subprocess.Popen([sys.executable, "-c", HOST, state, IMAGE, mark], cwd=ROOT) as host:
        wait_until(lambda: running(mark))
        os.kill(host.pid, signal.SIGKILL)
    assert running(mark)
    assert ProcessCompute(state).reap_orphans() == ["it"]
    wait_until(lambda: not running(mark))
    assert list((state / "sandboxes").iterdir()) == []
    assert not (state / "ml").exists()
