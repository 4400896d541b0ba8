"""Find the browser for the end-to-end tests, Debian's Chromium, and install it where possible."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

NAMES = ("chromium", "chromium-browser", "google-chrome")
PACKAGE = "chromium"


class BrowserError(Exception):
    """There is no browser; the message says what to do."""


def find() -> str | None:
    """Return the path of a Chromium, or None."""
    return next(filter(None, map(shutil.which, NAMES)), None)


def ensure() -> str:
    """Find a Chromium, or install Debian's where this process may.

    :returns: its path
    :raises BrowserError: naming the package, when it is missing and cannot be installed
    """
    if path := find():
        return path
    if os.geteuid() == 0 and (apt := shutil.which("apt-get")):
        print(f"Installing {PACKAGE}, which the end-to-end tests need …", flush=True)
        _install(apt)
    if path := find():
        return path
    raise BrowserError(
        f"The end-to-end tests need a browser. Install the package {PACKAGE} "
        f"(Debian: sudo apt-get install {PACKAGE}), or leave those tests out: {sys.executable} -m pytest -m 'not e2e'"
    )


def _install(apt: str) -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update"], ["install", "-y", "--no-install-recommends", PACKAGE]):
        done = subprocess.run([apt, "-qq", *command], env=environment, check=False, capture_output=True, text=True)
        if done.returncode:
            raise BrowserError(f"apt-get {command[0]} failed, so there is no {PACKAGE}:\n{done.stderr[-2000:]}")


def main() -> int:
    """Run what the make targets ask for."""
    try:
        ensure()
    except BrowserError as error:
        print(f"make: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
