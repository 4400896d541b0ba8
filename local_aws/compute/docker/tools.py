"""The folder with `docker` and `aws` that a build's shell has first in its PATH."""

from __future__ import annotations

import json
import shlex
import sys
from dataclasses import asdict
from pathlib import Path

from local_aws.compute.docker import index
from local_aws.compute.docker.index import Index

_SOURCE_ROOT = Path(__file__).resolve().parents[3]
_PROGRAMS = {"docker": "local_aws.compute.docker.command", "aws": "local_aws.compute.docker.aws_command"}
# -P keeps the build's directory out of the modules' path.
_SCRIPT = """#!/bin/sh
# Written at each start of the local AWS.
PYTHONPATH={root} exec {python} -P -s -m {module} {folder} "$@"
"""


def install(state_dir: Path) -> Path:
    """Write the programs.

    :param state_dir: the compute's
    :returns: the folder for the PATH
    """
    folder = images_folder(state_dir)
    programs = folder / "bin"
    programs.mkdir(parents=True, exist_ok=True)
    (folder / "index.json").write_text(json.dumps(asdict(index.of_this_machine())))
    for name, module in _PROGRAMS.items():
        words = {"root": str(_SOURCE_ROOT), "python": sys.executable, "module": module, "folder": str(folder)}
        text = _SCRIPT.format(**{key: shlex.quote(word) for key, word in words.items()})
        new = programs / f".{name}"
        new.write_text(text)
        new.chmod(0o755)
        new.replace(programs / name)
    return programs


def images_folder(state_dir: Path) -> Path:
    """Return where a compute keeps its images."""
    return state_dir / "images"


def index_of(folder: Path) -> Index:
    """Read the package index's settings, which `install` has written."""
    found = json.loads((folder / "index.json").read_text())
    return Index(found["config"], tuple(found["hosts"]), tuple(found["paths"]), found["upstream"])
