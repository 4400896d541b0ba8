"""Run notebooks from the first cell to the last, and keep copies with what the cells showed.

.venv-labs/bin/python notebooks/run.py lab1_TrainDeployTest --output DIR
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

FOLDER = Path(__file__).resolve().parent
# The longest cell sends load for five minutes; on AWS an endpoint takes ten.
CELL_SECONDS = 1800


def run(name: str, output: Path) -> str | None:
    """Run a notebook and write a copy with its outputs.

    :param name: the notebook, without .ipynb
    :param output: the folder for the copy
    :returns: the error of the first cell that failed, or None
    """
    notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    resources = {"metadata": {"path": str(FOLDER)}}
    client = NotebookClient(notebook, timeout=CELL_SECONDS, kernel_name="python3", resources=resources)
    try:
        client.execute()
    except CellExecutionError as error:
        return str(error)
    finally:
        output.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, output / f"{name}.ipynb")
    return None


def main() -> int:
    """Run the notebooks in the order given, by default all; stop at the first that fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=sorted(path.stem for path in FOLDER.glob("lab*.ipynb")))
    parser.add_argument("--output", type=Path, required=True, help="folder for copies with what the cells showed")
    chosen = parser.parse_args()
    for name in chosen.names:
        print(f"{name} …", flush=True)
        begun = time.monotonic()
        if error := run(name, chosen.output):
            print(error, file=sys.stderr)
            return 1
        print(f"{name}: every cell ran, {time.monotonic() - begun:.0f} s", flush=True)
    print(f"What the cells showed is in {chosen.output}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
