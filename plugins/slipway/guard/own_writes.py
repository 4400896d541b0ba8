"""The guard's own writes, with a mark by which it recognizes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow.models.task_state_store import TaskStateStoreModel
from sqlalchemy import insert
from sqlalchemy.orm import Session

_OPTION = "slipway_guard"
# Compared by identity, so no request and no other code can have it.
_MARK = object()


def write_state(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write entries into the state stores of tasks, in the transaction of a session.

    :param session: the session whose flush is under way
    :param rows: the entries
    :raises sqlalchemy.exc.IntegrityError: when one of them is there already
    """
    statement = insert(TaskStateStoreModel.__table__)
    session.connection().execute(statement, [dict(row) for row in rows], execution_options={_OPTION: _MARK})


def is_own(execution_options: Mapping[str, Any]) -> bool:
    """Tell whether a statement with these execution options is the guard's own."""
    return execution_options.get(_OPTION) is _MARK
