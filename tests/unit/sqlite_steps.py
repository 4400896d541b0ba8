"""The steps of SQLite's virtual machine: what statements read, whatever they return."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine


@contextmanager
def counted(engine: Engine, every: int = 1) -> Iterator[list[int]]:
    """Count the steps in a block.

    :param engine: of a database in memory
    :param every: after how many steps of a statement SQLite calls back
    :returns: how often it has called back
    """
    connection = engine.raw_connection().driver_connection
    assert isinstance(connection, sqlite3.Connection)
    steps = [0]

    def step() -> int:
        steps[0] += 1
        return 0

    connection.set_progress_handler(step, every)
    yield steps
    connection.set_progress_handler(None, 0)
