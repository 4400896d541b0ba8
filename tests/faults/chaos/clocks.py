"""A component whose clock is a minute ahead or behind, by libfaketime: https://github.com/wolfcw/libfaketime"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

from tests.faults.chaos.victims import COMPONENTS, component_of
from tools.component import next_variables
from tools.environment import write_private
from tools.settings import Settings

SHIFT_SECONDS = 60
_LIBRARY = "vendor/libfaketime/src/libfaketime.so.1"


def can_be_shifted() -> bool:
    """Try it: the library is for one kind of machine, and the linker passes over one that it cannot load."""
    spec = find_spec("libfaketime")
    if spec is None or not spec.submodule_search_locations:
        return False
    command = [sys.executable, "-c", "import time; print(time.time())"]
    shown = subprocess.run(command, env=os.environ | _variables(SHIFT_SECONDS), capture_output=True, check=True).stdout
    return float(shown) - time.time() > SHIFT_SECONDS / 2


def _variables(seconds: int) -> dict[str, str]:
    spec = find_spec("libfaketime")
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError("libfaketime is not installed")
    return {
        "LD_PRELOAD": str(Path(spec.submodule_search_locations[0], _LIBRARY)),
        "FAKETIME": f"{seconds:+d}s",
        # A wrong clock is wrong about the date only: it goes as fast as others, and files have the kernel's times.
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "NO_FAKE_STAT": "1",
    }


def shift_next_start(settings: Settings, kind: str, seconds: int) -> None:
    """Give a component another clock when it is started the next time, and only then."""
    component = component_of(settings, kind)
    if component:
        write_private(next_variables(Path(component.log)), json.dumps(_variables(seconds)))


def forget_shift(settings: Settings, kind: str) -> None:
    """Take back what shift_next_start has prepared."""
    component = component_of(settings, kind)
    if component:
        next_variables(Path(component.log)).unlink(missing_ok=True)


def shifted(settings: Settings) -> dict[str, int]:
    """:returns: the components whose clock is another one now, by kind, with their process ids"""
    found = {}
    for kind in COMPONENTS:
        component = component_of(settings, kind)
        if component and component.pid:
            with contextlib.suppress(OSError):
                if "libfaketime" in Path(f"/proc/{component.pid}/maps").read_text():
                    found[kind] = component.pid
    return found
