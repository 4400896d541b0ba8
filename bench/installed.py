"""Install autocannon, which the engine is measured beside, by npm; wrk and hey are Debian's packages."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from tools.settings import ROOT

_AUTOCANNON = ROOT / "bench/autocannon"
_BENCH_HOME = ROOT / ".venv-bench"


class ToolError(Exception):
    """A load generator is missing or failed; the message says what to do."""


def autocannon() -> str:
    """Find autocannon, or install it into a folder of the benchmark's own. https://github.com/mcollina/autocannon

    :returns: its path
    :raises ToolError: when there is no Node, or npm's registry is not reached
    """
    home = _BENCH_HOME / "autocannon"
    path, lock = home / "node_modules/.bin/autocannon", home / "package-lock.json"
    if path.exists() and lock.read_bytes() == (_AUTOCANNON / lock.name).read_bytes():
        return str(path)
    npm = shutil.which("npm")
    if npm is None:
        raise ToolError("make bench needs Node 20 and npm for autocannon")
    print("Installing autocannon into .venv-bench …", flush=True)
    shutil.copytree(_AUTOCANNON, home, dirs_exist_ok=True)
    try:
        # No package's own program runs.
        _run([npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel", "error"], home)
    except ToolError:
        lock.unlink()
        raise
    return str(path)


def _run(command: list[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True)
    if done.returncode:
        raise ToolError(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
