"""The intake: every uploaded version of every model's zip starts that model's release exactly once.

A watcher (triggers/s3_versions.py) rings, the intake DAG runs, lists the bucket by itself and starts a run per
version. What makes it exactly once is that Airflow keeps (DAG, run id) unique and that the run id is a function of
the version. A version is committed only after its run exists, so whatever dies in between, the next ring finds it.

The first intake of a bucket finds what was uploaded before Slipway watched it. It takes the newest version of each
key, unless that version has been released already (its run's copy lies in the bucket), and passes the older ones
over: an upload made just before the start is not lost, and a long history is not released again.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol

from airflow.sdk import DAG, Asset, AssetWatcher, task
from airflow.sdk.exceptions import AirflowRuntimeError

from slipway import names
from slipway.aws.identity import resolve
from slipway.aws.s3 import ObjectVersion, S3VersionHook, uri
from slipway.errors import IntakeUnreadable
from slipway.host import runs
from slipway.source.uploads import (
    ASSET_PREFIX,
    INTAKE_DAG_ID,
    INTAKE_TASK_ID,
    REQUEST_FILE,
    STATE_KEY,
    Intake,
    list_prefixes,
    older_versions,
    version_key,
)
from slipway.source.watcher import S3VersionsTrigger

if TYPE_CHECKING:
    from slipway.model.pipelines import Pipeline, Stale

log = logging.getLogger(__name__)

# A listing of 1000 versions costs as little as one of none, and the wait for a release is minutes: no need to tune.
POLL_SECONDS = 2.0


class StateStore(Protocol):
    """The part of Airflow's asset state store that the intake uses."""

    def get(self, key: str, default: Any = None) -> Any: ...

    def set(self, key: str, value: Any) -> None: ...


# Starts a release; False when that DAG is not there yet.
Starter = Callable[[str, str, Mapping[str, str]], bool]


@dataclass(frozen=True)
class WatchedBucket:
    """One bucket, as model files name it, and the models that wait for uploads to it.

    :param bucket: bucket name; may contain {region} and {account}
    :param aws_conn_id: Airflow connection with the AWS credentials
    :param dag_ids: release DAGs by source key
    :param queues: queues that S3 notifies of the bucket's uploads
    :param held: why no release of a model begins now, by source key
    """

    bucket: str
    aws_conn_id: str | None
    dag_ids: dict[str, str] = field(default_factory=dict)
    queues: set[str] = field(default_factory=set)
    held: dict[str, Stale] = field(default_factory=dict)

    @property
    def open_keys(self) -> list[str]:
        """The source keys whose uploads start a release."""
        return [key for key in self.dag_ids if key not in self.held]

    @property
    def slug(self) -> str:
        """A name for this bucket that does not depend on which other buckets there are."""
        readable = re.sub(r"[^a-z0-9]+", "-", self.bucket.lower()).strip("-")
        return f"{readable}-{hashlib.sha256(f'{self.bucket} {self.aws_conn_id}'.encode()).hexdigest()[:6]}"

    @property
    def asset_name(self) -> str:
        """The asset that stands for this bucket's uploads."""
        return f"{ASSET_PREFIX}{self.slug}"


def sources(pipelines: Iterable[Pipeline]) -> list[WatchedBucket]:
    """Group models by bucket.

    :param pipelines: the models, stale ones too: a bucket's intake keeps its name and its memory
    :returns: one source per distinct bucket and connection, in a stable order
    """
    found: dict[tuple[str, str], WatchedBucket] = {}
    for pipeline in pipelines:
        model = pipeline.model
        key = (model.source.bucket, str(model.aws_conn_id))
        source = found.setdefault(key, WatchedBucket(model.source.bucket, model.aws_conn_id))
        source.dag_ids[model.source.key] = model.prefix
        if pipeline.stale:
            source.held[model.source.key] = pipeline.stale
        if model.source.queue:
            source.queues.add(model.source.queue)
    return [found[key] for key in sorted(found)]


def intake_dag_ids(found: Sequence[WatchedBucket]) -> list[str]:
    """:returns: the intake's DAG id of each of these buckets, which are all that there are"""
    return [INTAKE_DAG_ID if len(found) == 1 else f"{INTAKE_DAG_ID}-{source.slug}" for source in found]


def build_intake_dags(pipelines: Iterable[Pipeline]) -> list[DAG]:
    """Build the intake of every bucket.

    :param pipelines: the models
    :returns: a DAG called ``intake`` for one bucket, else one per bucket named after it
    """
    found = sources(pipelines)
    return [build_intake_dag(source, dag_id) for source, dag_id in zip(found, intake_dag_ids(found), strict=True)]


