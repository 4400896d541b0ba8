"""The clients of `make test-clients` that pip cannot install: the AWS CLI v2, and Node's packages.

AWS gives the CLI v2 out as an installer only. Debian packages its source, which runs with any Python that has what it
needs. Both are cached in .venv-clients/.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

from tools.settings import ROOT

CLIENTS = ROOT / ".venv-clients"
PINS = ROOT / "tests" / "clients"
_STAMP = ".slipway-setup"
_CLI_VERSION = "2.23.6-1"
_CLI_SHA256 = "09645cccbeece0553786ea7532d28901a9e7375d761fe5676490dbb4e7180569"
_SUITE = "trixie"
_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


class ClientMissing(Exception):
    """A client cannot be had on this machine; the message says why."""


def cli_v2() -> Path:
    """Return the folder of the AWS CLI v2's modules, downloaded at the first call.

    :raises ClientMissing: there is no apt, or its mirror does not have the version
    """
    folder = CLIENTS / f"awscli-{_CLI_VERSION}"
    modules = folder / "usr" / "lib" / "python3" / "dist-packages"
    if (folder / _STAMP).exists():
        return modules
    for program in ("apt-get", "dpkg-deb"):
        if shutil.which(program) is None:
            raise ClientMissing(f"the AWS CLI v2 is taken from Debian's package, and there is no {program} here")
    shutil.rmtree(folder, ignore_errors=True)
    work = CLIENTS / "apt"
    for name in ("lists/partial", "cache/archives/partial"):
        (work / name).mkdir(parents=True, exist_ok=True)
    (work / "status").touch()
    source = f"deb [signed-by={_KEYRING}] http://deb.debian.org/debian {_SUITE} main\n"
    (work / "sources.list").write_text(source)
    # apt's own folders and the machine's list of packages stay as they are.
    options = {
        "Dir::Etc::sourcelist": work / "sources.list",
        "Dir::Etc::sourceparts": os.devnull,
        "Dir::State::lists": work / "lists",
        "Dir::State::status": work / "status",
        "Dir::Cache": work / "cache",
        "APT::Sandbox::User": "root",
    }
    command = ["apt-get", "-qq", *(part for name, value in options.items() for part in ("-o", f"{name}={value}"))]
    for arguments in (["update"], ["download", f"awscli={_CLI_VERSION}"]):
        _run([*command, *arguments], work)
    package = work / f"awscli_{_CLI_VERSION}_all.deb"
    if hashlib.sha256(package.read_bytes()).hexdigest() != _CLI_SHA256:
        raise ClientMissing(f"{package} is not the package that was tested")
    _run(["dpkg-deb", "-x", str(package), str(folder)], work)
    shutil.rmtree(work)
    (folder / _STAMP).touch()
    return modules


def javascript() -> Path:
    """Return the folder with node_modules, installed when the lock has changed.

    :raises ClientMissing: there is no Node 20, or npm's registry is not reached
    """
    lock = PINS / "javascript" / "package-lock.json"
    digest, folder = hashlib.sha256(lock.read_bytes()).hexdigest(), CLIENTS / "javascript"
    stamp = folder / _STAMP
    if stamp.exists() and stamp.read_text() == digest:
        return folder
    if shutil.which("node") is None or shutil.which("npm") is None:
        raise ClientMissing("there is no node and npm here")
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(lock.with_name(name), folder / name)
    # No package's own program runs.
    _run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel", "error"], folder)
    stamp.write_text(digest)
    return folder


def _run(command: list[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ClientMissing(f"{' '.join(command[:1])} failed: {done.stderr.strip()[-500:]}")
