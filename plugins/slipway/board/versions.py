"""The versions of a model's zip that Airflow knows: what can be released from the board, and released again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.models.dag import DagModel
from airflow.models.dagrun import DagRun
from airflow.models.task_state_store import TaskStateStoreModel
from pydantic import BaseModel
from sqlalchemy import select
from sqlalchemy.orm import Session

from slipway import names
from slipway.board import progress, results
from slipway.board.access import refusal_to_start
from slipway.board.overview import is_release_dag
from slipway.board.results import Results, text
from slipway.plan import roll_back_target_of
from slipway.source.form import BUCKET, KEY, VERSION_ID
from slipway.source.pin import PINNED

# How many runs are read; a zip that was last released before them is released with Airflow's own form.
_RUNS = 500
# The tasks whose results name a version.
_NAMING = ("source", "register", "deploy_prd")


class Version(BaseModel):
    """One version of a model's zip.

    :param run_id: the newest run that has released it, or was started for it
    :param released: whether that run has claimed it, so that only a new attempt releases it again
    """

    name: str
    bucket: str
    key: str
    version_id: str
    uploaded_at: str | None
    run_id: str
    state: str
    released: bool


class Versions(BaseModel):
    """The versions of a model's zip, the newest upload first, and why the caller may release none."""

    versions: list[Version]
    refusal: str | None
    at: datetime


def versions(dag_id: str, user: BaseUser, session: Session) -> Versions | None:
    """Read the versions that the newest runs of a model were started for.

    :param dag_id: the model
    :param user: who reads
    :param session: Airflow's database
    :returns: None if it is no model of Slipway's
    """
    paused = session.scalar(select(DagModel.is_paused).where(DagModel.dag_id == dag_id, *is_release_dag()))
    if paused is None:
        return None
    columns = (DagRun.id, DagRun.run_id, DagRun._state.label("state"), DagRun.conf)
    newest = progress.newest_runs(dag_id, *columns).limit(_RUNS)
    runs = [run for run in session.execute(newest).all() if roll_back_target_of(run.conf) is None]
    left = results.read({run.id for run in runs}, (), session, tasks=_NAMING)
    found: dict[tuple[str, str], Version] = {}
    for run in runs:
        one = _version(run, left[run.id], left[run.id].of("source") or run.conf or {})
        if one is None:
            continue
        # Without the bucket: a form may name it with placeholders.
        before = found.setdefault((one.key, one.version_id), one)
        if one.released and not before.released:
            found[one.key, one.version_id] = one
    ordered = sorted(found.values(), key=lambda one: one.uploaded_at or "", reverse=True)
    return Versions(
        versions=ordered, refusal=refusal_to_start(user, dag_id, "a release", paused=paused), at=datetime.now(UTC)
    )


def wanted_version(dag_id: str, run_id: str, user: BaseUser, session: Session) -> Versions | None:
    """Read which version a run has pinned, whether or not it could claim it.

    :param dag_id: the model
    :param run_id: the run
    :param user: who reads
    :param session: Airflow's database
    :returns: one version, or none where the run has pinned none; None if there is no such release
    """
    run = session.execute(
        select(DagRun.id, DagRun.run_id, DagRun._state.label("state"), DagModel.is_paused)
        .join(DagModel, DagModel.dag_id == DagRun.dag_id)
        .where(DagRun.dag_id == dag_id, DagRun.run_id == run_id, *is_release_dag())
    ).one_or_none()
    if run is None:
        return None
    store = TaskStateStoreModel
    pinned = session.scalar(
        select(store.value).where(store.dag_run_id == run.id, store.task_id == "source", store.key == PINNED)
    )
    one = _version(run, Results(dag_id, run_id), json.loads(pinned)) if pinned else None
    return Versions(
        versions=[one.model_copy(update={"released": True})] if one else [],
        refusal=refusal_to_start(user, dag_id, "a release", paused=run.is_paused),
        at=datetime.now(UTC),
    )


def name_of(left: Results) -> str | None:
    """Name the release of a run for people, as far as its tasks have found out; None before ``source`` has ended."""
    source = left.of("source")
    bucket, key, version_id = (text(source.get(part)) for part in (BUCKET, KEY, VERSION_ID))
    if not bucket or not key or not version_id:
        return names.release_name(None, None, left.version) or None
    revision = names.revision_id(bucket, key, version_id, source.get("attempt") or 1)
    return names.release_name(revision, left.uploaded_at, left.version)


def _version(run: Any, left: Results, source: Mapping[str, Any]) -> Version | None:
    bucket, key, version_id = (text(source.get(part)) for part in (BUCKET, KEY, VERSION_ID))
    if not bucket or not key or not version_id:
        return None
    uploaded_at = text(source.get("last_modified"))
    revision = names.revision_id(bucket, key, version_id)
    return Version(
        name=(name_of(left) if left.of("source") else None) or names.release_name(revision, uploaded_at),
        bucket=bucket,
        key=key,
        version_id=version_id,
        uploaded_at=uploaded_at,
        run_id=run.run_id,
        state=run.state or "queued",
        released=bool(left.of("source")),
    )
