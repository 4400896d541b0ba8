"""Imports of the release's own modules, which import Airflow: that takes seconds, so few commands do it."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from slipway.command.output import Output

# Whose notes are for a task's log and not for a person at a terminal.
_QUIET = ("slipway", "airflow", "botocore", "boto3")


@contextlib.contextmanager
def kept_levels() -> Iterator[None]:
    """Give loggers their levels back when a command ends: `release_code` silences them."""
    levels = {name: logging.getLogger(name).level for name in _QUIET}
    try:
        yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)


@contextlib.contextmanager
def release_code(output: Output) -> Iterator[None]:
    """Let the block import the release's modules and call them; none of them prints to stdout, nor logs from then on.

    Airflow wants a home folder of its own. It gets one in the person's cache, unless one is set.

    :param output: shows that something goes on
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "slipway" / "airflow"
    os.environ.setdefault("AIRFLOW_HOME", str(cache))
    # Read when Airflow is imported. Without it each hook says where its credentials come from.
    os.environ.setdefault("AIRFLOW__LOGGING__NAMESPACE_LEVELS", "slipway.aws.session=WARNING")
    working = output.err.status("Reading the model files …") if output.interactive else contextlib.nullcontext()
    with working, contextlib.redirect_stdout(sys.stderr):
        import slipway.errors  # noqa: F401

        # Importing Airflow has configured a log at the terminal, where botocore would say how it finds each endpoint.
        for name in _QUIET:
            logging.getLogger(name).setLevel(logging.ERROR)
        yield
