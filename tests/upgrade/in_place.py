"""A release that waits for its approval while Slipway is brought to another version.

Its name keeps it from being collected: `make test-upgrade` asks for it. UPGRADE_FROM names another commit to come from.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import pytest

from demo import upload
from tests.instance import SHORT_PATIENCE, Instance
from tools import setup
from tools.settings import ROOT

pytestmark = pytest.mark.e2e

IRIS = "iris-model"
# The version before, as it was on main.
BEFORE = os.environ.get("UPGRADE_FROM") or "aa82bc5824f4"


def git(*arguments: str) -> bytes:
    return subprocess.run([shutil.which("git") or "git", *arguments], cwd=ROOT, check=True, capture_output=True).stdout


def install_before(folder: Path) -> None:
    """Put the version before into the folder."""
    with tarfile.open(fileobj=BytesIO(git("archive", BEFORE))) as archive:
        # The filters came with Python 3.11.4, and git wrote the archive.
        archive.extractall(folder)  # noqa: S202
    for virtual in (setup.MAIN, setup.AWS):
        (folder / virtual.folder.name).symlink_to(virtual.folder.resolve())


def install_today(folder: Path) -> None:
    """Put today's files in the place of all former ones; what is not committed yet is among them."""
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif not path.is_symlink():
            path.unlink()
    for name in git("ls-files", "-z").decode().split("\0"):
        if name and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)


@pytest.fixture
def instance(tmp_path: Path, free_ports: Callable[[int], list[int]]) -> Iterator[Instance]:
    """An instance that does not run yet, whose code is in a folder of its own."""
    made = Instance.in_folder(tmp_path / "state", free_ports(2), dict(SHORT_PATIENCE))
    made.checkout = tmp_path / "slipway"
    install_before(made.checkout)
    try:
        yield made
    finally:
        made.services("down")


def test_a_waiting_release_goes_on_after_the_upgrade(instance):
    instance.services("up")
    upload.upload_data(instance.settings, IRIS, "iris")
    uploaded = upload.upload_zip(instance.settings, IRIS)
    run_id = instance.run_of(IRIS, uploaded.version_id)
    instance.wait_approval(IRIS, run_id)
    jobs = instance.ledger(operation="CreateTrainingJob", outcome="ok")
    assert len(jobs) == 1
    instance.services("down")

    install_today(instance.checkout)
    instance.services("up")
    instance.wait_approval(IRIS, run_id)
    instance.api().answer(IRIS, run_id, "approve", "Approve")
    assert instance.wait_end(IRIS, run_id) == "success", instance.story(IRIS, run_id)
    assert instance.ask("iris-model-production").accuracy >= 0.93
    assert instance.ledger(operation="CreateTrainingJob", outcome="ok") == jobs
    # The upload has not started another run either.
    assert instance.runs_of(IRIS, uploaded.version_id) == [run_id]
