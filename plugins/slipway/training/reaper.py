"""The reaper: it stops training jobs that no task waits for any more, so that nobody pays for them.

When a task is failed, cleared or deleted, its trigger stops its job (training/wait.py). The reaper stops what the
trigger cannot see: the triggerer was down at that moment, the run timed out or was deleted before the task had
deferred, or the worker was killed and there is no retry left.

A watcher (training/orphans.py) emits an event when there is such a job, and this DAG searches again itself. A job
belongs to this Airflow only if its tags say so. It is not stopped while its task may still wait for it: losing a worker
or a triggerer stops no job.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from airflow.sdk import DAG, get_current_context, task

from slipway.aws.sagemaker import SageMakerHook
from slipway.host.links import run_url
from slipway.host.task_errors import with_error_block
from slipway.metrics.catalogue import ORPHANED_JOBS
from slipway.metrics.record import record
from slipway.names import REAPER_DAG_ID
from slipway.notices.send import Message, Notice, Notices
from slipway.training.orphans import OrphanSearch, OrphanWatcherTrigger
from slipway.training.owner import AirflowTasks, JobOwner, TaskStates, airflow_id, stop_and_mark
from slipway.waiting.watcher_dag import by_connection, slug, watched_asset, watcher_dag

if TYPE_CHECKING:
    from slipway.model.config import ModelConfig

log = logging.getLogger(__name__)

# With the search's grace period and the start of a run, a job is stopped within a minute after its task.
POLL_SECONDS = 10.0


def build_reaper_dags(models: Iterable[ModelConfig]) -> list[DAG]:
    """Build the reaper of every AWS connection.

    :param models: the models
    :returns: one DAG called ``reaper`` for a single connection, else one for each connection, named after it
    """
    return [build_reaper_dag(*each) for each in by_connection(REAPER_DAG_ID, models)]


def build_reaper_dag(aws_conn_id: str, dag_id: str, models: Iterable[ModelConfig]) -> DAG:
    """Build the DAG that stops the orphaned training jobs of one AWS connection.

    :param aws_conn_id: Airflow connection with the AWS credentials
    :param dag_id: the DAG's id
    :param models: the models whose people are told
    """
    receivers = {model.prefix: Notices.of_news(model) for model in models}
    trigger = OrphanWatcherTrigger(aws_conn_id=aws_conn_id, poll_seconds=POLL_SECONDS)
    orphans = watched_asset(f"slipway-orphaned-jobs-{slug(aws_conn_id)}", trigger)
    with watcher_dag(dag_id, [orphans], __doc__) as dag:

        @task
        @with_error_block
        def stop_orphans() -> list[str]:
            context = get_current_context()

            def notify(job: str, owner: JobOwner) -> None:
                # A job's owner may be a run of a model whose file is gone.
                if notices := receivers.get(owner.dag_id):
                    message = message_about(Notice.ORPHANED, "training job", job, owner.dag_id, owner, again="train")
                    notices.send(message, context, aws_conn_id)

            return reap(SageMakerHook(aws_conn_id=aws_conn_id), AirflowTasks(), airflow_id(), notify)

        stop_orphans()
    return dag


def reap(
    hook: SageMakerHook,
    tasks: TaskStates,
    airflow: str | None,
    notify: Callable[[str, JobOwner], None] | None = None,
) -> list[str]:
    """Stop every training job of this Airflow whose task has ended; the body of the reaper's only task.

    :param hook: SageMaker
    :param tasks: the states of tasks and runs
    :param airflow: this Airflow's id; None if it has trained nothing
    :param notify: tells the people of the job's model that it was stopped
    :returns: the names of the jobs that were stopped
    :raises slipway.errors.AwsError: when a call fails; the next run tries again
    """
    stopped = []
    for job, owner in OrphanSearch(hook, tasks).find(airflow):
        if stop_and_mark(hook, job.name, owner):
            log.warning("Stopped %s: %s of %s in %s no longer waits for it", job.name, *owner.task)
            record(ORPHANED_JOBS, 1, model=owner.dag_id, kind="training")
            if notify:
                notify(job.name, owner)
            stopped.append(job.name)
    return stopped


def message_about(notice: Notice, kind: str, name: str, model: str, owner: JobOwner, *, again: str) -> Message:
    """Write the message about work that a reaper has stopped.

    :param notice: what the message is about
    :param kind: what was stopped, in words
    :param name: its name
    :param model: whose people are told
    :param owner: the task that had it done
    :param again: the verb for doing it once more
    """
    return Message(
        notice,
        f"{notice}/{name}",
        model,
        f"The {kind} {name} was stopped, so that nobody pays for it",
        run_url(owner.dag_id, owner.run_id),
        stage=owner.task_id,
        reason=f"{owner.task_id} of the run {owner.run_id} no longer waits for it",
        fix=f"to {again} again, clear {owner.task_id} and the tasks after it; otherwise there is nothing to do",
    )
