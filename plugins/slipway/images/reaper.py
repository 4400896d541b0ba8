"""The reaper of builds: it stops builds that no task waits for any more, so that nobody pays for them.

When a task is failed, cleared or deleted, its trigger stops its build (images/wait.py). This DAG stops what the trigger
cannot see, as the reaper of training jobs does (training/reaper.py). The note of a build says which task of which
Airflow waits for it (images/note.py); no build is stopped while its task may still wait.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from airflow.sdk import DAG, get_current_context, task

from slipway import image_names
from slipway.aws.codebuild import CodeBuildHook
from slipway.host.task_errors import with_error_block
from slipway.images.note import stop_and_note
from slipway.images.orphans import BuildSearch, BuildWatcherTrigger, OrphanedBuild, build_search
from slipway.metrics.catalogue import ORPHANED_JOBS
from slipway.metrics.record import record
from slipway.notices.send import Message, Notice, Notices
from slipway.training.owner import airflow_id
from slipway.training.reaper import POLL_SECONDS, message_about
from slipway.waiting.watcher_dag import by_connection, slug, watched_asset, watcher_dag

if TYPE_CHECKING:
    from slipway.model.config import ModelConfig

log = logging.getLogger(__name__)


def build_image_reaper_dags(models: Iterable[ModelConfig]) -> list[DAG]:
    """Build the reaper of every AWS connection that builds images.

    :param models: the models that have an image of their own
    :returns: one DAG called ``image_reaper`` for a single connection, else one for each connection, named after it
    """
    return [_build(*each) for each in by_connection(image_names.BUILD_REAPER_DAG_ID, models)]


def _build(aws_conn_id: str, dag_id: str, models: Iterable[ModelConfig]) -> DAG:
    models = list(models)
    buckets = {model.prefix: model.source.bucket for model in models}
    receivers = {image_names.build_dag_id(model.prefix): Notices.of_news(model) for model in models}
    trigger = BuildWatcherTrigger(buckets=buckets, aws_conn_id=aws_conn_id, poll_seconds=POLL_SECONDS)
    orphans = watched_asset(f"slipway-orphaned-builds-{slug(aws_conn_id)}", trigger)
    with watcher_dag(dag_id, [orphans], __doc__) as dag:

        @task
        @with_error_block
        def stop_orphans() -> list[str]:
            context = get_current_context()

            def notify(orphan: OrphanedBuild) -> None:
                # The search finds builds of these models only, but a note may name the run of another DAG.
                if notices := receivers.get(orphan.note.owner.dag_id):
                    notices.send(build_message(orphan), context, aws_conn_id)

            search = build_search(buckets, aws_conn_id)
            return reap(CodeBuildHook(aws_conn_id=aws_conn_id), search, airflow_id(), notify)

        stop_orphans()
    return dag


def reap(
    codebuild: CodeBuildHook,
    search: BuildSearch,
    airflow: str | None,
    notify: Callable[[OrphanedBuild], None] | None = None,
) -> list[str]:
    """Stop every build of this Airflow whose task has ended; the body of the reaper's only task.

    :param codebuild: CodeBuild
    :param search: finds them
    :param airflow: this Airflow's id; None if it has built nothing
    :param notify: tells the people of the image's model that it was stopped
    :returns: the ids of the builds that were stopped
    :raises slipway.errors.AwsError: when a call fails; the next run tries again
    """
    stopped = []
    for one in search.find(airflow):
        if stop_and_note(codebuild, one.notes, one.build_id, one.mark, one.note.owner):
            log.warning("Stopped %s: %s of %s in %s no longer waits for it", one.build_id, *one.note.owner.task)
            record(ORPHANED_JOBS, 1, model=image_names.prefix_of_dag(one.note.owner.dag_id), kind="build")
            if notify:
                notify(one)
            stopped.append(one.build_id)
    return stopped


def build_message(orphan: OrphanedBuild) -> Message:
    """Write the message about a build that was stopped."""
    owner = orphan.note.owner
    model = image_names.prefix_of_dag(owner.dag_id)
    return message_about(Notice.ORPHANED_BUILD, "build", orphan.build_id, model, owner, again="build")
