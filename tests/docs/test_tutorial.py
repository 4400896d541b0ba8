"""The commands of the tutorial and of zip.md that need no Airflow are run, in the order of the pages."""

import shutil
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from slipway.command.exits import Exit
from slipway.command.main import app
from tests.docs.pages import DOCS, PAGES, ROOT, blocks
from tests.docs.test_commands import commands

RUN = [page for page in PAGES if page.parent.name == "tutorial"] + [DOCS / "zip.md"]
# What a shell without `source .slipway/env` has to say besides.
OFFLINE = {"check": ["--offline"], "init": ["--account", "123456789012", "--region", "us-west-2"]}


def run(words):
    """Run a command and return its output, or None for one that needs Airflow, AWS or an installation."""
    program, *rest = words
    if program in (".venv/bin/python", "python3"):
        ended = subprocess.run([sys.executable, *rest], capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout
    if program == "slipway" and rest[0] in OFFLINE:
        more = [word for word in OFFLINE[rest[0]] if word not in rest]
        result = CliRunner().invoke(app, [*rest, *more])
        assert result.exit_code == Exit.DONE, result.output
        return result.output
    return None


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    """Run them in a copy of what they use; return each command with its output."""
    folder = tmp_path_factory.mktemp("slipway")
    shutil.copytree(ROOT / "include", folder / "include")
    for name in ("demo", "tools", "docs"):
        (folder / name).symlink_to(ROOT / name)
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("SLIPWAY_INCLUDE_FOLDER", str(folder / "include"))
        for page in RUN:
            for words in (words for block in blocks(page, "sh") for words in commands(block)):
                output = run(words)
                if output is not None:
                    found[" ".join(words)] = output
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
