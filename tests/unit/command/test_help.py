"""Every command says what it does and how it ends, and starts without what is slow to import."""

import subprocess
import sys
from pathlib import Path

import pytest

from slipway import __version__
from slipway.command.exits import MEANINGS, Exit
from tests.unit.command.reference import PAGE, command_names, written

ROOT = Path(__file__).resolve().parents[3]
NAMES = command_names()


def test_all_commands_are_there():
    wanted = "build init check submit status approve reject rollback trial invoke stress logs doctor bootstrap teardown"
    assert set(NAMES) == {"login", *wanted.split()}


def test_the_app_lists_every_command_and_exit_code(slipway):
    said = slipway("--help")
    assert said.code == 0
    for name in NAMES:
        assert f" {name} " in said.out
    for code in MEANINGS:
        assert f"{code.value}: " in said.out
    assert set(MEANINGS) == set(Exit)


@pytest.mark.parametrize("name", NAMES)
def test_every_command_has_help_and_json(slipway, name):
    said = slipway(name, "--help")
    assert said.code == 0
    assert "--json" in said.out
    assert f"Usage: slipway {name}" in said.out


def test_an_unknown_command_is_a_wrong_command_line(slipway):
    said = slipway("stauts")
    assert said.code == Exit.USAGE
    assert "status" in said.err


def test_the_version_is_the_packages(slipway):
    assert slipway("--version").out == f"slipway {__version__}\n"


def test_it_starts_without_airflow_and_boto3():
    script = (
        "import sys; import slipway.command.main; "
        "print([name for name in ('airflow', 'boto3', 'botocore', 'pandas', 'sqlalchemy') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={"PYTHONPATH": str(ROOT / "plugins")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_can_complete_the_commands(shell):
    """What `--show-completion` prints makes a shell ask the command itself in this way."""
    asked = {
        "bash": {"COMP_WORDS": "slipway st", "COMP_CWORD": "1"},
        "zsh": {"_TYPER_COMPLETE_ARGS": "slipway st"},
        "fish": {"_TYPER_COMPLETE_ARGS": "slipway st", "_TYPER_COMPLETE_FISH_ACTION": "get-args"},
    }[shell]
    done = subprocess.run(
        [sys.executable, "-m", "slipway.command"],
        env={"PYTHONPATH": str(ROOT / "plugins"), "_SLIPWAY_COMPLETE": f"complete_{shell}", **asked},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "status" in done.stdout, done.stderr
    assert "stress" in done.stdout
    assert "login" not in done.stdout


def test_the_page_has_the_reference_of_now():
    """To renew it: `PYTHONPATH=plugins .venv/bin/python -m tests.unit.command.reference`."""
    page = PAGE.read_text()
    assert page == written(page)
