"""The plots of a model's endpoints: requests, errors and latency over time, beside what was released and decided."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from airflow.models.asset import AssetModel
from airflow.models.asset_state_store import AssetStateStoreModel
from airflow.models.dag import DagModel
from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from airflow.utils.state import TaskInstanceState
from pydantic import BaseModel
from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from slipway.board import decisions, live, results
from slipway.board.decisions import decided
from slipway.board.documents import Decided
from slipway.board.overview import is_release_dag
from slipway.board.progress import DEPLOYMENTS
from slipway.board.results import Results
from slipway.board.served import SurveyState
from slipway.board.stages import APPROVE, DECIDE_TRIAL
from slipway.errors import UnreadableDocument
from slipway.live import history, snapshot
from slipway.live.history import COARSE, COARSE_FOR, FINE, FINE_FOR, History, Recorded, VariantHistory, history_key
from slipway.plan import roll_back_target_of

# More marks than this cannot be told apart.
_MARKS = 60
_ENVIRONMENTS = {task: environment for environment, task in DEPLOYMENTS.items()}
_MARKED_TASKS = (*_ENVIRONMENTS, APPROVE, DECIDE_TRIAL, "settle_trial")
_NO_REQUESTS = "Nobody has sent requests to it in this time. Its own tests and stress tests count too."


class Range(StrEnum):
    """How far back the plots go."""

    DAY = "day"
    WEEK = "week"


class MarkKind(StrEnum):
    """What has happened."""

    DEPLOYED = "deployed"
    FAILED = "failed"
    ROLLED_BACK = "rolled back"
    APPROVED = "approved"
    REJECTED = "rejected"
    TRIAL = "trial"


class TrafficPoint(BaseModel):
    """What a variant did in some minutes; ``latency_p99_ms`` is the highest p99 of one of them."""

    at: datetime
    requests: int
    errors: int
    latency_p99_ms: float | None


class TrafficOfVariant(BaseModel):
    """The points of a variant, the oldest first; a time without requests has none."""

    name: str
    points: list[TrafficPoint]


class Gap(BaseModel):
    """A span of time of which nothing is known."""

    begin: datetime
    end: datetime


class TrafficOfEndpoint(BaseModel):
    """An endpoint's points; ``say`` is a sentence about why there are none, and what to do."""

    environment: str
    endpoint: str
    variants: list[TrafficOfVariant]
    gaps: list[Gap]
    say: str | None


class Mark(BaseModel):
    """A moment in which a release changed something, or was decided on."""

    at: datetime
    kind: MarkKind
    environment: str
    run_id: str
    say: str


class Traffic(BaseModel):
    """What a model's endpoints did between two moments, in points of ``seconds``.

    ``say`` is a sentence about what is missing and what to do; there is none while all is well.
    """

    since: datetime
    until: datetime
    seconds: int
    endpoints: list[TrafficOfEndpoint]
    marks: list[Mark]
    say: str | None
    at: datetime


def traffic(dag_id: str, wanted: Range, session: Session) -> Traffic | None:
    """Read what a model's endpoints did.

    :param dag_id: the model
    :param wanted: how far back
    :param session: Airflow's database
    :returns: None if it is no model of Slipway's
    """
    if session.scalar(select(DagModel.dag_id).where(DagModel.dag_id == dag_id, *is_release_dag())) is None:
        return None
    now = datetime.now(UTC)
    length, span = (FINE, FINE_FOR) if wanted is Range.DAY else (COARSE, COARSE_FOR)
    until = history.known_until(now)
    since = history.begin_of(until - span, length)
    seen = live.found(session)
    stored = _stored([one.name for one in seen.endpoints.get(dag_id, ())], session)
    survey = seen.survey(now)
    endpoints = []
    for one in sorted(seen.endpoints.get(dag_id, ()), key=lambda one: one.environment, reverse=True):
        variants, recorded = stored[one.name]
        shown = {name: _points(each, length, since) for name, each in variants.items()}
        begun = max(since, datetime.fromisoformat(one.created))
        endpoints.append(
            TrafficOfEndpoint(
                environment=one.environment,
                endpoint=one.name,
                variants=[TrafficOfVariant(name=name, points=points) for name, points in shown.items() if points],
                gaps=list(_gaps(recorded, begun, until)) if begun < until else [],
                say=None if any(shown.values()) else _NO_REQUESTS,
            )
        )
    say = survey.say
    if not endpoints and survey.state is not SurveyState.NONE:
        say = "AWS has no endpoint of this model. The first release makes one; this fills itself from then on."
    return Traffic(
        since=since,
        until=until,
        seconds=round(length.total_seconds()),
        endpoints=endpoints,
        marks=_marks(dag_id, since, session),
        say=say,
        at=now,
    )


