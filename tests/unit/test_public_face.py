"""What `import slipway` gives, and what it must not import."""

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import slipway
from slipway import errors, release_dag

ROOT = Path(__file__).resolve().parents[2]


def in_a_fresh_interpreter(code: str) -> list[str]:
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT / "plugins", check=True, capture_output=True, text=True)
    return done.stdout.split()


@pytest.mark.parametrize("name", slipway.__all__)
def test_each_name_is_the_thing_of_that_name(name):
    assert getattr(slipway, name).__name__ == name


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'slipway' has no attribute 'build_everything'"):
        slipway.build_everything  # noqa: B018
    with pytest.raises(ImportError):
        exec("from slipway import build_everything")  # noqa: S102


def test_the_names_are_listed():
    assert {*slipway.__all__, "__version__"} <= set(dir(slipway))
    assert len(set(slipway.__all__)) == len(slipway.__all__)


def test_every_error_can_be_caught_by_its_name():
    own = {
        name for name, value in vars(errors).items() if inspect.isclass(value) and value.__module__ == errors.__name__
    }
    assert own <= set(slipway.__all__)


def test_every_operator_and_sensor_of_a_release_is_there():
    own = {name for name in vars(release_dag) if name.endswith(("Operator", "Sensor"))}
    assert own <= set(slipway.__all__)


def test_type_checkers_see_each_name_where_it_is():
    tree = ast.parse(Path(slipway.__file__).read_text())
    [block] = [node for node in tree.body if isinstance(node, ast.If)]
    seen = {alias.name: node.module for node in block.body for alias in node.names}
    assert seen == {name: slipway._MODULES.get(name, slipway._ERRORS) for name in slipway.__all__}


@pytest.mark.parametrize("module", ["slipway", "slipway.paths", "slipway.load"])
def test_the_import_needs_neither_airflow_nor_boto3(module):
    code = f"import sys, {module}; print(*{{'airflow', 'boto3', 'botocore', 'pydantic'}}.intersection(sys.modules))"
    assert in_a_fresh_interpreter(code) == []


def test_a_first_use_imports_what_it_needs():
    assert in_a_fresh_interpreter("import slipway; print(slipway.ModelConfig.__module__)") == [
        slipway._MODULES["ModelConfig"]
    ]
