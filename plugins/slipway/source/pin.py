"""The task ``source``: it pins the object version that a release is made from."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from airflow.providers.amazon.aws.sensors.s3 import S3KeySensor
from airflow.sdk import PokeReturnValue

from slipway.aws.documents import S3Documents
from slipway.aws.identity import resolve
from slipway.aws.s3 import S3Hook, uri
from slipway.errors import PermanentError, Skipped
from slipway.host import log_fields, runs
from slipway.host.links import ReleasedByLink
from slipway.host.task_errors import TaskErrors
from slipway.names import DATA_RUN_PREFIX
from slipway.plan import Revision, roll_back_target
from slipway.source.claims import Claim, Claims, refusal
from slipway.source.data import fingerprint
from slipway.source.form import BUCKET, KEY, NEW_ATTEMPT, VERSION_ID, two_orders
from slipway.source.versions import S3Versions
from slipway.source.wait import ObjectExistsTrigger
from slipway.stages import sequences
from slipway.waiting.results import WaitOutcome, WaitResult

if TYPE_CHECKING:
    from airflow.sdk import Context

# The key of the task state store under which the task keeps what it pinned, for its next attempt.
PINNED = "revision"


class S3VersionSensor(TaskErrors, S3KeySensor):
    """Wait for an object without a worker slot, pin one version and claim it; the XCom is a Revision.

    Each of ``bucket``, ``key`` and ``version_id`` comes from the run's conf, else from its params, else from the model.
    Without a version id it is the newest version, looked up once: a second attempt of this task pins the same version.

    A version belongs to one run. Any other run fails and names that run, unless it asks for a new attempt. The run that
    the upload started is skipped instead: a person was faster, and nothing is wrong.

    :param model_prefix: the model's prefix
    :param bucket_name: the model's bucket, which keeps the claims; may contain {region} and {account}
    :param bucket_key: the model's source key
    :param data: S3 URIs of the training data that other DAGs make; may contain {region} and {account}
    :param held: why no release may start now; a run that has pinned its version continues
    :param poke_interval: seconds between two looks for a missing object
    :param timeout: seconds until a missing object fails the task
    """

    aws_hook_class = S3Hook  # type: ignore[assignment]
    # None: what is rendered costs a request, and nothing here is a template.
    template_fields = ()
    operator_extra_links = (ReleasedByLink(),)
    # What an error says where there is no object.
    nothing = "There is nothing to release"
    # A class attribute, because Airflow does not let operators set new attributes.
    run_exists = staticmethod(runs.exists)

    def __init__(
        self,
        *,
        model_prefix: str,
        bucket_name: str,
        bucket_key: str,
        held: str | None = None,
        data: Sequence[str] = (),
        deferrable: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(bucket_name=bucket_name, bucket_key=bucket_key, deferrable=deferrable, **kwargs)
        self.model_prefix = model_prefix
        self.held = held
        self.data = tuple(data)

    @cached_property
    def versions(self) -> S3Versions:
        """The versions in S3, through the model's connection."""
        return S3Versions(cast(S3Hook, self.hook))

    @property
    def claims(self) -> Claims:
        """The claims of the model's versions."""
        bucket = resolve(str(self.bucket_name), self.aws_conn_id)
        return Claims(S3Documents(self.versions.s3), bucket, self.model_prefix, self.run_exists)

    def execute(self, context: Context) -> Any:
        """Pin and claim a version when the object is there.

        :returns: the revision, as JSON
        :raises slipway.errors.ReleasedAlready: when another run has the version
        :raises slipway.errors.Skipped: in a run that rolls production back
        """
        if problem := two_orders(getattr(context.get("dag_run"), "conf", None)):
            raise PermanentError(
                "The form asks for a release and a roll-back",
                resource="the run's configuration",
                why=problem,
                fix="trigger a new run that asks for one of them",
            )
        if roll_back_target(context):
            raise Skipped("There is nothing to release", why="this run rolls production back: see the task roll_back")
        if not self.deferrable:
            return super(S3KeySensor, self).execute(context)
        revision = self._pin(context)
        if revision is None:
            bucket, key, _ = self._wanted(context)
            self._wait(bucket, key, time.time() + self.timeout)
        return revision

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> Any:
        """Pin the object that the trigger found.

        :returns: the revision, as JSON
        :raises PermanentError: when the object was not uploaded in time, or AWS refused the call
        """
        result = WaitResult.from_event(event)
        bucket, key, _ = self._wanted(context)
        if result.outcome is not WaitOutcome.REACHED:
            raise PermanentError(
                self.nothing,
                resource=uri(bucket, key),
                why=result.reason,
                fix=result.fix or "upload the zip there, then clear this task",
            )
        revision = self._pin(context)
        if revision is None:
            # It was deleted after the trigger saw it.
            self._wait(bucket, key, time.time() + self.timeout)
        return revision

    def poke(self, context: Context) -> PokeReturnValue:
        """Look once on a worker; done, with the revision, when the object is there."""
        revision = self._pin(context)
        return PokeReturnValue(is_done=revision is not None, xcom_value=revision)

    def _wanted(self, context: Mapping[str, Any]) -> tuple[str, str, str | None]:
        conf, params = context["dag_run"].conf or {}, context.get("params") or {}
        given = {name: conf.get(name) or params.get(name) for name in (BUCKET, KEY, VERSION_ID)}
        bucket = resolve(str(given[BUCKET] or self.bucket_name), self.aws_conn_id)
        return bucket, str(given[KEY] or self.bucket_key), given[VERSION_ID] or None

    def _pin(self, context: Mapping[str, Any]) -> dict[str, Any] | None:
        log_fields.bind({"model": self.model_prefix})
        bucket, key, version_id = self._wanted(context)
        store = context["task_state_store"]
        remembered = store.get(PINNED)
        if self.held and not remembered:
            raise PermanentError(
                "No release starts with an earlier version of the model file",
                resource=self.model_prefix,
                why=self.held,
                fix="correct the model file, then clear this task",
            )
        if remembered and (pinned := Revision.from_xcom(remembered)) and (pinned.bucket, pinned.key) == (bucket, key):
            version_id = version_id or pinned.version_id
        revision = self.versions.head_version(bucket, key, version_id)
        if revision is None and version_id:
            raise PermanentError(
                self.nothing,
                resource=uri(bucket, key, version_id),
                why="S3 has no such version",
                fix="trigger a run with a version id that aws s3api list-object-versions shows, or with none",
            )
        if revision is None:
            self.log.info("Waiting for %s", uri(bucket, key))
            return None
        store.set(PINNED, revision.to_xcom())
        self.log.info("Pinned %s", uri(bucket, key, revision.version_id))
        newest = self._wanted(context)[2] is None
        wanted = replace(revision, sequence=self.versions.sequence(revision))
        claimed = self._claim(context, wanted, newest=newest)
        log_fields.bind({"revision": claimed.revision_id})
        return claimed.to_xcom()

    def _claim(self, context: Mapping[str, Any], revision: Revision, *, newest: bool) -> Revision:
        dag_run = context["dag_run"]
        if self.data:
            # Before the claim: what changes between the two is new data, and starts a release of its own.
            places = [resolve(one, self.aws_conn_id) for one in self.data]
            revision = replace(revision, data=fingerprint(places, self.versions))
        claimed = self.claims.claim(
            revision,
            dag_run.dag_id,
            dag_run.run_id,
            # The time of its start would be a later one after the run was cleared.
            began=dag_run.run_after,
            new_attempt=self._new_attempt(context),
            new_data=dag_run.run_id.startswith(DATA_RUN_PREFIX),
        )
        if isinstance(claimed, Claim):
            ReleasedByLink.persist(context, claimed.dag_id, claimed.run_id)
            raise self.refusal(revision, claimed, dag_run.run_id, newest=newest)
        sequences.check(claimed.sequence or claimed.last_modified, uri(revision.bucket, revision.key))
        if claimed.attempt > 1:
            self.log.info("This is attempt %d of this version", claimed.attempt)
        return claimed

    def refusal(self, revision: Revision, claim: Claim, run_id: str, *, newest: bool) -> Exception:
        """Build the error that names the run which has a version."""
        return refusal(revision, claim, run_id, newest=newest)

    @staticmethod
    def _new_attempt(context: Mapping[str, Any]) -> bool:
        wanted = {**(context.get("params") or {}), **(context["dag_run"].conf or {})}.get(NEW_ATTEMPT)
        if wanted not in (None, False, True):
            raise PermanentError(
                "new_attempt is neither true nor false",
                resource="the run's configuration",
                why=f"it is {wanted!r}",
                fix='trigger a new run with {"new_attempt": true}, or without it',
            )
        return bool(wanted)

    def _wait(self, bucket: str, key: str, deadline: float) -> None:
        self.defer(
            trigger=ObjectExistsTrigger(
                bucket=bucket,
                key=key,
                deadline=deadline,
                aws_conn_id=self.aws_conn_id,
                poll_seconds=self.poke_interval,
            ),
            method_name="execute_complete",
        )
