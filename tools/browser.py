"""Find the browser for the end-to-end tests, Debian's Chromium, and install it where possible."""

from __future__ import annotations

import sys

from tools import debian

# Without windows: a page of Airflow's takes less than half of the processor's time there.
# https://developer.chrome.com/docs/automation-and-testing/headless
PACKAGE = "chromium-headless-shell"
NAMES = (PACKAGE, "chromium", "chromium-browser", "google-chrome")


def ensure() -> str:
    """Find a Chromium, or install Debian's where this process may.

    :returns: its path
    :raises tools.debian.PackageError: naming the package, when it is missing and cannot be installed
    """
    without = f", or leave those tests out: {sys.executable} -m pytest -m 'not e2e'"
    return debian.ensure(*NAMES, package=PACKAGE, needed_by="the end-to-end tests", otherwise=without)


def main() -> int:
    """Run what the make targets ask for."""
    try:
        ensure()
    except debian.PackageError as error:
        print(f"make: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
