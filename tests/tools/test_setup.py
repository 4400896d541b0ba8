"""What the set-up does beside calling uv."""

import subprocess
import sys
import sysconfig
import venv
from importlib.metadata import distributions
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

from tools import setup

# What `make test` installs, partly beside the tests.
INSTALLED = (setup.MAIN, setup.AWS, setup.LABS, setup.CHECKOV, setup.DOCS, setup.REDIS)


def _python(path: Path, exit_code: int = 0) -> Path:
    """A program that says what it was asked to run, and ends so."""
    path.write_text(f'#!/bin/sh\necho "$@"\nexit {exit_code}\n')
    path.chmod(0o755)
    return path


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> setup.VirtualEnvironment:
    """This Python was built as pyenv builds one, the caller named none, and the environment is not made yet."""
    main = setup.VirtualEnvironment(tmp_path / "main", tmp_path, tmp_path)
    monkeypatch.setattr(setup, "MAIN", main)
    monkeypatch.delenv("PYTHON", raising=False)
    monkeypatch.setattr(sysconfig, "get_config_var", {"CONFIG_ARGS": "'--prefix=/root/.pyenv'"}.get)
    return main


def test_what_is_imported_often_is_compiled_and_no_more(tmp_path: Path):
    venv.create(tmp_path)
    (packages,) = tmp_path.glob("lib/python*/site-packages")
    for name in ("airflow/api.py", "airflow/tests/long.py", "pandas/core/frame.py", "mlflow_skinny/all.py"):
        (packages / name).parent.mkdir(parents=True)
        (packages / name).write_text("found = True\n")
    (packages / "airflow/template.py").write_text("{{ no Python }}\n")
    setup.compile_bytecode(setup.VirtualEnvironment(tmp_path, tmp_path, tmp_path))
    assert [path.name.split(".")[0] for path in packages.rglob("*.pyc")] == ["api"]


def test_a_python_without_optimization_gives_way_to_the_distributions(tmp_path: Path, plain, monkeypatch):
    monkeypatch.setattr(setup, "DISTRIBUTIONS_PYTHON", _python(tmp_path / "python3.11"))
    assert setup.other_python() == tmp_path / "python3.11"


def test_the_python_that_the_caller_names_makes_the_environments(tmp_path: Path, plain, monkeypatch):
    monkeypatch.setattr(setup, "DISTRIBUTIONS_PYTHON", _python(tmp_path / "python3.11"))
    monkeypatch.setenv("PYTHON", sys.executable)
    assert setup.other_python() is None


def test_an_optimized_python_makes_the_environments(tmp_path: Path, plain, monkeypatch):
    monkeypatch.setattr(setup, "DISTRIBUTIONS_PYTHON", _python(tmp_path / "python3.11"))
    monkeypatch.setattr(sysconfig, "get_config_var", {"CONFIG_ARGS": "'--enable-optimizations'"}.get)
    assert setup.other_python() is None


def test_a_distribution_that_cannot_make_environments_is_left_alone(tmp_path: Path, plain, monkeypatch):
    monkeypatch.setattr(setup, "DISTRIBUTIONS_PYTHON", tmp_path / "none")
    assert setup.other_python() is None
    monkeypatch.setattr(setup, "DISTRIBUTIONS_PYTHON", _python(tmp_path / "too-old", exit_code=1))
    assert setup.other_python() is None


def test_the_distributions_python_is_not_started_again(plain, monkeypatch):
    monkeypatch.setattr(setup, "DISTRIBUTIONS_PYTHON", Path(sys.executable))
    assert setup.other_python() is None


def test_the_python_of_an_environment_that_is_there_stays(tmp_path: Path, plain, monkeypatch):
    monkeypatch.setattr(setup, "DISTRIBUTIONS_PYTHON", _python(tmp_path / "python3.11"))
    plain.python.parent.mkdir(parents=True)
    plain.python.symlink_to(_python(tmp_path / "former"))
    assert setup.other_python() == tmp_path / "former"
    plain.python.unlink()
    plain.python.symlink_to(sys.executable)
    assert setup.other_python() is None
    plain.python.unlink()
    plain.python.symlink_to(tmp_path / "uninstalled")
    assert setup.other_python() == tmp_path / "python3.11"


def test_the_set_up_goes_on_in_the_other_python(tmp_path: Path):
    other = _python(tmp_path / "python3.11")
    goes_on = (
        "import sys; from pathlib import Path; from tools import setup\n"
        f"setup.other_python = lambda: Path({str(other)!r}); sys.argv = ['tools/setup.py', 'labs']; setup.main()"
    )
    done = subprocess.run([sys.executable, "-c", goes_on], cwd=setup.ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "tools/setup.py labs\n"), done.stderr


def test_an_environment_of_another_python_is_made_anew(tmp_path: Path, monkeypatch):
    virtual = setup.VirtualEnvironment(tmp_path / "made", tmp_path, tmp_path)
    setup.create(virtual)
    (virtual.folder / "kept").touch()
    setup.create(virtual)
    assert (virtual.folder / "kept").exists()
    monkeypatch.setattr(sys, "version", "3.11.99 (another)")
    setup.create(virtual)
    assert not (virtual.folder / "kept").exists()


def test_an_old_python_is_refused_by_name(monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 11, 1))
    with pytest.raises(setup.SetupError, match=r"from 3\.11\.2 on, and this is 3\.11\.1"):
        setup.check_python()


@pytest.mark.parametrize("virtual", INSTALLED, ids=lambda virtual: virtual.folder.name)
def test_the_pins_are_of_packages_that_the_oldest_python_can_install(virtual):
    if not virtual.is_current():
        pytest.skip(f"{virtual.folder.name} is being made")
    packages = [str(path) for path in virtual.folder.glob("lib/python*/site-packages")]
    asked = {one.metadata["Name"]: one.metadata.get("Requires-Python") for one in distributions(path=packages)}
    oldest = setup._dotted(setup.OLDEST_PYTHON)
    assert asked
    assert [name for name, needs in asked.items() if needs and not SpecifierSet(needs).contains(oldest)] == []
