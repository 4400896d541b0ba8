"""Parse DAG files as Airflow does, in forks of a process that has loaded Airflow: `bench.parsing` runs this.

Each line of JSON on its input gets a line on its output: the figures of a file or, for an empty job, the cost of
loading Airflow and then Slipway's plugin.
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.dag_processing.dagbag import DagBag


def private_mib() -> float:
    """Return the private memory of this process: what it has written to since it was forked."""
    rollup = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in rollup if line.startswith("Private_")) / 1024


def load_airflow() -> None:
    """Import what a DAG processor parses with."""
    import airflow.dag_processing.dagbag
    import airflow.plugins_manager
    import airflow.serialization.serialized_objects  # noqa: F401


def load_plugin() -> None:
    """Load the plugin, as every process of Airflow does that loads plugins."""
    from slipway.plugin import SlipwayPlugin

    SlipwayPlugin.on_load()


def cost(load: Callable[[], None]) -> tuple[float, float]:
    """Return the CPU seconds and mebibytes that a call takes."""
    memory, begun = private_mib(), time.process_time()
    load()
    return time.process_time() - begun, private_mib() - memory


def parse(file: Path, include: str) -> tuple[DagBag, float, float]:
    """Parse a file.

    :param file: a DAG file
    :param include: the folder that contains models/
    :returns: its DAGs, CPU seconds and mebibytes
    """
    from airflow.dag_processing.dagbag import DagBag

    os.environ["SLIPWAY_INCLUDE_FOLDER"] = include
    memory, begun = private_mib(), time.process_time()
    bag = DagBag(str(file), bundle_path=file.parent, collect_dags=False)
    bag.process_file(str(file), only_if_updated=False)
    seconds = time.process_time() - begun
    if bag.import_errors:
        raise SystemExit(f"{file} cannot be parsed: {bag.import_errors}")
    return bag, seconds, private_mib() - memory


def measure(file: Path, empty: str, include: str) -> dict[str, Any]:
    """Parse a file without models, which loads what it imports, and then with models.

    :param empty: an include folder without models
    :param include: an include folder with models
    """
    from airflow.serialization.serialized_objects import DagSerialization

    _, floor_seconds, _ = parse(file, empty)
    bag, seconds, mib = parse(file, include)
    begun = time.process_time()
    for dag in bag.dags.values():
        DagSerialization.to_dict(dag)
    return {
        "floor_seconds": floor_seconds,
        "seconds": seconds,
        "mib": mib,
        "serialized_seconds": time.process_time() - begun,
        "tasks": sum(len(dag.tasks) for dag in bag.dags.values()),
    }


def read_models(include: str) -> float:
    """Read the model files, as Slipway's plugin does before the processor forks.

    :returns: CPU seconds; almost 0 when they have been read before
    """
    from slipway.model.files import load_models

    begun = time.process_time()
    _, errors = load_models(Path(include) / "models")
    if errors:
        raise SystemExit(f"Not every model file is valid: {errors[0]}")
    return time.process_time() - begun


def in_a_fork(job: dict[str, Any], reading_seconds: float) -> str:
    """Measure in a child process, so that each measurement starts from the same state.

    :param reading_seconds: CPU seconds for reading the model files
    :returns: a line of JSON
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            with os.fdopen(writing, "w") as answer:
                found = measure(Path(job["file"]), job["empty"], job["include"])
                answer.write(json.dumps({**found, "reading_seconds": reading_seconds}))
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    os.close(writing)
    with os.fdopen(reading) as answer:
        line = answer.read()
    _, code = os.waitpid(child, 0)
    if code:
        raise SystemExit(f"{job['file']} could not be measured")
    return line


if __name__ == "__main__":
    loaded = {"airflow": cost(load_airflow), "plugin": cost(load_plugin)}
    print("ready", flush=True)
    for order in sys.stdin:
        job = json.loads(order)
        # In the DAG processor the plugin reads the models before it forks; here they are read before each job.
        print(in_a_fork(job, read_models(job["include"])) if job else json.dumps(loaded), flush=True)
