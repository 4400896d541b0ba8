"""The task source: which version it pins, and how it waits for one."""

from types import SimpleNamespace

import pytest
from airflow.sdk.exceptions import TaskDeferred

from slipway.errors import PermanentError
from slipway.release_plan import Revision
from slipway.sensors.s3_version import S3VersionSensor
from slipway.triggers.patience import WaitOutcome, WaitResult
from slipway.triggers.s3_versions import S3VersionTrigger
from tests.unit.scripted_aws import MemoryStore


class Bucket:
    """Versions of one key, the newest last."""

    def __init__(self, *version_ids: str) -> None:
        self.version_ids = list(version_ids)

    def head_version(self, bucket, key, version_id=None):
        if not self.version_ids or (version_id and version_id not in self.version_ids):
            return None
        return Revision(bucket, key, version_id or self.version_ids[-1], "etag", 1, "2026-05-01T12:00:00+00:00", "dave")


def sensor(bucket: Bucket, **kwargs) -> S3VersionSensor:
    made = S3VersionSensor(
        task_id="source",
        bucket_name="models",
        bucket_key="k.zip",
        aws_conn_id=None,
        poke_interval=2,
        timeout=60,
        **kwargs,
    )
    made.__dict__["hook"] = bucket
    return made


def context(conf=None, params=None, store=None) -> dict:
    return {
        "dag_run": SimpleNamespace(conf=conf),
        "params": params or {},
        "task_state_store": store or MemoryStore(),
    }


def reached() -> dict:
    return WaitResult(WaitOutcome.REACHED).to_event().payload


def test_without_a_wish_the_newest_version_of_the_models_key_is_pinned():
    revision = sensor(Bucket("v1", "v2")).execute(context(params={"bucket": "", "key": "", "version_id": ""}))
    assert Revision.from_xcom(revision) == Revision(
        "models", "k.zip", "v2", "etag", 1, "2026-05-01T12:00:00+00:00", "dave"
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
    assert sensor(bucket).execute(context())["version_id"] == "v2"


def test_a_missing_object_is_waited_for_without_a_worker():
    bucket = Bucket()
    with pytest.raises(TaskDeferred) as deferral:
        sensor(bucket).execute(context())
    assert isinstance(deferral.value.trigger, S3VersionTrigger)
    assert (deferral.value.trigger.bucket, deferral.value.trigger.key) == ("models", "k.zip")
    bucket.version_ids.append("v1")
    assert sensor(bucket).execute_complete(context(), reached())["version_id"] == "v1"


def test_an_object_deleted_before_it_could_be_pinned_is_waited_for_again():
    with pytest.raises(TaskDeferred):
        sensor(Bucket()).execute_complete(context(), reached())


@pytest.mark.parametrize("outcome", [WaitOutcome.TIMEOUT, WaitOutcome.REFUSED])
def test_a_wait_in_vain_fails_with_the_reason(outcome):
    with pytest.raises(PermanentError, match=r"s3://models/k\.zip.*nobody came"):
        sensor(Bucket()).execute_complete(context(), WaitResult(outcome, reason="nobody came").to_event().payload)


def test_a_version_that_does_not_exist_fails_at_once():
    with pytest.raises(PermanentError, match="no such version"):
        sensor(Bucket("v1")).execute(context(conf={"version_id": "v9"}))


def test_poking_on_a_worker_works_as_well():
    poke = sensor(Bucket(), deferrable=False).poke(context())
    assert not poke
    assert sensor(Bucket("v1"), deferrable=False).execute(context())["version_id"] == "v1"