def _points(variant: VariantHistory, length: timedelta, since: datetime) -> list[TrafficPoint]:
    return [
        TrafficPoint(at=one.at, requests=one.requests, errors=one.errors, latency_p99_ms=one.latency_p99_ms)
        for one in variant.points(length)
        if one.at >= since
    ]


def _stored(endpoints: Collection[str], session: Session) -> dict[str, tuple[Mapping[str, VariantHistory], Recorded]]:
    """Read the history of some endpoints, and when somebody looked at them.

    :param endpoints: their names
    :param session: Airflow's database
    """
    keys = {history_key(name): name for name in endpoints}
    store, asset = AssetStateStoreModel, AssetModel
    statement = (
        select(asset.name, store.key, store.value)
        .join(asset, asset.id == store.asset_id)
        .where(
            and_(
                asset.name.startswith(snapshot.ASSET_PREFIX, autoescape=True),
                store.key.in_((history.RECORDED, *keys)),
            )
        )
    )
    recorded, found = {}, {}
    for row in session.execute(statement):
        value = live.json_of(row.value)
        if row.key == history.RECORDED:
            recorded[row.name] = Recorded.from_json(value)
        else:
            found[keys[row.key]] = (row.name, _variants(value))
    # An endpoint that never had requests has no document, so its survey is not known if there are several.
    any_survey = next(iter(recorded.values()), Recorded())
    return {
        name: (found[name][1], recorded.get(found[name][0], Recorded())) if name in found else ({}, any_survey)
        for name in endpoints
    }


def _variants(value: Any) -> Mapping[str, VariantHistory]:
    try:
        return History.from_json(value).variants
    except UnreadableDocument:
        return {}


def _gaps(recorded: Recorded, since: datetime, until: datetime) -> Iterator[Gap]:
    """Return the times between two moments in which nobody looked; the newest point may still be on its way."""
    at = since
    for one in recorded.spans:
        begin, end = datetime.fromisoformat(one.begin), datetime.fromisoformat(one.end)
        if begin > at:
            yield Gap(begin=at, end=min(begin, until))
        at = max(at, end)
    if until - at > FINE:
        yield Gap(begin=at, end=until)


def _marks(dag_id: str, since: datetime, session: Session) -> list[Mark]:
    """Return what has happened since a moment, the oldest first."""
    ti = TaskInstance
    ended = (TaskInstanceState.SUCCESS, TaskInstanceState.FAILED)
    statement = (
        select(ti.task_id, ti.run_id, ti.state, ti.end_date, DagRun.id, DagRun.conf)
        .join(DagRun, and_(DagRun.dag_id == ti.dag_id, DagRun.run_id == ti.run_id))
        .where(ti.dag_id == dag_id, ti.task_id.in_(_MARKED_TASKS), ti.state.in_(ended), ti.end_date >= since)
        .order_by(ti.end_date.desc())
        .limit(_MARKS)
    )
    rows = session.execute(statement).all()
    runs = {row.id for row in rows}
    stored = decisions.remembered(runs, session)
    left = results.read(runs, set(), session)
    marks = [mark for row in rows if (mark := _mark(row, left[row.id], decided(row.id, row.task_id, stored)))]
    return sorted(marks, key=lambda one: one.at)


def _mark(row: Any, left: Results, decision: Decided | None) -> Mark | None:
    """Say what a task of a release has done; None for what changed nothing."""
    environment = _ENVIRONMENTS.get(row.task_id, "production")
    version = left.deployed_version(environment) or left.version
    what = f"v{version}" if version else "a release"
    by = f" by {decision.by}" if decision else ""
    succeeded = row.state == TaskInstanceState.SUCCESS
    if row.task_id in _ENVIRONMENTS:
        back = roll_back_target_of(row.conf) is not None
        if not succeeded:
            kind, say = MarkKind.FAILED, f"the {'roll-back' if back else f'deployment of {what}'} failed"
        elif back:
            kind, say = MarkKind.ROLLED_BACK, f"rolled back to {what}"
        else:
            kind, say = MarkKind.DEPLOYED, f"{what} deployed"
    elif row.task_id == APPROVE:
        approved = bool(decision and decision.decision == "Approved")
        if decision is None:
            return None
        kind = MarkKind.APPROVED if approved else MarkKind.REJECTED
        say = f"{what} {'approved' if approved else 'rejected'}{by}"
    elif not succeeded:
        return None
    elif row.task_id == DECIDE_TRIAL:
        kind, say = MarkKind.TRIAL, f"trial of {what}: {decision.decision if decision else 'decided'}{by}"
    else:
        kind, say = MarkKind.TRIAL, f"trial of {what} carried out"
    return Mark(at=row.end_date, kind=kind, environment=environment, run_id=row.run_id, say=say)
