"""The task source: which version it pins, and how it waits for one."""

from datetime import datetime
from types import SimpleNamespace

import pytest
from airflow.sdk.exceptions import AirflowSkipException, TaskDeferred

from slipway.aws.s3 import S3Hook
from slipway.errors import PermanentError, ReleasedAlready, UnreadableDocument
from slipway.plan import Revision
from slipway.source.pin import PINNED, S3VersionSensor
from slipway.source.wait import ObjectExistsTrigger
from slipway.waiting.results import WaitOutcome, WaitResult
from tests.unit.scripted_aws import MemoryStore
from tests.unit.stage_runs import MemoryDocuments

WRITTEN = "2026-05-01T12:00:00+00:00"


class TaskInstance:
    def __init__(self) -> None:
        self.pushed = {}

    def xcom_push(self, key, value):
        self.pushed[key] = value


class Source(S3VersionSensor):
    """The sensor, with an Airflow that has every run."""

    run_exists = staticmethod(lambda dag_id, run_id: True)


class Bucket:
    """Versions of one key, the newest last."""

    def __init__(self, *version_ids: str) -> None:
        self.version_ids = list(version_ids)
        self.documents, self.s3 = MemoryDocuments(), self

    def head_version(self, bucket, key, version_id=None):
        if not self.version_ids or (version_id and version_id not in self.version_ids):
            return None
        return Revision(bucket, key, version_id or self.version_ids[-1], "etag", 1, WRITTEN)

    def sequence(self, revision):
        return revision.last_modified

    def read(self, bucket, key):
        return self.documents.read(bucket, key)

    def write(self, bucket, key, content, *, etag):
        assert bucket == "models"
        return self.documents.write(bucket, key, content, etag=etag)


@pytest.fixture(autouse=True)
def documents(monkeypatch):
    """The bucket of a test keeps its documents itself."""
    monkeypatch.setattr("slipway.source.pin.S3Documents", lambda bucket: bucket)


def sensor(bucket: Bucket, **kwargs) -> S3VersionSensor:
    made = Source(
        task_id="source",
        model_prefix="iris-model",
        bucket_name="models",
        bucket_key="k.zip",
        aws_conn_id=None,
        poke_interval=2,
        timeout=60,
        **kwargs,
    )
    made.__dict__["versions"] = bucket
    return made


def context(conf=None, params=None, store=None, run_id="manual__1") -> dict:
    return {
        "dag_run": SimpleNamespace(
            conf=conf, dag_id="iris-model", run_id=run_id, run_after=datetime.fromisoformat(WRITTEN)
        ),
        "ti": TaskInstance(),
        "params": params or {},
        "task_state_store": store or MemoryStore(),
    }


def reached() -> dict:
    return WaitResult(WaitOutcome.REACHED).to_event().payload


def test_by_default_the_newest_version_of_the_models_key_is_pinned():
    revision = sensor(Bucket("v1", "v2")).execute(context(params={"bucket": "", "key": "", "version_id": ""}))
    assert Revision.from_xcom(revision) == Revision(
        "models", "k.zip", "v2", "etag", 1, WRITTEN, attempt=1, sequence=WRITTEN
    )


def test_conf_comes_before_params_and_params_before_the_model():
    ctx = context(conf={"version_id": "v1", "key": "conf.zip"}, params={"key": "params.zip", "bucket": "params"})
    revision = sensor(Bucket("v1", "v2")).execute(ctx)
    assert (revision["bucket"], revision["key"], revision["version_id"]) == ("params", "conf.zip", "v1")


def test_a_second_attempt_pins_the_version_of_the_first():
    bucket, store = Bucket("v1"), MemoryStore()
    sensor(bucket).execute(context(store=store))
    bucket.version_ids.append("v2")
    assert sensor(bucket).execute(context(store=store))["version_id"] == "v1"
    assert sensor(bucket).execute(context(run_id="manual__2"))["version_id"] == "v2"


def test_while_the_model_file_is_broken_no_release_starts_and_started_ones_continue():
    bucket, store = Bucket("v1"), MemoryStore()
    why = "a.yaml is broken since noon"
    with pytest.raises(PermanentError, match="is broken since noon"):
        sensor(bucket, held=why).execute(context(store=store))
    sensor(bucket).execute(context(store=store))
    assert sensor(bucket, held=why).execute(context(store=store))["version_id"] == "v1"


