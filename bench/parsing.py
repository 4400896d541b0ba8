"""Measure what dags/ costs the DAG processor for 1 to 1 000 models, beside as many empty tasks."""

from __future__ import annotations

import os
import shutil
import statistics
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.probe import Probe
from bench.report import Bound, Part
from tools.settings import ROOT

MODELS = (1, 10, 100, 1000)
# A few models are parsed in milliseconds, so they are parsed several times; the median counts.
_REPETITIONS = {1: 5, 10: 5, 100: 3, 1000: 1}
_NOISE = 1.2
_MOST_MS = 10.0
_MINIMAL = '''"""As many tasks as the release DAGs have, doing nothing."""
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, chain
import os
from pathlib import Path

for model in sorted(Path(os.environ["SLIPWAY_INCLUDE_FOLDER"], "models").glob("*.yaml")):
    with DAG(model.stem, schedule=None) as dag:
        chain(*[EmptyOperator(task_id=f"task_{{number}}") for number in range({tasks})])
    globals()[model.stem] = dag
'''


@dataclass(frozen=True)
class Parsed:
    """The figures of parsing DAG files for a number of models.

    :param models: number of models
    :param reading_seconds: CPU seconds for reading the model files, once for each processor
    :param floor_seconds: CPU seconds for imports, without a model
    :param seconds: CPU seconds for the models
    :param mib: mebibytes for the models
    :param serialized_seconds: CPU seconds for serialising the DAGs for Airflow's database
    :param tasks: number of tasks in all
    """

    models: int
    reading_seconds: float
    floor_seconds: float
    seconds: float
    mib: float
    serialized_seconds: float
    tasks: int

    @property
    def ms_each(self) -> float:
        """CPU milliseconds for one model, without imports."""
        return self.seconds / self.models * 1000


@dataclass(frozen=True)
class Loaded:
    """What a process that loads plugins costs once.

    :param seconds: CPU seconds
    :param mib: mebibytes
    """

    seconds: float
    mib: float

    def __str__(self) -> str:
        return f"{self.seconds:.2f} s, {self.mib:.0f} MiB"


def measure(say: Callable[[str], None]) -> Part:
    """Parse generated model files.

    :param say: prints progress
    """
    # CPU time is measured, so a busy machine must not cause a timeout.
    patience = {"AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT": "600"}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="slipway-bench-")))
        probe = stack.enter_context(Probe("bench.parse_probe", folder / "airflow", patience))
        loaded = {what: Loaded(*figures) for what, figures in probe.ask({}).items()}
        includes = {models: include_folder(folder / f"include-{models}", models) for models in (0, *MODELS)}
        files = sorted((ROOT / "dags").glob("*.py"))
        ours: dict[int, Parsed] = {}
        for models in MODELS:
            ours[models] = _parsed(probe, files, includes, models)
            say(f"{models} models: {ours[models].ms_each:.1f} ms each")
        minimal = folder / "minimal.py"
        one = _ask(probe, ROOT / "dags/release.py", includes, 1)
        minimal.write_text(_MINIMAL.format(tasks=one["tasks"]))
        say("the minimal file")
        others = {models: _parsed(probe, [minimal], includes, models) for models in MODELS}
    return part(ours, others, loaded)


def include_folder(folder: Path, models: int) -> Path:
    """Make an include folder with a number of models, each the iris model under another name."""
    shutil.copytree(ROOT / "include", folder, ignore=shutil.ignore_patterns("*.yml"))
    iris = (folder / "models/iris-model.yaml").read_text()
    for file in (folder / "models").iterdir():
        file.unlink()
    for number in range(models):
        name = f"model-{number:04}"
        file = folder / "models" / f"{name}.yaml"
        file.write_text(iris.replace("iris-model", name))
        # Old files, because Slipway reads a new file each time.
        os.utime(file, (0, 0))
    return folder


def _ask(probe: Probe, file: Path, includes: dict[int, Path], models: int) -> dict[str, Any]:
    return probe.ask({"file": str(file), "empty": str(includes[0]), "include": str(includes[models])})


def _parsed(probe: Probe, files: list[Path], includes: dict[int, Path], models: int) -> Parsed:
    """Parse files, each in its own process, and add up their figures."""
    total = dict.fromkeys(("floor_seconds", "seconds", "mib", "serialized_seconds", "tasks"), 0.0)
    reading = 0.0
    for file in files:
        times = [_ask(probe, file, includes, models) for _ in range(_REPETITIONS[models])]
        reading = max(reading, *(one["reading_seconds"] for one in times))
        for member in total:
            total[member] += statistics.median(one[member] for one in times)
    tasks = int(total.pop("tasks"))
    return Parsed(models=models, tasks=tasks, reading_seconds=reading, **total)


def part(ours: dict[int, Parsed], others: dict[int, Parsed], loaded: dict[str, Loaded]) -> Part:
    """Compare dags/ with the minimal file.

    :param ours: figures of dags/, by the number of models
    :param others: figures of the minimal file
    :param loaded: the cost of loading ``airflow``, and of loading ``plugin`` after it
    """
    few, many = ours[MODELS[1]], ours[MODELS[-1]]
    rows = [
        (
            f"{name}, {one.models} models",
            f"{one.tasks}",
            f"{one.reading_seconds / one.models * 1000:.2f}",
            f"{one.floor_seconds:.2f}",
            f"{one.seconds:.3f}",
            f"{one.ms_each:.2f}",
            f"{one.mib:.1f}",
            f"{one.serialized_seconds / one.models * 1000:.2f}",
        )
        for name, each in (("dags/", ours), ("minimal file", others))
        for one in each.values()
    ]
    columns = (
        "c: parsing",
        "tasks",
        "reading once ms each",
        "imports s",
        "models s",
        "ms each",
        "MiB",
        "serialising ms each",
    )
    return Part(
        columns,
        rows,
        [
            Bound(f"c: a model of {many.models} / a model of {few.models}", many.ms_each / few.ms_each, _NOISE, -1),
            Bound(f"c: ms for each of {many.models} models, above the imports", many.ms_each, _MOST_MS, -1),
        ],
        {
            "loaded": {what: vars(one) for what, one in loaded.items()},
            **{name: [vars(one) for one in each.values()] for name, each in (("dags", ours), ("minimal", others))},
        },
        [f"c: once in each process with plugins: Airflow {loaded['airflow']}; Slipway's plugin {loaded['plugin']}"],
    )
