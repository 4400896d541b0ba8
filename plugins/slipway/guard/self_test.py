"""The guard's own test: it tries changes that must be refused, in transactions that are rolled back."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from uuid import UUID

from airflow.models.task_state_store import TaskStateStoreModel
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from airflow.utils.session import create_session
from airflow.utils.state import TaskInstanceState
from fastapi import HTTPException, status
from sqlalchemy import insert, inspect
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.orm import Session, make_transient_to_detached
from sqlalchemy.orm.attributes import set_committed_value
from sqlalchemy.orm.exc import StaleDataError

from slipway.guard.approvals import APPROVAL_OPERATOR
from slipway.guard.belongings import TEST_DAG_ID
from slipway.guard.caller import Caller, current_caller

_NOBODY = UUID(int=0)
_ROW = {"dag_run_id": -1, "dag_id": TEST_DAG_ID, "run_id": "-", "task_id": "-", "map_index": -1, "key": "answer/0"}


def failure() -> str | None:
    """Try changes that must be refused. None of them is kept.

    :returns: what was not refused; None when all was
    """
    token = current_caller.set(Caller(None))
    try:
        passed = [name for name, attempt in _ATTEMPTS.items() if not _is_refused(attempt)]
    except SQLAlchemyError as error:
        return f"the database failed during its own test ({type(error).__name__})"
    finally:
        current_caller.reset(token)
    return f"it did not refuse {', '.join(passed)}" if passed else None


def _is_refused(attempt: Callable[[Session], None]) -> bool:
    session: Session
    with create_session(scoped=False) as session:
        try:
            attempt(session)
        except HTTPException as error:
            return error.status_code == status.HTTP_403_FORBIDDEN
        except (IntegrityError, StaleDataError):
            # The database refused it, because there is no such run or task: the guard had let it through.
            return False
        finally:
            with suppress(SQLAlchemyError):
                session.rollback()
    return False


def _forge_answer(session: Session) -> None:
    session.execute(insert(TaskStateStoreModel).values(**_ROW, value="{}", updated_at=datetime.now(UTC)))


def _forge_xcom(session: Session) -> None:
    session.connection().execute(insert(XComModel.__table__), [{**_ROW, "timestamp": datetime.now(UTC)}])


def _mark_approval(session: Session) -> None:
    """Change a task instance that the session takes for one of the database."""
    ti: TaskInstance = inspect(TaskInstance).class_manager.new_instance()
    ti.id = _NOBODY
    make_transient_to_detached(ti)
    known = {"dag_id": TEST_DAG_ID, "run_id": "-", "task_id": "approve", "map_index": -1}
    for name, value in {**known, "operator": APPROVAL_OPERATOR, "state": TaskInstanceState.DEFERRED}.items():
        set_committed_value(ti, name, value)
    session.add(ti)
    ti.state = TaskInstanceState.SUCCESS
    session.flush()


_ATTEMPTS: dict[str, Callable[[Session], None]] = {
    "a forged answer": _forge_answer,
    "a forged XCom": _forge_xcom,
    "a mark on an approval": _mark_approval,
}
