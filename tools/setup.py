"""Make the virtual environments from the pinned requirements. Uses the standard library only: it runs first."""

from __future__ import annotations

import argparse
import hashlib
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from functools import partial
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
UV_VERSION = "0.13.9"
# Debian 12's. The pins are of packages that it can install.
OLDEST_PYTHON = (3, 11, 2)
# The Python that Debian and Ubuntu package.
DISTRIBUTIONS_PYTHON = Path("/usr/bin/python3.11")
STAMP = ".slipway-setup"
# Folders of packages that are compiled when imported: of what they hold, hundreds of kilobytes and more each, no
# process after `make up` imports more than a small part.
RARELY_IMPORTED = (
    "asn1crypto|cfnlint|databricks|deepdiff|dns|fontTools|git|google|grafana_foundation_sdk|graphql|grpc|gunicorn|"
    "hive_metastore|huey|invoke|libcst|lxml|matplotlib|mlflow[^/]*|mpl_toolkits|mpmath|mypy[^/]*|narwhals|networkx|numpy|"
    "omegaconf|pandas|paramiko|PIL|pip|pkg_resources|playwright|prompt_toolkit|pyarrow|pyasn1[^/]*|pyathena|pyiceberg|"
    "pyparsing|redshift_connector|sagemaker[^/]*|scipy|setuptools|sklearn|strictyaml|sympy|tests?|tornado"
)
# pip's setting → uv's environment variable. uv does not read pip.conf, which usually names a machine's mirrors.
PIP_TO_UV = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "cert": "SSL_CERT_FILE",
}


class SetupError(Exception):
    """The set-up cannot go on; the message says what to do."""


class VirtualEnvironment(NamedTuple):
    """One virtual environment and the files that define it."""

    folder: Path
    requirements: Path
    constraints: Path

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    def fingerprint(self) -> str:
        """Return a hash of everything that decides what is installed."""
        digest = hashlib.sha256(f"{sys.version} {UV_VERSION}".encode())
        for path in (self.requirements, self.constraints):
            digest.update(path.read_bytes() if path.exists() else b"")
        return digest.hexdigest()

    def is_current(self) -> bool:
        stamp = self.folder / STAMP
        return self.python.exists() and stamp.exists() and stamp.read_text() == self.fingerprint()


MAIN = VirtualEnvironment(ROOT / ".venv", ROOT / "requirements.txt", ROOT / "constraints.txt")
AWS = VirtualEnvironment(
    ROOT / ".venv-aws", ROOT / "local_aws" / "requirements.txt", ROOT / "local_aws" / "constraints.txt"
)
# For make test-fab only. Its requirements include MAIN's, so its constraints are made after MAIN's.
FAB = VirtualEnvironment(
    ROOT / ".venv-fab", ROOT / "tests" / "fab" / "requirements.txt", ROOT / "tests" / "fab" / "constraints.txt"
)

# For make labs and make test: a notebook's environment has SageMaker's SDK, and no Airflow.
LABS = VirtualEnvironment(
    ROOT / ".venv-labs", ROOT / "notebooks" / "requirements.txt", ROOT / "notebooks" / "constraints.txt"
)

# For make checkov and make test: its pins and MAIN's exclude each other.
CHECKOV = VirtualEnvironment(
    ROOT / ".venv-checkov",
    ROOT / "tools" / "checkov" / "requirements.txt",
    ROOT / "tools" / "checkov" / "constraints.txt",
)
# For what starts Celery workers: the program of a Redis server.
REDIS = VirtualEnvironment(
    ROOT / ".venv-redis",
    ROOT / "tools" / "redis" / "requirements.txt",
    ROOT / "tools" / "redis" / "constraints.txt",
)
# For make docs: nothing of Slipway is imported there.
DOCS = VirtualEnvironment(ROOT / ".venv-docs", ROOT / "docs" / "requirements.txt", ROOT / "docs" / "constraints.txt")

# For make package: what builds the archives, in fixed versions, because another one may build others.
PACKAGE = VirtualEnvironment(
    ROOT / ".venv-package",
    ROOT / "tools" / "package" / "requirements.txt",
    ROOT / "tools" / "package" / "constraints.txt",
)

# For make test-clients only: the AWS clients that people bring, each with versions of its own.
CLIENTS = tuple(
    VirtualEnvironment(
        ROOT / ".venv-clients" / name,
        ROOT / "tests" / "clients" / f"{name}.in",
        ROOT / "tests" / "clients" / f"{name}.txt",
    )
    for name in ("sdk2", "cli1", "cli2")
)