def test_a_missing_object_is_waited_for_without_a_worker():
    bucket = Bucket()
    with pytest.raises(TaskDeferred) as deferral:
        sensor(bucket).execute(context())
    assert isinstance(deferral.value.trigger, ObjectExistsTrigger)
    assert (deferral.value.trigger.bucket, deferral.value.trigger.key) == ("models", "k.zip")
    bucket.version_ids.append("v1")
    assert sensor(bucket).execute_complete(context(), reached())["version_id"] == "v1"


def test_an_object_deleted_before_it_could_be_pinned_is_waited_for_again():
    with pytest.raises(TaskDeferred):
        sensor(Bucket()).execute_complete(context(), reached())


@pytest.mark.parametrize("outcome", [WaitOutcome.TIMEOUT, WaitOutcome.REFUSED])
def test_a_failed_wait_fails_with_the_reason(outcome):
    with pytest.raises(PermanentError, match=r"s3://models/k\.zip.*nobody came"):
        sensor(Bucket()).execute_complete(context(), WaitResult(outcome, reason="nobody came").to_event().payload)


def test_a_version_that_does_not_exist_fails_at_once():
    with pytest.raises(PermanentError, match="no such version"):
        sensor(Bucket("v1")).execute(context(conf={"version_id": "v9"}))


def test_poking_on_a_worker_works_as_well():
    poke = sensor(Bucket(), deferrable=False).poke(context())
    assert not poke
    assert sensor(Bucket("v1"), deferrable=False).execute(context())["version_id"] == "v1"


def test_a_version_that_another_run_has_is_refused_by_the_name_of_that_run():
    bucket = Bucket("v1")
    sensor(bucket).execute(context(run_id="s3__1"))
    late = context(run_id="manual__2")
    with pytest.raises(ReleasedAlready, match=r"The run s3__1 has the newest version .*runs/s3__1\. Fix: .*write v1"):
        sensor(bucket).execute(late)
    assert late["ti"].pushed == {"released_by": {"dag_id": "iris-model", "run_id": "s3__1"}}


def test_the_run_of_an_upload_is_skipped_where_a_person_was_faster():
    bucket = Bucket("v1")
    sensor(bucket).execute(context(run_id="manual__1"))
    with pytest.raises(AirflowSkipException, match="The run manual__1 has the newest version"):
        sensor(bucket).execute(context(run_id="s3__2026-05-01T12-00-00Z_0123456789abcdef"))


@pytest.mark.parametrize("given", ["conf", "params"])
def test_a_new_attempt_is_a_release_of_its_own(given):
    bucket = Bucket("v1")
    first = sensor(bucket).execute(context())
    again = context(run_id="manual__2", **{given: {"new_attempt": True}})
    second = Revision.from_xcom(sensor(bucket).execute(again))
    assert second.attempt == 2
    assert second.revision_id != Revision.from_xcom(first).revision_id
    assert second.sequence > WRITTEN
    # The task is killed after the claim; its second attempt finds the claim.
    assert Revision.from_xcom(sensor(bucket).execute(again)) == second


def test_a_new_attempt_that_is_neither_true_nor_false_is_refused():
    with pytest.raises(PermanentError, match="new_attempt is neither true nor false"):
        sensor(Bucket("v1")).execute(context(conf={"new_attempt": "no"}))


def test_an_upload_of_the_future_is_not_released():
    class Later(Bucket):
        def sequence(self, revision):
            return "9999-12-31T23:59:59+00:00"

    with pytest.raises(PermanentError, match="is in the future"):
        sensor(Later("v1")).execute(context())


def test_versions_and_claims_share_the_sensors_client():
    made = sensor(Bucket())
    del made.__dict__["versions"]
    assert isinstance(made.hook, S3Hook)
    assert made.versions.s3 is made.hook
    assert made.claims._documents is made.hook


@pytest.mark.parametrize(
    "stored", [{"bucket": "models"}, ["v1"], {"bucket": "models", "key": "k.zip", "version_id": 1}]
)
def test_a_pin_that_cannot_be_read_is_told_by_its_member(stored):
    store = MemoryStore()
    store.set(PINNED, stored)
    with pytest.raises(UnreadableDocument, match="Revision"):
        sensor(Bucket("v1")).execute(context(store=store))


@pytest.mark.parametrize("more", [{"version_id": "v1"}, {"new_attempt": True}])
def test_a_release_and_a_roll_back_at_once_pin_nothing(more):
    """A command line starts such a run, because no guard sees it."""
    bucket = Bucket("v1")
    asked = context(conf={"roll_back_to": "previous", **more})
    with pytest.raises(PermanentError, match=r"a run is a release or a roll-back.* Fix: trigger a new run"):
        sensor(bucket).execute(asked)
    assert asked["task_state_store"].get(PINNED) is None
