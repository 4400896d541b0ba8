"""The page of one release: why it failed, what it waits for, what is in it, who decided, and when each task ran."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.models.dag import DagModel
from airflow.models.dagrun import DagRun
from sqlalchemy import select
from sqlalchemy.orm import Session

from slipway.approval.answers import QUESTION
from slipway.board import decisions, progress, results
from slipway.board import live as survey
from slipway.board.access import may_answer
from slipway.board.comparison import comparison
from slipway.board.decisions import Answerer
from slipway.board.documents import Fact, Failure, Release, Stage, Task
from slipway.board.links import links
from slipway.board.overview import is_release_dag
from slipway.board.parts import Part, parts
from slipway.board.production import production
from slipway.board.progress import Reached
from slipway.board.releases import live_release, stage
from slipway.board.results import Results, text
from slipway.board.stages import ASKING, TASKS, StageName, TaskFacts, stage_of
from slipway.board.versions import name_of

# The trace's id, and flags whose last bit says that it is recorded.
# https://www.w3.org/TR/trace-context/#traceparent-header-field-values
_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-[0-9a-f]{16}-([0-9a-f]{2})")


def release(dag_id: str, run_id: str, user: BaseUser, session: Session) -> Release | None:
    """Read one release.

    :param dag_id: the model
    :param run_id: the run
    :param user: who reads it
    :param session: Airflow's database
    :returns: None if the model has no such run, or is none of Slipway's
    """
    run = session.execute(
        select(DagRun.id, DagRun._state.label("state"), DagRun.start_date, DagRun.end_date, DagRun.context_carrier)
        .join(DagModel, DagModel.dag_id == DagRun.dag_id)
        .where(DagRun.dag_id == dag_id, DagRun.run_id == run_id, *is_release_dag())
    ).one_or_none()
    if run is None:
        return None
    tasks = progress.tasks_of(dag_id, run_id, session)
    deployed = progress.deployed(dag_id, session)
    asked = [one for one in decisions.open_questions({dag_id}, session) if one.run_id == run_id]
    runs = {one.run for one in deployed.values()}
    left = results.read(runs, {run.id}, session, compared={*runs, run.id}, linked={run.id})
    stored = decisions.remembered({run.id}, session)
    rules = decisions.asking_tasks({dag_id} if asked else (), session)
    answerer = Answerer(user.get_name(), may_answer(user, {dag_id} if asked else set()))
    surveyed, at = survey.found(session), datetime.now(UTC)
    now = live_release(deployed, left, left[run.id], surveyed)
    serves = production(dag_id, surveyed, deployed.get("production"), left, at)
    waiting = [
        decisions.decision(
            one,
            rules.get((dag_id, one.task_id)),
            stored.get((run.id, one.task_id, QUESTION)),
            left[run.id],
            now,
            answerer,
        )
        for one in asked
    ]
    mine, told = left[run.id], parts(dag_id, run_id, tasks, session)
    return Release(
        model=dag_id,
        run_id=run_id,
        state=run.state or "queued",
        version=mine.version,
        name=name_of(mine),
        rolled_back_by=text(mine.of("roll_back").get("rolled_back_by")),
        is_live=serves.serves(mine.package_arn, mine.deployed_package("production")),
        production=serves.words,
        started=run.start_date,
        ended=run.end_date,
        failures=failures(run_id, tasks, mine),
        stages=[_stage(name, run.id, run_id, tasks, left, waiting) for name in StageName],
        decisions=waiting,
        decided=[found for task_id in ASKING if (found := decisions.decided(run.id, task_id, stored))],
        figures=results.figures(mine),
        facts=[Fact(name=name, value=value) for name, value in _facts(mine) if value],
        comparison=comparison(mine, now, only_changes=False),
        links=links(mine.links),
        tasks=[_task(one, mine.of(one.task_id), told.get(one.task_id, [])) for one in tasks],
        trace_id=_trace_id(run.context_carrier),
        at=at,
        user=user.get_name(),
    )


def failures(run_id: str, tasks: Sequence[TaskFacts], left: Results) -> list[Failure]:
    """Return why tasks failed, then why they were skipped."""
    found = []
    for task in tasks:
        kept = left.failures.get(task.task_id)
        if kept and task.state in ("failed", "skipped", "up_for_retry"):
            found.append(kept)
        elif task.state == "failed":
            found.append(results.unexplained(run_id, task.task_id, task.ended))
    return sorted(found, key=lambda one: one.skipped)


def _stage(
    name: StageName, run: int, run_id: str, tasks: Sequence[TaskFacts], left: dict[int, Results], waiting: Any
) -> Stage:
    of_stage = [one for one in tasks if one.task_id in TASKS[name]]
    there = any(one.state not in (None, "skipped", "upstream_failed") for one in of_stage)
    return stage(name, Reached(run, run_id, of_stage) if there else None, left, waiting)


def _trace_id(carrier: Mapping[str, Any] | None) -> str | None:
    """Read the id of a run's trace; None where it is not sent, or not this time."""
    found = _TRACEPARENT.fullmatch(str((carrier or {}).get("traceparent")))
    return found[1] if found and int(found[2], 16) & 1 else None


def _task(one: TaskFacts, result: Mapping[str, Any], told: list[Part]) -> Task:
    # SageMaker counts the seconds of a training job; a deployment counts those of its change set.
    seconds = result.get("seconds" if one.task_id == "train" else "aws_seconds")
    return Task(
        task_id=one.task_id,
        stage=stage_of(one.task_id),
        state=one.state,
        started=one.started,
        ended=one.ended,
        tries=one.tries,
        aws_seconds=seconds if isinstance(seconds, int | float) else None,
        parts=told,
    )


def _facts(left: Results) -> Iterator[tuple[str, str | None]]:
    """Say what is in a release, as far as its tasks have found out."""
    source, plan, trained = left.of("source"), left.of("process_request"), left.of("train")
    earlier = left.of("roll_back")
    if source.get("key"):
        yield "Zip", f"s3://{source.get('bucket')}/{source['key']}"
        yield "Version id", text(source.get("version_id"))
        yield "Uploaded at", text(source.get("last_modified"))
    if earlier:
        yield "Rolled back to", text(earlier.get("revision_id"))
    yield "SHA-256 of the zip", text(plan.get("digest") or earlier.get("digest"))
    image = plan.get("image") or earlier.get("image") or {}
    yield "Image", text(image.get("uri") or trained.get("image"))
    yield "Image's tag", text(image.get("tag"))
    yield "Image built from", text(image.get("source"))
    if plan.get("trial_share") is not None:
        yield "Share in an A/B test", text(plan["trial_share"])
    yield "Training job", text(trained.get("training_job_name") or plan.get("training_job_name"))
    if trained.get("seconds"):
        yield "Training time", f"{trained['seconds']} s"
    yield "Model package", left.package_arn or left.deployed_package("production")
    for environment, task in progress.DEPLOYMENTS.items():
        result = left.of(task)
        if result:
            yield f"Stack in {environment}", f"{result.get('stack_name')} ({result.get('change')})"
    for environment, task in (("development", "test_dev"), ("production", "test_prd")):
        yield f"Endpoint in {environment}", text(left.of(task).get("endpoint_name"))
    stress = left.of("stress_dev")
    if stress:
        kept = "kept its limits" if stress.get("passed") else "broke its limits"
        yield "Stress test", f"{kept}: {stress.get('answered')} of {stress.get('sent')} requests answered"