def other_python() -> Path | None:
    """Return the Python that the environments are to be made from, if it is not this one.

    The one of an environment that is there stays: its packages were compiled by it, and a running instance uses them.
    Otherwise it is the distribution's where this one was built without profile-guided optimization, as pyenv builds it
    unless told otherwise: it takes a quarter more CPU for all that Airflow and the local AWS do, and is often the first
    on PATH. One that the caller names with PYTHON is not questioned.
    https://docs.python.org/3.11/using/configure.html#cmdoption-enable-optimizations
    """
    if os.environ.get("PYTHON"):
        return None
    this = Path(sys.executable).resolve()
    # A virtual environment's Python is a link to the one that it was made from.
    former = MAIN.python.resolve()
    if _is_suitable(former):
        return None if former == this else former
    optimized = "--enable-optimizations" in str(sysconfig.get_config_var("CONFIG_ARGS"))
    if optimized or this == DISTRIBUTIONS_PYTHON.resolve():
        return None
    return DISTRIBUTIONS_PYTHON if _is_suitable(DISTRIBUTIONS_PYTHON) else None


def _is_suitable(python: Path) -> bool:
    """Return whether `check_python` accepts a Python; to ask another than this one takes a process."""
    try:
        if python == Path(sys.executable).resolve():
            check_python()
            return True
        ask: list[str | Path] = [python, "-c", "from tools.setup import check_python; check_python()"]
        return subprocess.run(ask, cwd=ROOT, capture_output=True, check=False).returncode == 0
    except (OSError, SetupError):
        return False


def check_python() -> None:
    """Check that this is the Python the pins were made for and that it can make virtual environments.

    :raises SetupError: naming the package to install.
    """
    found = _dotted(sys.version_info[:3])
    if sys.version_info[:2] != OLDEST_PYTHON[:2] or sys.version_info < OLDEST_PYTHON:
        raise SetupError(
            f"Python 3.11 is needed, from {_dotted(OLDEST_PYTHON)} on, and this is {found} ({sys.executable}). Install "
            "it, on Debian or Ubuntu with 'apt-get install python3.11 python3.11-venv', or name one: "
            "make setup PYTHON=/path/to/python3.11"
        )
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        raise SetupError(
            f"{sys.executable} cannot make virtual environments. On Debian or Ubuntu: apt-get install python3.11-venv"
        ) from None


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(str(part) for part in version)


def run(command: list[str | Path], environment: dict[str, str] | None = None) -> bool:
    """Run a command with this process's output, and return whether it succeeded."""
    return subprocess.run([str(part) for part in command], env=environment, check=False).returncode == 0


def clean_environment() -> dict[str, str]:
    """Return this process's environment without what would point pip or uv to another interpreter or folder."""
    dropped = ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME", "PIP_TARGET", "PIP_PREFIX", "PIP_USER", "UV_PYTHON")
    return {name: value for name, value in os.environ.items() if name not in dropped}


def uv_environment(python: Path) -> dict[str, str]:
    """Return the environment for uv, with the machine's pip configuration in uv's own variables."""
    environment = clean_environment()
    listed = subprocess.run(
        [str(python), "-m", "pip", "config", "list"], capture_output=True, text=True, check=False, env=environment
    )
    for line in listed.stdout.splitlines():
        key, _, quoted = line.partition("=")
        variable = PIP_TO_UV.get(key.rsplit(".", 1)[-1].replace("_", "-"))
        if variable:
            value = " ".join(shlex.split(quoted)) if quoted else ""
            separator = "," if variable == "UV_FIND_LINKS" else " "
            environment.setdefault(variable, separator.join(value.split()))
    # As pip does: use the best version of all indexes.
    environment.setdefault("UV_INDEX_STRATEGY", "unsafe-best-match")
    environment.setdefault("UV_HTTP_TIMEOUT", "180")
    return environment


def create(virtual: VirtualEnvironment) -> None:
    """Create an empty virtual environment, unless there is one of this Python.

    Only the main one gets pip, which takes seconds; uv and pip install into the others from there.
    """
    needed = "sys, pip" if virtual is MAIN else "sys"
    works = virtual.python.exists() and run(
        [virtual.python, "-c", f"import {needed}; sys.exit(sys.version != {sys.version!r})"]
    )
    if works:
        return
    if virtual.folder.exists():
        shutil.rmtree(virtual.folder)
    options = [] if virtual is MAIN else ["--without-pip"]
    if not run([sys.executable, "-m", "venv", *options, virtual.folder], clean_environment()):
        raise SetupError(
            f"'{sys.executable} -m venv {virtual.folder}' failed (see above). On Debian or Ubuntu: "
            "apt-get install python3.11-venv"
        )


