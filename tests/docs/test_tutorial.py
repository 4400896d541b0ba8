"""The commands of the tutorial and of zip.md that need no Airflow are run, in the order of the pages."""

import os
import shutil
import subprocess
import sys

import pytest

from tests.docs.pages import DOCS, PAGES, ROOT, blocks
from tests.docs.test_commands import commands

RUN = [page for page in PAGES if page.parent.name == "tutorial"] + [DOCS / "zip.md"]
# What a shell without `source .slipway/env` has to say besides.
OFFLINE = {"check": ["--offline"], "init": ["--account", "123456789012", "--region", "us-west-2"]}


def runnable(words):
    """Return the command to run, or None for one that needs Airflow, AWS or an installation."""
    program, *rest = words
    if program in (".venv/bin/python", "python3"):
        return [sys.executable, *rest]
    if program == "slipway" and rest[0] in OFFLINE:
        more = [word for word in OFFLINE[rest[0]] if word not in rest]
        return [sys.executable, "-m", "slipway.command", *rest, *more]
    return None


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    """Run them in a copy of what they use; return each command with its output."""
    folder = tmp_path_factory.mktemp("slipway")
    shutil.copytree(ROOT / "include", folder / "include")
    for name in ("demo", "tools", "plugins", "docs"):
        (folder / name).symlink_to(ROOT / name)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environment |= {
        "PYTHONPATH": f"{ROOT / 'plugins'}{os.pathsep}{ROOT}",
        "SLIPWAY_INCLUDE_FOLDER": str(folder / "include"),
    }
    found = {}
    for page in RUN:
        for words in (words for block in blocks(page, "sh") for words in commands(block)):
            command = runnable(words)
            if command is not None:
                ended = subprocess.run(
                    command, cwd=folder, env=environment, capture_output=True, text=True, check=False
                )
                assert ended.returncode == 0, f"{page.name}: {' '.join(words)}\n{ended.stdout}{ended.stderr}"
                found[" ".join(words)] = ended.stdout
    return folder, found


def test_they_all_end_well(outputs):
    _, found = outputs
    assert len(found) >= 6
    assert any(command.startswith("slipway init") for command in found)


def test_init_makes_the_files_that_the_page_names(outputs):
    folder, _ = outputs
    page = (DOCS / "tutorial" / "5-own-model.md").read_text()
    for name in ("include/models/wine-model.yaml", "wine-model/trainingjob.json", "wine-model/data/train/train.csv"):
        assert name in page
        assert (folder / name).is_file()
