"""Finds the models of a page: sorted, filtered and counted by the database."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from airflow.models.dag import DagModel, DagTag
from airflow.models.dagrun import DagRun
from airflow.models.hitl import HITLDetail
from airflow.models.taskinstance import TaskInstance
from airflow.utils.state import DagRunState, TaskInstanceState
from sqlalchemy import Select, case, func, select
from sqlalchemy.orm import Session

from slipway.board.documents import Counts, Need, Order
from slipway.names import DAG_TAG, RELEASE_TAG

WAITING_STATES = (TaskInstanceState.DEFERRED, TaskInstanceState.AWAITING_INPUT)
_RANKS = {need: rank for rank, need in enumerate(Need)}


@dataclass(frozen=True)
class Listed:
    """A model of the page, with its newest run."""

    dag_id: str
    paused: bool
    need: Need
    run: int | None
    run_id: str | None
    newest_at: datetime | None


@dataclass(frozen=True)
class Wanted:
    """What a page is to show.

    :param text: a part of the model's name
    :param need: only models with this need
    """

    text: str = ""
    need: Need | None = None
    order: Order = Order.NEED
    limit: int = 25
    offset: int = 0


def is_release_dag() -> tuple[Any, ...]:
    """Return the conditions by which a query finds the DAGs of models."""
    tagged = (
        select(DagTag.dag_id).where(DagTag.dag_id == DagModel.dag_id, DagTag.name == tag).exists()
        for tag in (DAG_TAG, RELEASE_TAG)
    )
    return (DagModel.is_stale.is_(False), *tagged)


def page(wanted: Wanted, readable: Collection[str], session: Session) -> tuple[list[Listed], Counts]:
    """Read a page of models, and how many there are of each need.

    :param wanted: what to show
    :param readable: the DAGs that the caller may read
    :param session: Airflow's database
    """
    rows = _models(wanted.text, readable).subquery()
    counted = session.execute(select(rows.c.rank, func.count()).group_by(rows.c.rank)).all()
    needs = list(Need)
    counts = Counts(**{needs[rank].value: count for rank, count in counted})
    statement = select(rows)
    if wanted.need is not None:
        statement = statement.where(rows.c.rank == _RANKS[wanted.need])
    by = {
        Order.NEED: (rows.c.rank, rows.c.asked_at, rows.c.newest_id.desc()),
        Order.NEWEST: (rows.c.newest_id.is_(None), rows.c.newest_id.desc()),
        Order.MODEL: (),
    }[wanted.order]
    statement = statement.order_by(*by, rows.c.dag_id).limit(wanted.limit).offset(wanted.offset)
    found = session.execute(statement).all()
    listed = [
        Listed(row.dag_id, row.is_paused, needs[row.rank], row.newest_id, row.run_id, row.run_after) for row in found
    ]
    return listed, counts


def _models(text: str, readable: Collection[str]) -> Select[Any]:
    # Airflow may run much else, whose runs would be read too.
    ours = select(DagModel.dag_id).where(*is_release_dag(), DagModel.dag_id.in_(readable))
    newest = (
        select(DagRun.dag_id, func.max(DagRun.id).label("id"))
        .where(DagRun.dag_id.in_(ours))
        .group_by(DagRun.dag_id)
        .subquery()
    )
    asked = (
        select(TaskInstance.dag_id, func.min(HITLDetail.created_at).label("at"))
        .join(HITLDetail, HITLDetail.ti_id == TaskInstance.id)
        .where(HITLDetail.responded_at.is_(None), TaskInstance.state.in_(WAITING_STATES))
        .group_by(TaskInstance.dag_id)
        .subquery()
    )
    rank = case(
        (asked.c.at.is_not(None), _RANKS[Need.DECISION]),
        (DagRun._state == DagRunState.FAILED, _RANKS[Need.FAILED]),
        (DagRun._state.in_((DagRunState.RUNNING, DagRunState.QUEUED)), _RANKS[Need.RUNNING]),
        else_=_RANKS[Need.DONE],
    ).label("rank")
    statement = (
        select(
            DagModel.dag_id,
            DagModel.is_paused,
            rank,
            asked.c.at.label("asked_at"),
            newest.c.id.label("newest_id"),
            DagRun.run_id,
            DagRun.run_after,
        )
        .outerjoin(newest, newest.c.dag_id == DagModel.dag_id)
        .outerjoin(DagRun, DagRun.id == newest.c.id)
        .outerjoin(asked, asked.c.dag_id == DagModel.dag_id)
        .where(*is_release_dag(), DagModel.dag_id.in_(readable))
    )
    if text:
        statement = statement.where(DagModel.dag_id.icontains(text, autoescape=True))
    return statement
