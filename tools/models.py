"""Read the model files for the make targets: the prefixes of valid ones, and what is wrong with the others."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tools.settings import ROOT


class ModelFiles(NamedTuple):
    """The result of reading a folder of model files.

    :param prefixes: the prefixes of the valid models
    :param errors: one for each invalid file
    :param images: the prefixes of those with a container image of their own
    """

    prefixes: list[str]
    errors: list[str]
    images: Sequence[str] = ()


def plugins_folders(include: Path) -> list[Path]:
    """Say where the package slipway may be: beside this one, or beside the model files, as in the container.

    :param include: the folder that contains models/
    """
    return [folder / "plugins" for folder in (ROOT, include.parent)]


def read(include: Path) -> ModelFiles:
    """Read the model files as Airflow does, in a process without the caller's Airflow settings.

    :param include: the folder that contains models/
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    package = os.pathsep.join(map(str, plugins_folders(include)))
    with tempfile.TemporaryDirectory() as home:
        done = subprocess.run(
            [sys.executable, "-m", "tools.models", str(include / "models")],
            # As a library, Airflow sets up neither its logs nor a database: half of the time that this takes.
            env=kept | {"AIRFLOW_HOME": home, "PYTHONPATH": package, "_AIRFLOW__AS_LIBRARY": "1"},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        return ModelFiles([], [f"The model files cannot be checked: {last}"])
    return ModelFiles(*json.loads(done.stdout.splitlines()[-1]))


def main() -> int:
    """Print the result for a folder, as JSON."""
    from slipway.model.files import load_models

    models, errors = load_models(Path(sys.argv[1]))
    images = [model.prefix for model in models if model.image]
    print(json.dumps([[model.prefix for model in models], [str(error) for error in errors], images]))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
