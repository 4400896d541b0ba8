"""make labs: run every cell of the notebooks against this instance, as a person does after `source .slipway/env`."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tools import environment
from tools.settings import ROOT, Settings
from tools.setup import LABS


def run(variables: Mapping[str, str], output: Path, names: Sequence[str] = ()) -> int:
    """Run notebooks in the environment of the labs.

    :param variables: what a person's shell has after `source .slipway/env`
    :param output: the folder for copies with what the cells showed
    :param names: notebooks without .ipynb, in their order; none for all
    :returns: 0 when every cell ran
    :raises FileNotFoundError: without the environment of the labs
    """
    if not LABS.python.exists():
        raise FileNotFoundError(f"{LABS.folder.name} is missing. Make it with: {sys.executable} tools/setup.py labs")
    mine = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "AIRFLOW"))}
    # IPython keeps its history in the home folder otherwise.
    output.mkdir(parents=True, exist_ok=True)
    mine["IPYTHONDIR"] = str(output / "ipython")
    command = [LABS.python, ROOT / "notebooks" / "run.py", *names, "--output", output]
    return subprocess.run([str(part) for part in command], env=mine | dict(variables), cwd=ROOT, check=False).returncode


def main() -> int:
    """Run the notebooks of make labs."""
    parser = argparse.ArgumentParser(prog="make labs", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NOTEBOOK", help="without .ipynb; all when none is given")
    settings, names = Settings.from_environment(), parser.parse_args().names
    # The notebooks find the approver's password in the state folder.
    variables = environment.user_variables(settings) | {"SLIPWAY_HOME": str(settings.home)}
    return run(variables, settings.home / "labs", names)


if __name__ == "__main__":
    raise SystemExit(main())
