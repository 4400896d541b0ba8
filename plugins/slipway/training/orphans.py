"""Waiting for training jobs that nobody waits for: the doorbell of the reaper."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from slipway.aws.patience import without_patience
from slipway.aws.sagemaker import Resource, SageMakerHook
from slipway.names import TRAINING_JOB_PREFIX
from slipway.training.owner import AirflowTasks, JobOwner, TaskStates, airflow_id, waits
from slipway.waiting.doorbell import Doorbell
from slipway.waiting.results import backoff_seconds

# A job this young belongs to a task that has hardly begun to wait for it.
GRACE = timedelta(seconds=20)
WATCH_BACKOFF_LIMIT_SECONDS = 60.0


class OrphanSearch:
    """Finds this Airflow's running jobs that no task waits for; one List call, and tags read once for each job.

    :param hook: SageMaker
    :param tasks: the states of tasks and runs
    """

    def __init__(self, hook: SageMakerHook, tasks: TaskStates) -> None:
        self.hook = hook
        self.tasks = tasks
        self._owners: dict[str, JobOwner] = {}

    def find(self, airflow: str | None) -> list[tuple[Resource, JobOwner]]:
        """Look once.

        :param airflow: this Airflow's id; None finds nothing
        :returns: the orphaned jobs and whose they were
        :raises slipway.errors.AwsError: when a call fails
        """
        if airflow is None:
            return []
        jobs = self.hook.training_jobs_in_progress(
            name_contains=TRAINING_JOB_PREFIX, created_before=datetime.now(UTC) - GRACE
        )
        known = self._owners
        self._owners = {job.arn: known[job.arn] for job in jobs if job.arn in known}
        return [(job, owner) for job in jobs if (owner := self._orphaned_by(job, airflow))]

    def _orphaned_by(self, job: Resource, airflow: str) -> JobOwner | None:
        known = self._owners.get(job.arn)
        if known and waits(known, self.tasks):
            return None
        # Never seen, or adopted by another run since.
        owner = JobOwner.from_tags(self.hook.list_tags(job.arn))
        if owner is None or owner.airflow != airflow:
            self._owners.pop(job.arn, None)
            return None
        self._owners[job.arn] = owner
        return None if waits(owner, self.tasks) else owner


class OrphanedJobsTrigger(BaseEventTrigger):
    """Rings while a training job of this Airflow runs that no task waits for.

    The event only says that it is worth looking: the reaper looks again by itself.
    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ListTrainingJobs.html

    :param aws_conn_id: Airflow connection with the AWS credentials
    :param poll_seconds: time between two listings
    """

    def __init__(self, *, aws_conn_id: str | None = "aws_default", poll_seconds: float = 10.0) -> None:
        super().__init__()
        self.aws_conn_id = aws_conn_id
        self.poll_seconds = poll_seconds

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """:returns: the class path and the arguments that build this trigger again"""
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {"aws_conn_id": self.aws_conn_id, "poll_seconds": self.poll_seconds},
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """:returns: an event per ring; never ends"""
        failures = 0
        doorbell = Doorbell()
        search = self.search()
        while True:
            try:
                # Tasks' states are asked for synchronously; a poll as rare as this one has a thread to itself, though
                # none to wait in: this loop does.
                with without_patience():
                    orphans = await asyncio.to_thread(lambda each: each.find(airflow_id()), search)
                failures = 0
                if doorbell.rings([job.arn for job, _ in orphans], time.monotonic()):
                    yield TriggerEvent({"waiting": len(orphans)})
                await asyncio.sleep(self.poll_seconds)
            except Exception as error:
                # A watcher that ends is not started again, so nothing but cancellation may end it.
                failures += 1
                log = self.log.warning if failures == 1 else self.log.debug
                log("Cannot watch the training jobs, asking again: %s", error)
                await asyncio.sleep(
                    backoff_seconds(failures, base_seconds=self.poll_seconds, limit_seconds=WATCH_BACKOFF_LIMIT_SECONDS)
                )
                # A new client reads the credentials anew.
                search = self.search()

    def search(self) -> OrphanSearch:
        """:returns: a search with a client of its own"""
        return OrphanSearch(SageMakerHook(aws_conn_id=self.aws_conn_id), AirflowTasks())
