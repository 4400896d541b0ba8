"""Programs of Debian's packages that tests and benchmarks need: found, or installed where this process may."""

from __future__ import annotations

import os
import shutil
import subprocess

# A container has no service manager that could start a service.
_ENVIRONMENT = {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}


class PackageError(Exception):
    """A program is missing and cannot be installed; the message says what to do."""


def ensure(*programs: str, package: str, needed_by: str, otherwise: str = "") -> str:
    """Find a program, or install Debian's package where this process may.

    :param programs: its names; the first that is found counts
    :param package: what brings it; several packages separated by spaces
    :param needed_by: who needs it, such as ``make bench``
    :param otherwise: for the message: what else helps
    :returns: its path
    :raises PackageError: naming the package, when it is missing and cannot be installed
    """
    if path := _find(programs):
        return path
    if os.geteuid() == 0 and (apt := shutil.which("apt-get")):
        print(f"Installing {package}, for {needed_by} …", flush=True)
        for command in (["update"], ["install", "-y", "--no-install-recommends", *package.split()]):
            done = subprocess.run(
                [apt, "-qq", *command], env=os.environ | _ENVIRONMENT, check=False, capture_output=True, text=True
            )
            if done.returncode:
                raise PackageError(f"apt-get {command[0]} failed, so there is no {package}:\n{done.stderr[-2000:]}")
    if path := _find(programs):
        return path
    raise PackageError(
        f"There is no {programs[0]}, for {needed_by}. Debian and Ubuntu: sudo apt-get install {package}{otherwise}"
    )


def _find(programs: tuple[str, ...]) -> str | None:
    return next(filter(None, map(shutil.which, programs)), None)
