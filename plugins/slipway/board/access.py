"""Who may read the board: whoever Airflow's auth manager lets read a DAG's runs, tasks, XComs and questions.

https://airflow.apache.org/docs/apache-airflow/stable/core-concepts/auth-manager/index.html
"""

from __future__ import annotations

from typing import Annotated, Any

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.common.db.common import SessionDep
from airflow.api_fastapi.core_api.security import GetUserDep
from airflow.models.dag import DagModel
from fastapi import Depends, HTTPException, Request, status
from sqlalchemy.orm import Session

# What the pages show of a DAG, in the auth manager's words.
_SHOWN = {
    DagAccessEntity.RUN: "runs",
    DagAccessEntity.TASK_INSTANCE: "task instances",
    DagAccessEntity.XCOM: "XComs",
    DagAccessEntity.HITL_DETAIL: "required actions",
}


def reader(request: Request, user: GetUserDep, session: SessionDep) -> BaseUser:
    """Return who asks, if they may read what a page shows.

    :param request: the request; its path may name a DAG
    :param user: whose login it bears
    :param session: Airflow's database
    :raises fastapi.HTTPException: 403 that names what they may not read
    """
    dag_id = request.path_params.get("dag_id")
    team_name = DagModel.get_team_name(dag_id, session=session) if dag_id else None
    details = DagDetails(id=dag_id, team_name=team_name)
    may = get_auth_manager().is_authorized_dag
    for entity, name in _SHOWN.items():
        if not may(method="GET", access_entity=entity, details=details, user=user):
            raise HTTPException(
                status.HTTP_403_FORBIDDEN,
                f"{user.get_name()} may not read the {name} of {dag_id or 'any DAG'}. Ask an administrator of Airflow "
                "for this permission.",
            )
    return user


Reader = Annotated[Any, Depends(reader)]


def readable_dags(user: BaseUser, session: Session) -> set[str]:
    """Return the DAGs that somebody may read."""
    return get_auth_manager().get_authorized_dag_ids(user=user, method="GET", session=session)


def may_answer(user: BaseUser, dag_ids: set[str]) -> set[str]:
    """Return the DAGs whose questions Airflow lets somebody answer at all; the guard then asks for an approver."""
    return {dag_id for dag_id in dag_ids if _may(user, "PUT", DagAccessEntity.HITL_DETAIL, dag_id)}


def may_start(user: BaseUser, dag_id: str) -> bool:
    """Tell whether Airflow lets somebody start a run of a DAG."""
    return _may(user, "POST", DagAccessEntity.RUN, dag_id)


def refusal_to_start(user: BaseUser, dag_id: str, what: str, *, paused: bool) -> str | None:
    """Say why somebody cannot start a run of a DAG that begins at once; None if they can.

    :param user: who would start it
    :param dag_id: the DAG
    :param what: what the run would be, with its article
    :param paused: whether the DAG is paused
    """
    if not may_start(user, dag_id):
        return f"Airflow does not let {user.get_name()} start a run: ask an administrator for the permission."
    return f"The DAG is paused, so {what} would wait. Unpause it first." if paused else None


def _may(user: BaseUser, method: Any, entity: DagAccessEntity, dag_id: str) -> bool:
    details = DagDetails(id=dag_id)
    return get_auth_manager().is_authorized_dag(method=method, access_entity=entity, details=details, user=user)
