"""Print as JSON what each process of a DAG file imports after the DAG processor has forked it.

A program: tests/unit/test_parse_imports.py starts it, because a test's own process has loaded much more.
"""

import json
import sys
from pathlib import Path

# First, as in the DAG processor: the plugin looks for it.
import airflow.dag_processing.manager  # noqa: F401
import structlog
from airflow.dag_processing.processor import DagFileParseRequest, _parse_file, _pre_import_airflow_modules

from slipway.plugin import SlipwayPlugin
from tests.unit.task_imports import in_a_fork

LOG = structlog.get_logger()


def imported_by(file: Path) -> dict[str, object]:
    """What a parse of this file imports, beside the file itself, and what it finds."""
    before = set(sys.modules)
    found = _parse_file(DagFileParseRequest(file=str(file), bundle_path=file.parent, bundle_name="dags-folder"), LOG)
    assert found is not None
    late = [name for name in set(sys.modules) - before if not name.startswith("unusual_prefix_")]
    return {"late": sorted(late), "dags": len(found.serialized_dags), "errors": found.import_errors}


if __name__ == "__main__":
    SlipwayPlugin.on_load()
    files = sorted(Path("dags").resolve().glob("*.py"))
    for file in files:
        _pre_import_airflow_modules(str(file), LOG)
    print(json.dumps({file.name: in_a_fork(lambda file=file: imported_by(file)) for file in files}))  # noqa: T201