def build_intake_dag(source: WatchedBucket, dag_id: str) -> DAG:
    """Build the DAG that starts the releases of one bucket's uploads.

    :param source: the bucket and its models
    :param dag_id: the DAG's id
    """
    trigger = S3VersionsTrigger(
        bucket=source.bucket,
        keys=source.open_keys,
        queues=list(source.queues),
        aws_conn_id=source.aws_conn_id,
        poll_seconds=POLL_SECONDS,
    )
    name = source.asset_name
    uploads = Asset(name=name, watchers=[AssetWatcher(name=name, trigger=trigger)])
    with DAG(
        dag_id,
        schedule=[uploads],
        catchup=False,
        # One at a time: the state store has no compare-and-set.
        max_active_runs=1,
        is_paused_upon_creation=False,
        default_args={"retries": 3, "retry_delay": timedelta(seconds=5)},
        tags=[names.DAG_TAG],
        doc_md=_documentation(source),
    ) as dag:

        @task(task_id=INTAKE_TASK_ID, inlets=[uploads])
        def start_releases(*, asset_state_store: Any = None) -> dict[str, int]:
            return take_in(source, asset_state_store[uploads], S3VersionHook(source.aws_conn_id), runs.start)

        start_releases()
    return dag


def _documentation(source: WatchedBucket) -> str:
    held = "".join(f"- `{key}`: {stale.markdown}\n" for key, stale in sorted(source.held.items()))
    return f"{__doc__}\n\nUploads that wait for their model file:\n\n{held}" if held else str(__doc__)


def take_in(source: WatchedBucket, store: StateStore, hook: S3VersionHook, start: Starter) -> dict[str, int]:
    """Start a release for every upload that has none; the body of the intake's only task.

    :param source: the bucket and its models
    :param store: the state of the bucket's asset
    :param hook: S3
    :param start: starts a run
    :returns: how many versions have a run now that had none committed, and how many wait for their model
    :raises IntakeUnreadable: when what was committed cannot be read; nothing is started then
    :raises AirflowRuntimeError: after all versions were tried, when Airflow refused one for a reason of its own
    """
    bucket = resolve(source.bucket, source.aws_conn_id)
    listed = hook.list_versions(bucket, list_prefixes(source.dag_ids))
    before = _committed(source, store)
    intake = before.kept_to(listed) if before else _first_intake(source, bucket, listed, hook)
    if intake != before:
        store.set(STATE_KEY, intake.to_json())
    committed = intake
    started, errors = 0, []
    for version in intake.open(listed, source.open_keys):
        try:
            if _release(source, bucket, version, start, announced=version_key(version) in intake.announced):
                intake = intake.with_done(version)
                started += 1
            else:
                intake = intake.with_announced(version)
        except AirflowRuntimeError as error:
            # One model's trouble must not keep the others waiting.
            log.error("%s stays waiting: %s", uri(bucket, version.key, version.version_id), error)
            errors.append(error)
    if intake != committed:
        store.set(STATE_KEY, intake.to_json())
    if errors:
        raise errors[0]
    return {"started": started, "waiting": len(intake.announced)}


def _committed(source: WatchedBucket, store: StateStore) -> Intake | None:
    try:
        return Intake.from_json(store.get(STATE_KEY))
    except ValueError as error:
        raise IntakeUnreadable(
            "What the intake has noted cannot be read, and it starts no release",
            resource=f"entry {STATE_KEY} in the state store of the asset {source.asset_name}",
            why=str(error),
            fix=f"an administrator deletes it: DELETE /api/v2/assets/<the asset's id>/state-store/{STATE_KEY}. The "
            "intake then looks at the bucket as it did the first time: it releases the newest version of each key, "
            "unless that has been released",
        ) from error


def _first_intake(source: WatchedBucket, bucket: str, listed: list[ObjectVersion], hook: S3VersionHook) -> Intake:
    older = older_versions(listed)
    intake = Intake()
    for version in listed:
        if version in older or _released_before(source, bucket, version, hook):
            intake = intake.with_done(version)
    log.info("First look at %s: %d of %d versions passed over", bucket, len(intake.done), len(listed))
    return intake


def _released_before(source: WatchedBucket, bucket: str, version: ObjectVersion, hook: S3VersionHook) -> bool:
    """Look for the copy of the zip that a release keeps, which may be from an Airflow that is no more."""
    prefix = source.dag_ids.get(version.key)
    if prefix is None:
        return False
    revision = names.revision_id(bucket, version.key, version.version_id)
    return hook.exists(bucket, f"{names.run_prefix(prefix, revision)}{REQUEST_FILE}")


def _release(source: WatchedBucket, bucket: str, version: ObjectVersion, start: Starter, *, announced: bool) -> bool:
    where = uri(bucket, version.key, version.version_id)
    # Said once and not at every ring.
    say = log.debug if announced else log.warning
    dag_id = source.dag_ids.get(version.key)
    if dag_id is None:
        say("%s waits for its model: no file in include/models has this bucket and key", where)
        return False
    if stale := source.held.get(version.key):
        say("%s waits: %s", where, stale)
        return False
    run_id = names.auto_run_id(bucket, version.key, version.version_id)
    if start(dag_id, run_id, {"bucket": bucket, "key": version.key, "version_id": version.version_id}):
        return True
    say("%s waits for its DAG %s, which is missing or has import errors", where, dag_id)
    return False
