"""The task source of an image's build: it builds the model's own source, whatever a run's configuration says."""

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from slipway.errors import PermanentError
from slipway.images.source import ImageSourceSensor
from slipway.plan import Revision
from tests.unit.image_samples import KEY, PREFIX
from tests.unit.request_samples import BUCKET
from tests.unit.scripted_aws import MemoryStore
from tests.unit.stage_runs import MemoryDocuments


class Source(ImageSourceSensor):
    """The sensor, with an Airflow that has every run."""

    run_exists = staticmethod(lambda dag_id, run_id: True)


class Uploads:
    """Every version of every key, and the documents beside them."""

    def __init__(self) -> None:
        self.s3 = MemoryDocuments()

    def head_version(self, bucket, key, version_id=None):
        return Revision(bucket, key, version_id or "newest", "etag", 1, "2026-05-01T12:00:00+00:00")

    def sequence(self, revision):
        return revision.last_modified


@pytest.fixture
def sensor(monkeypatch):
    monkeypatch.setattr("slipway.images.source.S3Documents", lambda documents: documents)
    made = Source(task_id="source", model_prefix=PREFIX, bucket_name=BUCKET, bucket_key=KEY, aws_conn_id=None)
    made.__dict__["versions"] = Uploads()
    return made


def context(conf) -> dict:
    run = SimpleNamespace(conf=conf, dag_id=f"image_build-{PREFIX}", run_id="manual__1", run_after=datetime.now(UTC))
    return {"dag_run": run, "params": {}, "task_state_store": MemoryStore()}


# An upload's run names its place itself.
@pytest.mark.parametrize("conf", [{}, {"version_id": "v1"}, {"bucket": BUCKET, "key": KEY, "version_id": "v1"}])
def test_the_models_own_source_is_pinned(sensor, conf):
    pinned = sensor.execute(context(conf))
    assert (pinned["bucket"], pinned["key"]) == (BUCKET, KEY)
    assert pinned["version_id"] == conf.get("version_id", "newest")


@pytest.mark.parametrize("conf", [{"key": "image_builds/other/image.zip"}, {"bucket": "somebody-elses"}])
def test_another_source_is_refused(sensor, conf):
    with pytest.raises(PermanentError, match="This DAG builds another source") as refusal:
        sensor.execute(context(conf))
    assert f"s3://{BUCKET}/{KEY}" in refusal.value.fix
