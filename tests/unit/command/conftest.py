"""A person at a terminal of their own: no settings of the machine, and a folder to work in."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from slipway.command.main import app

# Typer reads it once. CI's variables would make it print colours.
os.environ.setdefault("_TYPER_FORCE_DISABLE_TERMINAL", "1")


@dataclass
class Said:
    """What a command has printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Person:
    """Calls commands."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._runner = CliRunner()

    def __call__(self, *words: str, typed: str | bytes | None = None) -> Said:
        result = self._runner.invoke(app, list(words), input=typed, prog_name="slipway")
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Said(result.exit_code, result.stdout, result.stderr)


@pytest.fixture
def slipway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Person:
    """The command line, in an empty folder."""
    for name in [name for name in os.environ if name.startswith("SLIPWAY_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    # Otherwise it would be set for all later tests of this process.
    monkeypatch.setenv("AIRFLOW__LOGGING__NAMESPACE_LEVELS", "slipway.aws.session=WARNING")
    monkeypatch.setenv("TERMINAL_WIDTH", "120")
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    return Person(work)
