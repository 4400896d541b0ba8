"""What Airflow finds in a home whose dags/ and plugins/ somebody has filled, in an environment of any versions."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PROBE = """
import importlib.util, json, sys
from importlib.metadata import version
from pathlib import Path

from airflow import plugins_manager
from airflow.dag_processing.dagbag import DagBag
from airflow.serialization.serialized_objects import DagSerialization

import slipway

dags = Path(sys.argv[1], "dags")
bag = DagBag(str(dags), bundle_path=dags)
plugins = [each for each in plugins_manager.get_plugin_info() if each["name"] == "slipway"]
print(json.dumps({
    "python": list(sys.version_info[:2]),
    "airflow": version("apache-airflow"),
    "amazon": version("apache-airflow-providers-amazon"),
    "sagemaker": importlib.util.find_spec("sagemaker") is not None,
    "package": str(Path(slipway.__file__).parent),
    "dags": sorted(bag.dag_ids),
    "serialized": sorted(dag.dag_id for dag in bag.dags.values() if DagSerialization.to_dict(dag)),
    "errors": bag.import_errors,
    "plugins": len(plugins),
    "plugin_errors": plugins_manager.get_import_errors(),
    "executed": sorted(name for name in ("names", "states", "plan", "errors") if name in sys.modules),
}))
"""


def look(python: Path, home: Path, variables: Mapping[str, str]) -> dict[str, Any]:
    """Return the DAGs and plugins that the Airflow of this Python finds in the home, and what it says of itself."""
    environment = {
        "PATH": f"{python.parent}:/usr/bin:/bin",
        "HOME": str(home),
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        **variables,
    }
    command = [str(python), "-c", PROBE, str(home)]
    done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True, cwd=home)
    assert done.returncode == 0, done.stderr[-4000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found
