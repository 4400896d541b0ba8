"""The one door to Airflow's private SDK: which modules may import airflow.sdk.execution_time."""

import ast
from pathlib import Path

import pytest

import slipway

PACKAGE = Path(slipway.__file__).parent
DOOR = "host"
PRIVATE = "airflow.sdk.execution_time"


def names_imported(tree):
    """Every module that code imports, at its head or in a function, by a statement or by name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call):
            # import_module("…"), import_string("…") and whatever else takes a module's name.
            yield from (part.value for part in node.args if isinstance(part, ast.Constant))


def imports_private_parts(text):
    return any(f"{name}.".startswith(f"{PRIVATE}.") for name in names_imported(ast.parse(text)))


@pytest.mark.parametrize(
    ("text", "private"),
    [
        ("import airflow.sdk.execution_time.comms", True),
        ("from airflow.sdk import execution_time", True),
        ("def run():\n    from airflow.sdk.execution_time.task_runner import SUPERVISOR_COMMS", True),
        ("import_module('airflow.sdk.execution_time.hitl')", True),
        ("from airflow.sdk import DAG", False),
        ("import airflow.sdk.execution_timeout", False),
    ],
)
def test_each_way_to_import_is_seen(text, private):
    assert imports_private_parts(text) is private


def test_only_one_room_uses_airflows_private_sdk():
    outside = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if path.relative_to(PACKAGE).parts[0] != DOOR and imports_private_parts(path.read_text())
    }
    assert not outside, (
        f"{', '.join(sorted(outside))} in plugins/slipway imports {PRIVATE}. Only {DOOR}/ may: Airflow changes that "
        f"package without notice, and then one room is changed with it. Put a function into {DOOR}/ and call it."
    )
