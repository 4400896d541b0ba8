"""The stages of a release as the board shows them, and which tasks each one has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from airflow.utils.state import TaskInstanceState

# The class that waits until another release leaves a stage, as Airflow keeps it.
STAGE_TRIGGER = "slipway.stages.wait.StageTrigger"
# The tasks that ask people.
APPROVE, DECIDE_TRIAL = "approve", "decide_trial"
ASKING = (APPROVE, DECIDE_TRIAL)
_WATCH_TRIAL = "watch_trial"
_ASKS = (TaskInstanceState.DEFERRED, TaskInstanceState.AWAITING_INPUT)
_ENDED = (TaskInstanceState.SUCCESS, TaskInstanceState.SKIPPED)
_FAILED = (TaskInstanceState.FAILED, TaskInstanceState.UPSTREAM_FAILED)
_NOT_THERE = (TaskInstanceState.SKIPPED, TaskInstanceState.REMOVED)


class StageName(StrEnum):
    """A column of the board."""

    SOURCE = "source"
    TRAIN = "train"
    DEVELOPMENT = "development"
    APPROVAL = "approval"
    PRODUCTION = "production"
    TRIAL = "trial"


class StageState(StrEnum):
    """How a release is in a stage."""

    NONE = "none"  # no release has reached it
    RUNNING = "running"
    IN_LINE = "in line"  # another release has the stage
    RETRYING = "retrying"
    ASKING = "asking"  # a person must answer
    FAILED = "failed"
    DONE = "done"
    NO_TRIAL = "no trial"  # the release has none, so nothing is to be decided


TASKS: dict[StageName, tuple[str, ...]] = {
    StageName.SOURCE: ("source", "process_request"),
    StageName.TRAIN: ("train", "evaluate", "register"),
    StageName.DEVELOPMENT: ("deploy_dev", "test_dev", "stress_dev"),
    StageName.APPROVAL: (APPROVE,),
    StageName.PRODUCTION: ("roll_back", "deploy_prd", "test_prd"),
    StageName.TRIAL: (_WATCH_TRIAL, DECIDE_TRIAL, "settle_trial"),
}


@dataclass(frozen=True)
class TaskFacts:
    """A task instance, as the database has it.

    :param trigger: the class of the trigger that it waits for
    """

    task_id: str
    state: str | None
    started: datetime | None
    ended: datetime | None
    tries: int = 0
    trigger: str | None = None


def stage_of(task_id: str) -> StageName | None:
    """Return the stage of a task; None for one that belongs to no stage."""
    return next((stage for stage, tasks in TASKS.items() if task_id in tasks), None)


def judge(tasks: Sequence[TaskFacts]) -> StageState:
    """Say how a release is in a stage.

    :param tasks: the stage's tasks in this release
    """
    by_id = {one.task_id: one.state for one in tasks}
    # Without a trial the task that would watch it succeeds, and skips those after it: slipway/trial/watch.py.
    if by_id.get(_WATCH_TRIAL) == TaskInstanceState.SUCCESS and by_id.get(DECIDE_TRIAL) == TaskInstanceState.SKIPPED:
        return StageState.NO_TRIAL
    there = [one for one in tasks if one.state not in _NOT_THERE]
    states = {one.state for one in there}
    if states & set(_FAILED):
        return StageState.FAILED
    if any(one.task_id in ASKING and one.state in _ASKS for one in there):
        return StageState.ASKING
    if TaskInstanceState.UP_FOR_RETRY in states:
        return StageState.RETRYING
    if any(one.state == TaskInstanceState.DEFERRED and one.trigger == STAGE_TRIGGER for one in there):
        return StageState.IN_LINE
    if not any(one.state for one in there):
        return StageState.NONE
    return StageState.DONE if states <= set(_ENDED) else StageState.RUNNING


def since(tasks: Sequence[TaskFacts], state: StageState) -> datetime | None:
    """Return when a stage came into its state, as far as the tasks tell: its end, or the start of what runs."""
    if state in (StageState.DONE, StageState.NO_TRIAL, StageState.FAILED):
        return max((one.ended for one in tasks if one.ended), default=None)
    going = [one.started for one in tasks if one.started and one.ended is None]
    return max(going or [one.started for one in tasks if one.started], default=None)
