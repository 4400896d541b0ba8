"""The reaper of builds: it stops builds that no task waits for any more, so that nobody pays for them.

When a task is failed, cleared or deleted, its trigger stops its build (images/wait.py). This DAG stops what the trigger
cannot see, as the reaper of training jobs does (training/reaper.py). The note of a build says which task of which
Airflow waits for it (images/note.py); no build is stopped while its task may still wait.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING

from airflow.sdk import DAG, task

from slipway import image_names
from slipway.aws.codebuild import CodeBuildHook
from slipway.host.task_errors import with_error_block
from slipway.images.note import stop_and_note
from slipway.images.orphans import BuildSearch, BuildWatcherTrigger, build_search
from slipway.training.owner import airflow_id
from slipway.training.reaper import POLL_SECONDS
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
    buckets = {model.prefix: model.source.bucket for model in models}
    trigger = BuildWatcherTrigger(buckets=buckets, aws_conn_id=aws_conn_id, poll_seconds=POLL_SECONDS)
    orphans = watched_asset(f"slipway-orphaned-builds-{slug(aws_conn_id)}", trigger)
    with watcher_dag(dag_id, [orphans], __doc__) as dag:

        @task
        @with_error_block
        def stop_orphans() -> list[str]:
            return reap(CodeBuildHook(aws_conn_id=aws_conn_id), build_search(buckets, aws_conn_id), airflow_id())

        stop_orphans()
    return dag


def reap(codebuild: CodeBuildHook, search: BuildSearch, airflow: str | None) -> list[str]:
    """Stop every build of this Airflow whose task has ended; the body of the reaper's only task.

    :param codebuild: CodeBuild
    :param search: finds them
    :param airflow: this Airflow's id; None if it has built nothing
    :returns: the ids of the builds that were stopped
    :raises slipway.errors.AwsError: when a call fails; the next run tries again
    """
    stopped = []
    for one in search.find(airflow):
        if stop_and_note(codebuild, one.notes, one.build_id, one.mark, one.note.owner):
            log.warning("Stopped %s: %s of %s in %s no longer waits for it", one.build_id, *one.note.owner.task)
            stopped.append(one.build_id)
    return stopped
