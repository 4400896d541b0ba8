"""The compute back ends by name."""

from __future__ import annotations

import os
from collections.abc import Callable

from local_aws.compute.base import Compute, ComputeSettings
from local_aws.compute.engine import engine
from local_aws.compute.engine.containers import ContainerCompute
from local_aws.compute.process import ProcessCompute

KINDS: dict[str, Callable[[ComputeSettings], Compute]] = {
    "container": lambda settings: ContainerCompute(settings.state_dir, engine.find(os.environ)),
    "process": lambda settings: ProcessCompute(settings.state_dir),
}


def create_compute(settings: ComputeSettings) -> Compute:
    """Return the back end that the settings name.

    :raises ValueError: there is no such kind
    :raises EngineError: it needs a container engine, and none answers
    """
    try:
        return KINDS[settings.kind](settings)
    except KeyError:
        raise ValueError(f"compute kind {settings.kind!r} is unknown; use one of: {', '.join(sorted(KINDS))}") from None
