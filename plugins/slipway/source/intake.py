"""The intake: every uploaded version of every model's zip starts that model's release exactly once.

The source of a model's own container image starts its build in the same way.

A watcher (source/watcher.py) emits an event that starts the intake DAG, which lists the bucket itself and starts a run
for each version. It is exactly once because the run id is a function of the version and Airflow keeps (DAG, run id)
unique. A version is stored as done only after its run exists: after any crash, the next event finds it.

The first intake of a bucket finds what was uploaded before Slipway watched it. It releases the newest version of each
key, unless the bucket has the copy of an earlier release of it, and skips the older ones: an upload made just before
the start is not lost, and a long history is not released again.

Uploads wait while their model's file or DAG is missing, or the file is broken. Of a key without a model the newest 20
do.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from airflow.sdk import DAG, task
from airflow.sdk.exceptions import AirflowRuntimeError

from slipway import image_names, names
from slipway.aws.identity import resolve
from slipway.aws.s3 import uri
from slipway.errors import IntakeUnreadable, problem_of
from slipway.host import runs
from slipway.host.task_errors import with_error_block
from slipway.source.key_look import Found, look_at
from slipway.source.unreleased import Unreleased, waiting_on
from slipway.source.uploads import (
    ASSET_PREFIX,
    INTAKE_TASK_ID,
    REQUEST_FILE,
    STATE_KEY,
    IntakeState,
    KeyState,
    has_usual_form,
    is_request,
    keys_elsewhere,
    listed_prefixes,
)
from slipway.source.versions import CurrentObject, ObjectVersion, S3Versions
from slipway.source.watcher import UploadWatcherTrigger
from slipway.waiting.watcher_dag import StateStore, dag_ids, slug, watched_asset, watcher_dag

if TYPE_CHECKING:
    from slipway.model.pipelines import Pipeline, Stale

log = logging.getLogger(__name__)

# One listing costs the same for up to 1000 versions, and a release takes minutes: there is no need to tune this.
POLL_SECONDS = 2.0


# Starts a release from DAG id, run id, conf and note; False when its DAG does not exist yet.
Starter = Callable[[str, str, Mapping[str, str], str], bool]


@dataclass(frozen=True)
class WatchedBucket:
    """One bucket, as model files name it, and the models whose uploads it receives.

    :param bucket: bucket name; may contain {region} and {account}
    :param aws_conn_id: Airflow connection with the AWS credentials
    :param dag_ids: the DAG that an upload starts, by its key: a model's release, or the build of its image
    :param queues: queues that S3 notifies of the bucket's uploads
    :param held: why no release of a model starts now, by source key
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
        """The bucket in the names of its DAG and its asset."""
        return slug(self.bucket, str(self.aws_conn_id))

    @property
    def asset_name(self) -> str:
        """The name of the asset of this bucket's uploads."""
        return f"{ASSET_PREFIX}{self.slug}"


def sources(pipelines: Iterable[Pipeline]) -> list[WatchedBucket]:
    """Group the models by bucket.

    :param pipelines: the models, stale ones too, so that a bucket's intake keeps its name and its state
    :returns: one for each bucket and connection, in a stable order
    """
    found: dict[tuple[str, str], WatchedBucket] = {}
    for pipeline in pipelines:
        model = pipeline.model
        key = (model.source.bucket, str(model.aws_conn_id))
        source = found.setdefault(key, WatchedBucket(model.source.bucket, model.aws_conn_id))
        keys = {model.source.key: model.prefix}
        if model.image:
            keys[image_names.source_key(model.prefix)] = image_names.build_dag_id(model.prefix)
        source.dag_ids.update(keys)
        if pipeline.stale:
            source.held.update(dict.fromkeys(keys, pipeline.stale))
        if model.source.queue:
            source.queues.add(model.source.queue)
    return [found[key] for key in sorted(found)]


def intake_dag_ids(found: Sequence[WatchedBucket]) -> list[str]:
    """Return the intake's DAG id for each bucket; the buckets must be all that there are."""
    return dag_ids(names.INTAKE_DAG_ID, [source.slug for source in found])


