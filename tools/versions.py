"""Run the unit tests with other versions of what Slipway needs (`make test-versions`, `make test-mwaa`)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tools import mwaa, setup
from tools.settings import ROOT

HOME = ROOT / ".venv-versions"
_EXTRAS = ("cli", "load", "report")
_TESTS = ROOT / "tests/versions/requirements.txt"
_MWAA = ROOT / "tests/mwaa"
# From the newest to the oldest that pyproject.toml allows.
_PYTHONS = ("3.13", "3.12", "3.11")
_SHOW = """
import sys
from importlib.metadata import version

print(sys.version, *(f"{package} {version(package)}" for package in sys.argv[1:]), sep=", ")
"""
_SHOWN = ("apache-airflow", "apache-airflow-providers-amazon", "apache-airflow-providers-standard", "boto3", "pydantic")


def python(*versions: str) -> str:
    """Find the first of these Pythons that works here, on the path or among pyenv's.

    :raises SystemExit: when there is none
    """
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    for version in versions:
        found = [shutil.which(f"python{version}"), *sorted(map(str, pyenv.glob(f"{version}.*/bin/python")))]
        for path in filter(None, found):
            # A shim of pyenv's is there and fails where its version is not chosen.
            if subprocess.run([path, "-c", "import ensurepip"], capture_output=True, check=False).returncode == 0:
                return path
    raise SystemExit(f"make: no Python {' or '.join(versions)} was found, which this needs")


def make(name: str) -> Path:
    """Make or renew an environment.

    :param name: oldest, newest or mwaa
    :returns: its Python
    """
    base = {"oldest": (_PYTHONS[-1],), "newest": _PYTHONS, "mwaa": (mwaa.PYTHON_VERSION,)}[name]
    interpreter = HOME / name / "bin" / "python"
    if not interpreter.exists():
        _uv("venv", "--quiet", "--python", python(*base), HOME / name)
    if name == "mwaa":
        _install_mwaa(interpreter)
    else:
        how = ["--resolution", "lowest-direct"] if name == "oldest" else ["--upgrade"]
        extras = [part for extra in _EXTRAS for part in ("--extra", extra)]
        _install(interpreter, *how, "-r", ROOT / "pyproject.toml", *extras)
        _install(interpreter, "-r", _TESTS)
    return interpreter


def _install_mwaa(interpreter: Path) -> None:
    """Install what MWAA's image has, and then what the requirements.txt for it names, as MWAA does.

    The constraints are in a file here, because this machine may not reach GitHub.
    """
    pins: list[str | Path] = ["-c", _MWAA / f"constraints-{mwaa.AIRFLOW_VERSION}.txt"]
    _install(interpreter, *pins, "-r", _MWAA / "image.in")
    with TemporaryDirectory() as folder:
        mwaa.build(Path(folder))
        wanted = Path(folder) / "requirements.txt"
        wanted.write_text(wanted.read_text().replace(mwaa.CONSTRAINTS, str(pins[1])))
        _install(interpreter, "-r", wanted)
    _install(interpreter, *pins, "-r", _TESTS)


def _install(interpreter: Path, *arguments: str | Path) -> None:
    _uv("pip", "install", "--quiet", "--python", interpreter, *arguments)


def _uv(*arguments: str | Path) -> None:
    command = [str(setup.MAIN.folder / "bin" / "uv"), *map(str, arguments)]
    if subprocess.run(command, env=setup.uv_environment(setup.MAIN.python), check=False).returncode:
        raise SystemExit(f"make: {' '.join(command)} failed (see above)")


def main() -> int:
    """Make the environment that is named, show its versions, and run the unit tests in it."""
    name, *more = sys.argv[1:]
    interpreter = make(name)
    subprocess.run([str(interpreter), "-c", _SHOW, *_SHOWN], check=True)
    tests = ["-m", "not local_aws and not e2e", "-n", "3", "--dist", "loadfile", "tests/unit"]
    command = [str(interpreter), "-m", "pytest", "-p", "no:cacheprovider", "-q", *tests, *more]
    return subprocess.run(command, cwd=ROOT, env=setup.clean_environment(), check=False).returncode


if __name__ == "__main__":
    raise SystemExit(main())
