"""The page of one model: where it stands, its releases, who put what into production, and what to roll back to."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any

from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.models.dag import DagModel
from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from airflow.utils.state import TaskInstanceState
from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from slipway.board import decisions, overview, progress, results
from slipway.board import live as survey
from slipway.board.access import refusal_to_start
from slipway.board.documents import Model, PastRelease, PastReleases
from slipway.board.overview import Wanted, is_release_dag
from slipway.board.production import Production, production
from slipway.board.releases import rows
from slipway.board.results import RESULT, Results
from slipway.board.stages import APPROVE, ASKING
from slipway.board.versions import name_of
from slipway.guard.approvals import only_approvers
from slipway.image_names import build_dag_id
from slipway.plan import roll_back_target_of

# How many collections are read to find out which artefacts are gone.
_COLLECTIONS = 500


def model(dag_id: str, user: BaseUser, session: Session) -> Model | None:
    """Read one model.

    :param dag_id: its DAG
    :param user: who reads it
    :param session: Airflow's database
    :returns: None if it is no model of Slipway's
    """
    listed, _ = overview.page(Wanted(limit=1), {dag_id}, session)
    if not listed:
        return None
    description = session.scalar(select(DagModel.description).where(DagModel.dag_id == dag_id))
    builds = select(DagModel.dag_id).where(DagModel.dag_id == build_dag_id(dag_id), DagModel.is_stale.is_(False))
    tasks = decisions.asking_tasks({dag_id}, session).values()
    approvers = sorted({name for task in tasks if task.rules for name in task.rules.approvers})
    may = bool(tasks) and all(task.rules and user.get_name() in task.rules.approvers for task in tasks)
    if not may:
        who = only_approvers(user.get_name(), approvers, nobody="nobody: its rules cannot be read")
        refusal: str | None = f"{who[:1].upper()}{who[1:]}"
    else:
        refusal = refusal_to_start(user, dag_id, "a roll-back", paused=listed[0].paused)
    surveyed, now = survey.found(session), datetime.now(UTC)
    return Model(
        row=rows(listed, user, session, surveyed, linked=True)[0],
        survey=surveyed.survey(now),
        costs=surveyed.costs({dag_id}),
        description=description,
        builds_image=session.scalar(builds) is not None,
        approvers=approvers,
        may_roll_back=refusal is None,
        roll_back_refusal=refusal,
        at=now,
        user=user.get_name(),
    )


def past_releases(
    dag_id: str, limit: int, offset: int, session: Session, *, package: str | None = None
) -> PastReleases | None:
    """Read a page of a model's releases, the newest first.

    :param dag_id: the model
    :param limit: how many releases
    :param offset: how many newer ones to leave out
    :param session: Airflow's database
    :param package: the version or the ARN of a model package: only the releases that registered it
    :returns: None if it is no model of Slipway's
    """
    if session.scalar(select(DagModel.dag_id).where(DagModel.dag_id == dag_id, *is_release_dag())) is None:
        return None
    wanted = [] if package is None else [DagRun.id.in_(_registered(dag_id, package))]
    total = session.scalar(select(func.count()).select_from(DagRun).where(DagRun.dag_id == dag_id, *wanted)) or 0
    columns = (DagRun.run_id, DagRun.start_date, DagRun.end_date, DagRun.conf, DagRun.triggering_user_name)
    newest = progress.newest_runs(dag_id, DagRun.id, DagRun._state.label("state"), *columns).where(*wanted)
    runs = session.execute(newest.limit(limit).offset(offset)).all()
    ids = {run.id for run in runs}
    live = progress.deployed(dag_id, session).get("production")
    left = results.read({live.run} if live else (), ids, session)
    stored = decisions.remembered(ids, session)
    reached = _reached_production(dag_id, {run.run_id for run in runs}, session)
    now = datetime.now(UTC)
    served = production(dag_id, survey.found(session), live, left, now)
    gone = _collected(dag_id, session)
    return PastReleases(
        releases=[_past(run, left[run.id], stored, reached, served, gone) for run in runs],
        total=total,
        at=now,
    )


def _past(
    run: Any,
    left: Results,
    stored: Mapping[tuple[int, str, str], Mapping[str, Any]],
    reached: Mapping[str, datetime | None],
    served: Production,
    gone: Collection[str],
) -> PastRelease:
    decided = [one for task_id in ASKING if (one := decisions.decided(run.id, task_id, stored))]
    arn, deployed = left.package_arn, left.deployed_package("production")
    is_live = served.serves(arn, deployed)
    refusal = None
    if arn is None:
        refusal = "It has no model package of its own."
    elif is_live:
        refusal = "It is live."
    elif not any(one.task_id == APPROVE and one.decision == "Approved" for one in decided):
        refusal = "It is not approved."
    elif left.of("process_request").get("revision_id") in gone:
        refusal = "Its artefact was removed, see roll_back.keep_releases in the model file."
    failed = [one for one in left.failures.values() if not one.skipped]
    skipped = [one for one in left.failures.values() if one.skipped]
    return PastRelease(
        run_id=run.run_id,
        state=run.state or "queued",
        started=run.start_date,
        ended=run.end_date,
        version=left.version,
        name=name_of(left),
        rolls_back=roll_back_target_of(run.conf) is not None,
        started_by=run.triggering_user_name,
        decided=decided,
        reached_production_at=reached.get(run.run_id),
        package_arn=arn,
        is_live=is_live,
        live_share=served.share(arn, deployed),
        roll_back_refusal=refusal,
        failure=next(iter(failed or skipped), None),
        measured=results.measured(left),
    )


def _registered(dag_id: str, package: str) -> Select[Any]:
    """Return a query of the runs that registered a package: it reads one result of each release, and no other."""
    arn = XComModel.value["model_package_arn"].as_string()
    return select(XComModel.dag_run_id).where(
        XComModel.dag_id == dag_id,
        XComModel.task_id == "register",
        results.without_index(XComModel.key == RESULT),
        arn == package if package.startswith("arn:") else arn.endswith(f"/{package}", autoescape=True),
    )


def _reached_production(dag_id: str, run_ids: Collection[str], session: Session) -> dict[str, datetime | None]:
    ti = TaskInstance
    statement = select(ti.run_id, ti.end_date).where(
        ti.dag_id == dag_id,
        ti.run_id.in_(run_ids),
        ti.task_id == progress.DEPLOYMENTS["production"],
        ti.state == TaskInstanceState.SUCCESS,
    )
    return {row.run_id: row.end_date for row in session.execute(statement)}


def _collected(dag_id: str, session: Session) -> set[str]:
    """Return the revisions whose artefacts garbage collection has removed, as far back as it is read."""
    is_result = results.without_index(XComModel.key == RESULT)
    statement = (
        select(XComModel.value)
        .where(XComModel.dag_id == dag_id, XComModel.task_id == "collect_garbage", is_result)
        .order_by(XComModel.dag_run_id.desc())
        .limit(_COLLECTIONS)
    )
    found: set[str] = set()
    for row in session.execute(statement):
        value = XComModel.deserialize_value(row)
        found |= set(value.get("revisions") or ()) if isinstance(value, Mapping) else set()
    return found