def build_intake_dags(pipelines: Iterable[Pipeline]) -> list[DAG]:
    """Build the intake of every bucket.

    :param pipelines: the models
    :returns: one DAG called ``intake`` for a single bucket, else one for each bucket, named after it
    """
    found = sources(pipelines)
    return list(map(build_intake_dag, found, intake_dag_ids(found)))


def build_intake_dag(source: WatchedBucket, dag_id: str) -> DAG:
    """Build the DAG that starts the releases of one bucket's uploads.

    :param source: the bucket and its models
    :param dag_id: the DAG's id
    """
    trigger = UploadWatcherTrigger(
        bucket=source.bucket,
        keys=source.open_keys,
        queues=list(source.queues),
        aws_conn_id=source.aws_conn_id,
        poll_seconds=POLL_SECONDS,
    )
    uploads = watched_asset(source.asset_name, trigger)
    with watcher_dag(dag_id, [uploads], _documentation(source)) as dag:

        @task(task_id=INTAKE_TASK_ID, inlets=[uploads])
        @with_error_block
        def start_releases(*, asset_state_store: Any = None) -> dict[str, int]:
            versions = S3Versions(aws_conn_id=source.aws_conn_id)
            return take_in(source, asset_state_store[uploads], versions, runs.start)

        start_releases()
    return dag


def _documentation(source: WatchedBucket) -> str:
    held = "".join(f"- `{key}`: {stale.markdown}\n" for key, stale in sorted(source.held.items()))
    return f"{__doc__}\n\nUploads that wait for their model file:\n\n{held}" if held else str(__doc__)


def take_in(source: WatchedBucket, store: StateStore, versions: S3Versions, start: Starter) -> dict[str, int]:
    """Start a release for every version that has none.

    :param source: the bucket and its models
    :param store: the asset's state store
    :param versions: lists the bucket
    :param start: starts a run
    :returns: how many versions got their run, how many wait for their model, and how many will not be released because
        too many newer ones wait
    :raises IntakeUnreadable: when the stored state cannot be read; then nothing is started
    :raises AirflowRuntimeError: after all versions were tried, when Airflow refused one of them
    """
    bucket = resolve(source.bucket, source.aws_conn_id)
    before = _committed(source, store)
    found = _look(source, bucket, before, versions)
    if before is None:
        found = _first_intake(source, bucket, found, versions)
        # An upload from now on is a release, also where this task is killed.
        store.set(STATE_KEY, _after(IntakeState(), found, _open_ids(found)).to_json())
    intake = before or IntakeState()
    unreleased: dict[str, list[Unreleased]] = {key: [] for key in found}
    started, errors = 0, []
    for version in sorted(version for one in found.values() for version in one.open):
        try:
            why = _start(source, bucket, version, start)
        except AirflowRuntimeError as error:
            # The error of one model must not stop the others.
            log.error("%s is still waiting: %s", uri(bucket, version.key, version.version_id), error)
            errors.append(error)
            why = ""
        if why is None:
            started += 1
        else:
            unreleased[version.key].append(Unreleased(version, why))
    waiting = {
        key: waiting_on(
            uri(bucket, key),
            without_run,
            intake.keys.get(key, KeyState()).waiting,
            log,
            has_model=key in source.dag_ids,
        )
        for key, without_run in unreleased.items()
    }
    after = _after(intake, found, waiting)
    if after != before:
        store.set(STATE_KEY, after.to_json())
    if errors:
        raise errors[0]
    return {
        "started": started,
        "waiting": sum(len(state.waiting) for state in after.keys.values()),
        "passed_over": sum(len(without_run) - len(waiting[key]) for key, without_run in unreleased.items()),
    }


