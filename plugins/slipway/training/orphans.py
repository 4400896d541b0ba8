"""Orphaned training jobs, for which no task waits: the search for them, and the watcher of the reaper."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from slipway.aws.patience import without_patience
from slipway.aws.sagemaker import Resource, SageMakerHook
from slipway.names import TRAINING_JOB_PREFIX
from slipway.training.owner import AirflowTasks, JobOwner, TaskStates, airflow_id, waits
from slipway.waiting.activity import Activity
from slipway.waiting.watcher import Look, WatcherTrigger

# The task of a job younger than this may not wait for it yet.
GRACE = timedelta(seconds=20)
# How long the tags of a job that is not this Airflow's are remembered: a run of this one may adopt the job.
FOREIGN_SECONDS = 300.0
# Between two listings while no job of this Airflow runs and no task has noted that it begins something.
CALM_POLL_SECONDS = 300.0


class OrphanSearch:
    """Find this Airflow's running jobs that no task waits for: one List call, and tags read once for each job.

    The tags of other jobs are read again after FOREIGN_SECONDS.

    :param hook: SageMaker
    :param tasks: the states of tasks and runs
    """

    def __init__(self, hook: SageMakerHook, tasks: TaskStates) -> None:
        self.hook = hook
        self.tasks = tasks
        self._owners: dict[str, JobOwner] = {}
        # When each job of somebody else is to be looked at again, by its ARN.
        self._foreign_until: dict[str, float] = {}

    @property
    def watches_any(self) -> bool:
        """Tell whether the last search has found jobs of this Airflow, orphaned or not."""
        return bool(self._owners)

    def find(self, airflow: str | None) -> list[tuple[Resource, JobOwner]]:
        """Search once.

        :param airflow: this Airflow's id; None finds nothing
        :returns: the orphaned jobs and their owners
        :raises slipway.errors.AwsError: when a call fails
        """
        if airflow is None:
            return []
        jobs = self.hook.training_jobs_in_progress(
            name_contains=TRAINING_JOB_PREFIX, created_before=datetime.now(UTC) - GRACE
        )
        running = {job.arn for job in jobs}
        self._owners = {arn: owner for arn, owner in self._owners.items() if arn in running}
        self._foreign_until = {arn: until for arn, until in self._foreign_until.items() if arn in running}
        return [(job, owner) for job in jobs if (owner := self._orphaned_by(job, airflow))]

    def _orphaned_by(self, job: Resource, airflow: str) -> JobOwner | None:
        if time.monotonic() < self._foreign_until.get(job.arn, 0.0):
            return None
        known = self._owners.get(job.arn)
        if known and waits(known, self.tasks):
            return None
        # It is a new job, or another run may have adopted it.
        owner = JobOwner.from_tags(self.hook.list_tags(job.arn))
        if owner is None or owner.airflow != airflow:
            self._owners.pop(job.arn, None)
            self._foreign_until[job.arn] = time.monotonic() + FOREIGN_SECONDS
            return None
        self._owners[job.arn] = owner
        return None if waits(owner, self.tasks) else owner


class Search(Protocol):
    """Finds work of this Airflow that no task waits for."""

    @property
    def watches_any(self) -> bool:
        """Tell whether the last search has found work of this Airflow, orphaned or not."""

    def find(self, airflow: str | None) -> Sequence[Any]:
        """Search once."""


class OrphanedWorkTrigger(WatcherTrigger):
    """Emit an event while work of this Airflow goes on that no task waits for.

    A subclass has `search` and `name_of`.

    :param aws_conn_id: Airflow connection with the AWS credentials
    :param poll_seconds: time between two listings; longer while this Airflow has nothing of the kind done
    """

    def __init__(self, *, aws_conn_id: str | None = "aws_default", poll_seconds: float = 10.0) -> None:
        super().__init__(aws_conn_id=aws_conn_id, poll_seconds=poll_seconds)

    async def looks(self) -> AsyncGenerator[Look]:
        """Search again and again."""
        # Searching is synchronous: it gets a thread, which must not wait long. This loop waits instead.
        with without_patience():
            search = await asyncio.to_thread(self.search)
        activity = self.activity()
        while True:
            with without_patience():
                orphans = await asyncio.to_thread(lambda each: each.find(airflow_id()), search)
            yield [self.name_of(orphan) for orphan in orphans], {"waiting": len(orphans)}
            if search.watches_any:
                activity.happened()
            await activity.pause(self.poll_seconds, max(self.poll_seconds, CALM_POLL_SECONDS))

    def activity(self) -> Activity:
        """Return what decides how long the pauses are."""
        return Activity()

    def search(self) -> Search:
        """Return a search with new clients."""
        raise NotImplementedError

    def name_of(self, orphan: Any) -> str:
        """Return what tells one orphan from another."""
        raise NotImplementedError


class OrphanWatcherTrigger(OrphanedWorkTrigger):
    """Emit an event while a training job of this Airflow runs that no task waits for.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ListTrainingJobs.html
    """

    watched = "the training jobs"

    def search(self) -> OrphanSearch:
        """Return a search with a new client."""
        return OrphanSearch(SageMakerHook(aws_conn_id=self.aws_conn_id), AirflowTasks())

    def name_of(self, orphan: tuple[Resource, JobOwner]) -> str:
        """Return the job's ARN."""
        return orphan[0].arn
