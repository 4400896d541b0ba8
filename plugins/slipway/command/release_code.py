"""Imports of the release's own modules, which import Airflow: that takes seconds, so few commands do it."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from slipway.command.output import Output


@contextlib.contextmanager
def release_code(output: Output) -> Iterator[None]:
    """Let the block import the release's modules and call them; none of them prints to stdout.

    Airflow wants a home folder of its own. It gets one in the person's cache, unless one is set.

    :param output: shows that something goes on
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "slipway" / "airflow"
    os.environ.setdefault("AIRFLOW_HOME", str(cache))
    os.environ.setdefault("AIRFLOW__LOGGING__LOGGING_LEVEL", "ERROR")
    working = output.err.status("Reading the model files …") if output.interactive else contextlib.nullcontext()
    with working, contextlib.redirect_stdout(sys.stderr):
        import slipway.errors  # noqa: F401

        logging.getLogger("slipway").setLevel(logging.ERROR)
        yield