def _look(source: WatchedBucket, bucket: str, before: IntakeState | None, versions: S3Versions) -> dict[str, Found]:
    """List the bucket, and the versions of the keys that have changed since the intake has listed them."""
    current: dict[str, CurrentObject | None] = {}
    for prefix in listed_prefixes(source.dag_ids):
        current |= versions.current_objects(bucket, prefix)
    sources = {key for key in source.dag_ids if image_names.is_source(key)}
    current |= {key: versions.current_object(bucket, key) for key in keys_elsewhere(source.dag_ids)}
    intake = before or IntakeState()
    found = {}
    for key in sorted(current.keys() | intake.keys.keys() | sources):
        if not is_request(key, source.dag_ids) or not intake.needs_look(key, current.get(key), source.open_keys):
            continue
        state = intake.keys.get(key)
        # A key of the usual form has been watched since the first intake.
        unwatched = before is None or not has_usual_form(key)
        found[key] = look_at(versions.s3, bucket, key, state, newest_only=unwatched)
    return found


def _after(intake: IntakeState, found: Mapping[str, Found], waiting: Mapping[str, Sequence[str]]) -> IntakeState:
    """Return the state with what was found.

    A key of the usual form that has no version any more needs no entry. Another one has an empty entry, which says that
    it is watched.
    """
    seen = {
        key: one.stored(waiting[key]) or (None if has_usual_form(key) else KeyState()) for key, one in found.items()
    }
    return IntakeState({key: state for key, state in {**intake.keys, **seen}.items() if state is not None})


def _open_ids(found: Mapping[str, Found]) -> dict[str, list[str]]:
    return {key: [version.version_id for version in one.open] for key, one in found.items()}


def _committed(source: WatchedBucket, store: StateStore) -> IntakeState | None:
    try:
        return IntakeState.from_json(store.get(STATE_KEY))
    except ValueError as error:
        raise IntakeUnreadable(
            "The stored state of the intake cannot be read, so it starts no release",
            resource=f"entry {STATE_KEY} in the state store of the asset {source.asset_name}",
            why=problem_of(error),
            fix=f"an administrator deletes it: DELETE /api/v2/assets/<the asset's id>/state-store/{STATE_KEY}. The "
            "intake then reads the bucket as if for the first time: it releases the newest version of each key, "
            "unless that was released before",
        ) from error


def _first_intake(
    source: WatchedBucket, bucket: str, found: Mapping[str, Found], versions: S3Versions
) -> dict[str, Found]:
    """Leave out what was released before: another Airflow may have done it."""
    kept = {
        key: replace(one, open=tuple(each for each in one.open if not _released_before(source, bucket, each, versions)))
        for key, one in found.items()
    }
    to_release = sum(bool(one.open) for one in kept.values())
    log.info("First intake of %s: %d of %d keys have an upload to release", bucket, to_release, len(kept))
    return kept


def _released_before(source: WatchedBucket, bucket: str, version: ObjectVersion, versions: S3Versions) -> bool:
    """Look for the copy of the zip that a release keeps; another Airflow may have made it."""
    dag_id = source.dag_ids.get(version.key)
    if dag_id is None:
        return False
    revision = names.revision_id(bucket, version.key, version.version_id)
    key = f"{names.release_prefix(dag_id, revision)}{REQUEST_FILE}"
    if image_names.is_source(version.key):
        key = image_names.build_key(image_names.prefix_of_dag(dag_id), revision, image_names.SOURCE_FILE)
    return versions.s3.exists(bucket, key)


def _start(source: WatchedBucket, bucket: str, version: ObjectVersion, start: Starter) -> str | None:
    """Start the run of a version; return why it has to wait, or None."""
    dag_id = source.dag_ids.get(version.key)
    if dag_id is None:
        return "waits for its model: no file in include/models has this bucket and key"
    if stale := source.held.get(version.key):
        return f"waits: {stale}"
    run_id = names.auto_run_id(bucket, version.key, version.version_id, version.last_modified)
    name = names.release_name(names.revision_id(bucket, version.key, version.version_id), version.last_modified)
    if start(dag_id, run_id, {"bucket": bucket, "key": version.key, "version_id": version.version_id}, name):
        return None
    return f"waits for its DAG {dag_id}, which is missing or has import errors"
