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
def release_code(output: Output) -> Iterator[None]:
    """Let the block import the release's modules and call them; none of them prints to stdout.

    Airflow wants a home folder of its own. It gets one in the person's cache, unless one is set.

    :param output: shows that something goes on
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "slipway" / "airflow"
    os.environ.setdefault("AIRFLOW_HOME", str(cache))
    # Read when Airflow is imported. Without it each hook says where its credentials come from.
    os.environ.setdefault("AIRFLOW__LOGGING__NAMESPACE_LEVELS", "slipway.aws.session=WARNING")
    working = output.err.status("Reading the model files …") if output.interactive else contextlib.nullcontext()
    loggers = [logging.getLogger(name) for name in _QUIET]
    levels = [logger.level for logger in loggers]
    with working, contextlib.redirect_stdout(sys.stderr):
        import slipway.errors  # noqa: F401

        try:
            for logger in loggers:
                logger.setLevel(logging.ERROR)
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
