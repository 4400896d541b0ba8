"""The model files as the make targets see them: whose can be read, and what is wrong with the others."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from tools.settings import ROOT


class ModelFiles(NamedTuple):
    """What a folder of model files gives.

    :param prefixes: of the models that can be read
    :param errors: one for each file that gives no model
    """

    prefixes: list[str]
    errors: list[str]


def plugins_folders(include: Path) -> list[Path]:
    """Say where the package slipway may be: beside this one, or beside the model files, as in the container.

    :param include: the folder above models/
    """
    return [folder / "plugins" for folder in (ROOT, include.parent)]


def read(include: Path) -> ModelFiles:
    """Have the model files read as Airflow reads them, by a process that knows nothing of the caller's Airflow.

    :param include: the folder above models/
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    package = os.pathsep.join(map(str, plugins_folders(include)))
    with tempfile.TemporaryDirectory() as home:
        done = subprocess.run(
            [sys.executable, "-m", "tools.models", str(include / "models")],
            env=kept | {"AIRFLOW_HOME": home, "PYTHONPATH": package},
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
    """Print what a folder gives, as JSON."""
    from slipway.model.files import load_models

    models, errors = load_models(Path(sys.argv[1]))
    print(json.dumps([[model.prefix for model in models], [str(error) for error in errors]]))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
