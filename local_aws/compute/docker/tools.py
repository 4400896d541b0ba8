"""The folder with `docker` and `aws` that a build's shell has first in its PATH."""

from __future__ import annotations

import json
import os
import shlex
import sys
from pathlib import Path

from local_aws.compute.docker import index
from local_aws.compute.docker.index import Index

_SOURCE_ROOT = Path(__file__).resolve().parents[3]
# Of each kind of compute.
_DOCKER = {"process": "local_aws.compute.docker.command", "container": "local_aws.compute.engine.command"}
_AWS = "local_aws.compute.docker.aws_command"
# What tells pip where its configuration is, and how it reaches the index.
_PIP = frozenset({"HOME", "XDG_CONFIG_HOME", "XDG_CONFIG_DIRS", "HTTPS_PROXY", "https_proxy"})
# -P keeps the build's directory out of the modules' path.
_SCRIPT = """#!/bin/sh
# Written by the first build after each start of the local AWS.
PYTHONPATH={root} exec {python} -P -s -m {module} {folder} "$@"
"""


def install(state_dir: Path, kind: str = "process") -> Path:
    """Write the programs.

    :param state_dir: the compute's
    :param kind: of the compute
    :returns: the folder for the PATH
    """
    folder = images_folder(state_dir)
    programs = folder / "bin"
    programs.mkdir(parents=True, exist_ok=True)
    # Asking pip takes a second, so the first build does it, with what pip is told here.
    found = {name: value for name, value in os.environ.items() if name in _PIP or name.startswith("PIP_")}
    settings = folder / "pip.json"
    settings.touch(0o600)
    settings.write_text(json.dumps(found))
    for name, module in (("docker", _DOCKER[kind]), ("aws", _AWS)):
        words = {"root": str(_SOURCE_ROOT), "python": sys.executable, "module": module, "folder": str(folder)}
        text = _SCRIPT.format(**{key: shlex.quote(word) for key, word in words.items()})
        new = programs / f".{name}"
        new.write_text(text)
        new.chmod(0o700)
        new.replace(programs / name)
    return programs


def images_folder(state_dir: Path) -> Path:
    """Return where a compute keeps its images."""
    return state_dir / "images"


def index_of(folder: Path) -> Index:
    """Ask pip for the package index, with the variables of the local AWS that `install` has written."""
    return index.of_this_machine(json.loads((folder / "pip.json").read_text()))
