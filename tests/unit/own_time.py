"""A module's own clock and pauses."""

import time
from types import ModuleType, SimpleNamespace

import pytest


def give_time(monkeypatch: pytest.MonkeyPatch, module: ModuleType, **functions: object) -> None:
    """Replace functions of `time` for one module; threads that earlier tests have left sleep as before.

    :param module: imports `time`
    :param functions: by their names
    """
    monkeypatch.setattr(module, "time", SimpleNamespace(**vars(time) | functions))
