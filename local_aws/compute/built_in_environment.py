"""The variables of a built-in algorithm's program."""

import os
from pathlib import Path

from local_aws.compute.base import ContainerSpec
from local_aws.compute.forked import IDLE_THREADS


def environment_of(spec: ContainerSpec, source_root: Path, root: Path) -> dict[str, str]:
    """Return the program's environment: of the host's only the search paths, and above all no credentials.

    :param source_root: where the program's modules are
    :param root: the program's /opt/ml
    """
    channels = spec.opt_ml / "input" / "data"
    names = sorted(entry.name for entry in channels.iterdir()) if channels.is_dir() else []
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(spec.opt_ml),
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(source_root),
        "PYTHONUNBUFFERED": "1",
        **IDLE_THREADS,
        "SM_INPUT_DIR": str(root / "input"),
        "SM_INPUT_CONFIG_DIR": str(root / "input" / "config"),
        "SM_MODEL_DIR": str(root / "model"),
        "SM_OUTPUT_DIR": str(root / "output"),
        "SM_OUTPUT_DATA_DIR": str(root / "output" / "data"),
        **{f"SM_CHANNEL_{name.upper()}": str(root / "input" / "data" / name) for name in names},
        **spec.environment,
    }