def install_uv() -> Path | None:
    """Install the pinned uv into the main environment; return None where no index has it for this machine."""
    uv = MAIN.folder / "bin" / "uv"
    if uv.exists():
        said = subprocess.run([uv, "--version"], capture_output=True, text=True, check=False).stdout.split()
        if said[1:2] == [UV_VERSION]:
            return uv
    environment = clean_environment()
    pip: list[str | Path] = [MAIN.python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    return uv if run([*pip, f"uv=={UV_VERSION}"], environment) and uv.exists() else None


def install(virtual: VirtualEnvironment, uv: Path | None) -> None:
    """Install an environment's requirements with its constraints, by uv if possible, else by pip.

    :raises SetupError: when both fail.
    """
    arguments: list[str | Path] = ["-r", virtual.requirements]
    if virtual.constraints.exists():
        arguments += ["-c", virtual.constraints]
    environment = uv_environment(MAIN.python)
    fast: list[str | Path] = [uv or "", "pip", "install", "--python", virtual.python]
    if uv is not None and run([*fast, *arguments], environment):
        return
    print("uv could not install the packages; trying pip", flush=True)
    slow: list[str | Path] = [MAIN.python, "-m", "pip", "--python", virtual.python, "install"]
    if not run([*slow, *arguments], clean_environment()):
        raise SetupError(
            f"Installing {virtual.requirements.relative_to(ROOT)} failed (see above). Set-up needs a package "
            "index: https://pypi.org, or a mirror named in pip.conf or PIP_INDEX_URL."
        )


def compile_bytecode(virtual: VirtualEnvironment) -> None:
    """Compile what is imported often; otherwise each of Airflow's processes would do it at the first start.

    What does not compile is no part of what is imported: templates, and tests of Python's own tools.
    """
    seldom = f"/site-packages/(.*/)?({RARELY_IMPORTED})/"
    folders = virtual.folder.glob("lib/python*/site-packages")
    run([virtual.python, "-m", "compileall", "-qq", "-j", "0", "-x", seldom, *folders])


def write_command() -> None:
    """Write `.venv/bin/slipway`, which runs the package from plugins/.

    The package is not installed there, because Airflow would load its plugin twice: also from plugins/.
    """
    folder = MAIN.folder.resolve()
    text = f"""#!{folder / "bin" / "python"}
import sys

sys.path.insert(0, {str(folder.parent / "plugins")!r})

from slipway.command.main import app

if __name__ == "__main__":
    app(prog_name="slipway")
"""
    script = folder / "bin" / "slipway"
    if not script.exists() or script.read_text() != text:
        script.write_text(text)
        script.chmod(0o755)


def setup(*more: VirtualEnvironment) -> None:
    """Bring both environments, and the ones given, up to date; return at once if they are."""
    wanted = (MAIN, AWS, *more)
    if MAIN.is_current():
        write_command()
    if all(virtual.is_current() for virtual in wanted):
        return
    check_python()
    print(f"Making environments with Python {sys.version.split()[0]}, {sys.executable}", flush=True)
    create(MAIN)
    uv = install_uv()
    for virtual in wanted:
        if virtual.is_current():
            continue
        print(f"Installing {virtual.folder.name} …", flush=True)
        create(virtual)
        install(virtual, uv)
        # In the other environments few modules are ever imported.
        if virtual in (MAIN, AWS, FAB):
            compile_bytecode(virtual)
        (virtual.folder / STAMP).write_text(virtual.fingerprint())
    write_command()
    print(f"{', '.join(virtual.folder.name for virtual in wanted)} are ready.", flush=True)


def lock() -> None:
    """Resolve the requirements files again and write all transitive pins.

    :raises SetupError: when the requirements do not resolve.
    """
    uv = MAIN.folder / "bin" / "uv"
    for virtual in (MAIN, AWS, FAB, LABS, CHECKOV, REDIS, DOCS, PACKAGE, *CLIENTS):
        command: list[str | Path] = [uv, "pip", "compile", "--quiet", "--upgrade", "--no-header", "--no-annotate"]
        # Without the index in the output, pins made behind a mirror work everywhere.
        command += ["--no-emit-index-url", "--no-emit-find-links", "--python", MAIN.python]
        command += ["--python-version", _dotted(OLDEST_PYTHON)]
        if virtual in (FAB, LABS):
            # The same versions as MAIN, so that the results of its tests hold for MAIN.
            command += ["-c", MAIN.constraints]
        written = virtual.constraints.with_suffix(".new")
        if not run([*command, "-o", written, virtual.requirements], uv_environment(MAIN.python)):
            raise SetupError(f"{virtual.requirements.relative_to(ROOT)} does not resolve (see above)")
        written.replace(virtual.constraints)
        print(f"Wrote {virtual.constraints.relative_to(ROOT)}. Now: make setup", flush=True)


def main() -> int:
    """Run make setup or make lock, or prepare one of the targets that have environments of their own."""
    # Before anything is installed; what this process has imported is of the standard library alone.
    if (other := other_python()) is not None:
        # That one goes on, whatever it finds.
        os.environ["PYTHON"] = str(other)
        os.execv(other, [str(other), *sys.argv])  # noqa: S606 - no shell, and no text of a stranger's
    parser = argparse.ArgumentParser(description=__doc__)
    single = {"fab": FAB, "labs": LABS, "checkov": CHECKOV, "redis": REDIS, "docs": DOCS, "package": PACKAGE}
    more = {"clients": CLIENTS} | {name: (made,) for name, made in single.items()}
    parser.add_argument("command", choices=["setup", *more, "lock"], nargs="?", default="setup")
    try:
        commands = {"setup": setup, "lock": lock} | {name: partial(setup, *made) for name, made in more.items()}
        commands[parser.parse_args().command]()
    except SetupError as error:
        print(f"make: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
