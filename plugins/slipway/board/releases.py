"""Puts the rows of the board together: models, their stages, what is live, and what waits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from sqlalchemy.orm import Session

from slipway.approval.answers import QUESTION
from slipway.approval.costs import VariantInstances
from slipway.board import decisions, overview, progress, results
from slipway.board import live as survey
from slipway.board.access import may_answer, readable_dags
from slipway.board.comparison import LiveRelease
from slipway.board.decisions import Answerer
from slipway.board.documents import Decision, Failure, Link, Live, Need, Releases, Row, Stage
from slipway.board.links import links
from slipway.board.live import Found
from slipway.board.overview import Listed, Wanted
from slipway.board.production import production
from slipway.board.progress import Deployed, Progress, Reached
from slipway.board.results import Results, version_of
from slipway.board.stages import StageName, StageState, TaskFacts, judge, since, stage_of

_FAILED = ("failed", "upstream_failed")
_IN_LINE = "waits until another release of this model has left the stage"


def releases(wanted: Wanted, user: BaseUser, session: Session) -> Releases:
    """Read a page of the board.

    :param wanted: what to show
    :param user: who reads it
    :param session: Airflow's database
    """
    readable = readable_dags(user, session)
    listed, counts = overview.page(wanted, readable, session)
    every, surveyed, now = counts.model_dump(), survey.found(session), datetime.now(UTC)
    return Releases(
        models=rows(listed, user, session, surveyed),
        total=every[wanted.need] if wanted.need else sum(every.values()),
        counts=counts,
        survey=surveyed.survey(now),
        costs=surveyed.costs(readable),
        at=now,
        user=user.get_name(),
    )


def rows(
    listed: Sequence[Listed], user: BaseUser, session: Session, surveyed: Found, *, linked: bool = False
) -> list[Row]:
    """Read the rows of some models, in a number of queries that does not depend on how many they are.

    :param listed: the models
    :param user: who reads them
    :param session: Airflow's database
    :param surveyed: what AWS serves
    :param linked: whether to add links to what is deployed
    """
    dag_ids = {one.dag_id for one in listed}
    got = progress.progress({one.dag_id: one.run for one in listed}, session)
    asked = decisions.open_questions(dag_ids, session)
    deployments = {one.run for of_model in got.values() for one in of_model.deployed.values()}
    runs = {one.run for of_model in got.values() for one in of_model.reached.values()} | deployments
    deployed = {dag_id: of_model.deployed for dag_id, of_model in got.items()}
    serving = [deployed[one.dag_id]["production"].run for one in asked if "production" in deployed[one.dag_id]]
    left = results.read(
        runs,
        {one.run for one in asked},
        session,
        compared={*serving, *(one.run for one in asked)},
        linked=deployments if linked else (),
    )
    stored = decisions.remembered({one.run for one in asked}, session)
    tasks = decisions.asking_tasks({one.dag_id for one in asked}, session)
    answerer = Answerer(user.get_name(), may_answer(user, {one.dag_id for one in asked}))
    waiting: dict[str, list[Decision]] = {dag_id: [] for dag_id in dag_ids}
    for one in asked:
        now = live_release(deployed[one.dag_id], left, left[one.run], surveyed)
        of_task = tasks.get((one.dag_id, one.task_id))
        question = stored.get((one.run, one.task_id, QUESTION))
        waiting[one.dag_id].append(decisions.decision(one, of_task, question, left[one.run], now, answerer))
    return [_row(one, got[one.dag_id], waiting[one.dag_id], left, surveyed) for one in listed]


def _row(listed: Listed, got: Progress, waiting: list[Decision], left: Mapping[int, Results], surveyed: Found) -> Row:
    serves = production(listed.dag_id, surveyed, got.deployed.get("production"), left, datetime.now(UTC))
    shown = [stage(name, got.reached.get(name), left, waiting) for name in StageName]
    return Row(
        model=listed.dag_id,
        need=listed.need,
        paused=listed.paused,
        newest_run_id=listed.run_id,
        newest_at=listed.newest_at,
        stages=shown,
        live=live(got.deployed, left),
        production=serves.words,
        served=surveyed.served(listed.dag_id),
        decisions=waiting,
        failure=next((one.failure for one in shown if one.failure and one.run_id == listed.run_id), None)
        or _after_the_stages(listed, left),
    )


def _after_the_stages(listed: Listed, left: Mapping[int, Results]) -> Failure | None:
    """Return why the newest release failed in collect_garbage, which belongs to no stage."""
    if listed.need is not Need.FAILED:
        return None
    mine = (one for one in left.values() if (one.dag_id, one.run_id) == (listed.dag_id, listed.run_id))
    return next((found for one in mine for task, found in one.failures.items() if not stage_of(task)), None)


def live(deployed: Mapping[str, Deployed], left: Mapping[int, Results]) -> list[Live]:
    """Say what Slipway has deployed last."""
    return [
        Live(
            environment=environment,
            run_id=one.run_id,
            version=left[one.run].deployed_version(environment),
            since=one.since,
            links=links_of_environment(left[one.run], environment),
        )
        for environment, one in sorted(deployed.items())
    ]


def links_of_environment(left: Results, environment: str) -> list[Link]:
    """Return the links to what a deployment of a run has made in an environment, and to its model package."""
    tasks = (progress.DEPLOYMENTS[environment], "register", "roll_back")
    return links({key: value for key, value in left.links.items() if key[0] in tasks})


def live_release(
    deployed: Mapping[str, Deployed], left: Mapping[int, Results], mine: Results, surveyed: Found
) -> LiveRelease:
    """Return the live model that a release is compared with, by Slipway's own word, and production's instances.

    :param deployed: a model's newest deployments
    :param left: what their runs have left
    :param mine: what the release has left
    :param surveyed: what AWS serves
    """
    variants = surveyed.in_production(mine.dag_id, datetime.now(UTC))
    newest = deployed.get("production")
    if newest is None and not variants:
        return LiveRelease(instances=[])
    instances = (
        None
        if variants is None
        else [VariantInstances(one.name, one.instance_type, one.instances, one.wanted_instances) for one in variants]
    )
    if newest is None:
        return LiveRelease(instances=instances)
    theirs = left[newest.run]
    # Beside a model on trial, or after one was retired, the live model is another run's.
    packages = [*theirs.shares]
    live = mine.compared_with if mine.compared_with in packages else packages[-1] if packages else None
    its_run = theirs if live == theirs.deployed_package("production") else None
    return LiveRelease(version_of(live), its_run, instances)


def stage(name: StageName, reached: Reached | None, left: Mapping[int, Results], waiting: Sequence[Decision]) -> Stage:
    """Say how the newest release is in one stage."""
    if reached is None:
        return Stage(stage=name, state=StageState.NONE)
    state = judge(reached.tasks)
    failed = failure(reached.run_id, reached.tasks, left[reached.run])
    asks = {one.task_id: one.waits_for for one in waiting if one.run_id == reached.run_id}
    current = next((one for one in reached.tasks if one.state and one.ended is None), None)
    by_person = next((asks[one.task_id] for one in reached.tasks if one.task_id in asks), None)
    return Stage(
        stage=name,
        state=state,
        run_id=reached.run_id,
        version=left[reached.run].version,
        uploaded_at=left[reached.run].uploaded_at,
        since=since(reached.tasks, state),
        task_id=failed.task_id if failed else current.task_id if current else None,
        waits_for=by_person if state is StageState.ASKING else _IN_LINE if state is StageState.IN_LINE else None,
        failure=failed if state in (StageState.FAILED, StageState.RETRYING) else None,
    )


def failure(run_id: str, tasks: Sequence[TaskFacts], left: Results) -> Failure | None:
    """Return why a stage failed, or is tried again; None if nothing failed."""
    for task in tasks:
        if task.state == "failed":
            return left.failures.get(task.task_id) or results.unexplained(run_id, task.task_id, task.ended)
        if task.state == "up_for_retry" and task.task_id in left.failures:
            return left.failures[task.task_id]
    return None
