"""The task ``source``: pins the object version that a release is made from."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from airflow.providers.amazon.aws.sensors.s3 import S3KeySensor
from airflow.sdk import PokeReturnValue

from slipway.errors import PermanentError
from slipway.hooks.identity import resolve
from slipway.hooks.s3 import S3VersionHook, uri
from slipway.triggers.patience import WaitOutcome, WaitResult
from slipway.triggers.s3_versions import S3VersionTrigger

if TYPE_CHECKING:
    from airflow.sdk import Context

# Under this key the task remembers what it pinned, for when it is run again.
PINNED = "revision"


class S3VersionSensor(S3KeySensor):
    """Waits for an object without a worker slot and pins one version of it; the XCom is a Revision.

    Which version comes from the run: ``bucket``, ``key`` and ``version_id`` of its conf, then of its params, then the
    model's own bucket and key. An empty version id means the newest one, looked up once: a second attempt of this
    task pins the same version again.

    :param bucket_name: the model's bucket; may contain {region} and {account}
    :param bucket_key: the model's source key
    :param poke_interval: seconds between two looks for a missing object
    :param timeout: seconds until a missing object fails the task
    """

    aws_hook_class = S3VersionHook

    def __init__(self, *, bucket_name: str, bucket_key: str, deferrable: bool = True, **kwargs: Any) -> None:
        super().__init__(bucket_name=bucket_name, bucket_key=bucket_key, deferrable=deferrable, **kwargs)

    def execute(self, context: Context) -> Any:
        """:returns: the revision, as JSON, once the object is there"""
        if not self.deferrable:
            return super(S3KeySensor, self).execute(context)
        revision = self._pin(context)
        if revision is None:
            bucket, key, _ = self._wanted(context)
            self._wait(bucket, key, time.time() + self.timeout)
        return revision

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> Any:
        """Pin the object that the trigger saw.

        :returns: the revision, as JSON
        :raises PermanentError: when the object did not come in time, or AWS refused to say
        """
        result = WaitResult.from_event(event)
        bucket, key, _ = self._wanted(context)
        if result.outcome is not WaitOutcome.REACHED:
            raise PermanentError("There is nothing to release", resource=uri(bucket, key), why=result.reason)
        revision = self._pin(context)
        if revision is None:
            # Deleted between the trigger's look and this one.
            self._wait(bucket, key, time.time() + self.timeout)
        return revision

    def poke(self, context: Context) -> PokeReturnValue:
        """:returns: done, with the revision, once the object is there"""
        revision = self._pin(context)
        return PokeReturnValue(is_done=revision is not None, xcom_value=revision)

    def _wanted(self, context: Mapping[str, Any]) -> tuple[str, str, str | None]:
        conf, params = context["dag_run"].conf or {}, context.get("params") or {}
        given = {name: conf.get(name) or params.get(name) for name in ("bucket", "key", "version_id")}
        bucket = resolve(str(given["bucket"] or self.bucket_name), self.aws_conn_id)
        return bucket, str(given["key"] or self.bucket_key), given["version_id"] or None

    def _pin(self, context: Mapping[str, Any]) -> dict[str, Any] | None:
        bucket, key, version_id = self._wanted(context)
        store = context["task_state_store"]
        remembered = store.get(PINNED)
        if remembered and (remembered["bucket"], remembered["key"]) == (bucket, key):
            version_id = version_id or remembered["version_id"]
        revision = cast(S3VersionHook, self.hook).head_version(bucket, key, version_id)
        if revision is None and version_id:
            raise PermanentError(
                "There is nothing to release",
                resource=uri(bucket, key, version_id),
                why="S3 has no such version",
                fix="trigger a run with a version id that aws s3api list-object-versions shows, or with none",
            )
        if revision is None:
            self.log.info("Waiting for %s", uri(bucket, key))
            return None
        store.set(PINNED, revision.to_xcom())
        self.log.info(
            "Pinned %s, uploaded by %s", uri(bucket, key, revision.version_id), revision.uploader or "unknown"
        )
        return revision.to_xcom()

    def _wait(self, bucket: str, key: str, deadline: float) -> None:
        self.defer(
            trigger=S3VersionTrigger(
                bucket=bucket,
                key=key,
                deadline=deadline,
                aws_conn_id=self.aws_conn_id,
                poll_seconds=self.poke_interval,
            ),
            method_name="execute_complete",
        )
