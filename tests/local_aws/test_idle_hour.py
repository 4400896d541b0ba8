"""What an hour costs in calls in which nothing happens, by the ledger, with every watcher that runs then.

Only pauses move the clock, so an hour takes seconds.
"""

import asyncio
from collections import Counter
from contextlib import aclosing, suppress
from types import SimpleNamespace

import pytest

from slipway.deployment import drift_watch
from slipway.deployment.drift_watch import DriftWatcherTrigger
from slipway.live.watcher import LiveWatcherTrigger
from slipway.source import notification_queue
from slipway.source import watcher as upload_watcher
from slipway.source.intake import WatchedBucket, take_in
from slipway.source.notification_queue import NotificationQueue
from slipway.source.versions import S3Versions
from slipway.source.watcher import UploadWatcherTrigger
from slipway.training import orphans
from slipway.training.orphans import OrphanWatcherTrigger
from slipway.waiting import activity
from slipway.waiting.activity import Activity
from tests.local_aws.hooks import lead_hooks_to
from tests.unit.scripted_aws import MemoryStore

pytestmark = pytest.mark.local_aws

HOUR = 3600.0
POLLED_MAX, NOTIFIED_MAX = 720, 150


class Clock:
    """Time that passes only while a watcher pauses."""

    def __init__(self) -> None:
        self.now = 10_000.0

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        await asyncio.sleep(0)

    async def wait_for(self, awaitable, seconds: float):
        awaitable.close()
        self.now += seconds
        await asyncio.sleep(0)
        raise TimeoutError

    @property
    def asyncio(self) -> SimpleNamespace:
        kept = {name: getattr(asyncio, name) for name in ("to_thread", "Event", "create_task")}
        return SimpleNamespace(**kept, sleep=self.sleep, wait_for=self.wait_for)


class Calm(Activity):
    def __init__(self) -> None:
        super().__init__(noted=lambda: None)
        self._busy_until = 0.0


class Hour:
    """An account with some models, none of which is live, and a bucket whose uploads have their runs."""

    def __init__(self, aws, models: int, patch: pytest.MonkeyPatch) -> None:
        self.aws, self.clock, self.patch = aws, Clock(), patch
        self.models = [f"idle-{models}-{number:02}" for number in range(models)]
        self.keys = [f"training_jobs/{model}/trainingjob.zip" for model in self.models]
        self.bucket, self.store = f"idle-hour-{models}", MemoryStore()
        s3 = aws.client("s3")
        s3.create_bucket(Bucket=self.bucket, CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
        s3.put_bucket_versioning(Bucket=self.bucket, VersioningConfiguration={"Status": "Enabled"})
        for key in self.keys:
            s3.put_object(Bucket=self.bucket, Key=key, Body=b"released")
        source = WatchedBucket(self.bucket, None, dict.fromkeys(self.keys, "model"))
        while not all(
            one.get("settled") for one in self.store.entries.get("intake", {"keys": {"": {}}})["keys"].values()
        ):
            take_in(source, self.store, S3Versions(aws_conn_id=None), lambda *run: True)
        for module in (activity, drift_watch, upload_watcher, notification_queue):
            patch.setattr(module, "asyncio", self.clock.asyncio)
        for module in (activity, upload_watcher):
            patch.setattr(module, "time", self.clock)

    def calls(self, trigger, store: MemoryStore, seconds: float = HOUR) -> Counter:
        """The calls that a watcher makes in an hour, or in another time."""
        trigger.asset_state_store, until = store, self.clock.now + seconds
        before = len(self.aws.asked())

        async def watch() -> None:
            async with aclosing(trigger.looks()) as looks:
                while self.clock.now < until:
                    waiting, _ = await anext(looks)
                    assert not waiting

        asyncio.run(watch())
        return Counter(call["operation"] for call in self.aws.asked()[before:])

    def uploads(self, seconds: float) -> Counter:
        trigger = UploadWatcherTrigger(bucket=self.bucket, keys=self.keys, aws_conn_id=None)
        trigger._busy_at = 0.0
        return self.calls(trigger, self.store, seconds)

    def others(self) -> Counter:
        """The calls of the reaper, the survey and the drift watcher."""
        stacks = [
            {"model": model, "environment": each, "bucket": self.bucket, "endpoint": f"{model}-{each}"}
            for model in self.models
            for each in ("development", "production")
        ]
        made = Counter()
        self.patch.setattr(orphans, "airflow_id", lambda: "here")
        for trigger in (
            OrphanWatcherTrigger(aws_conn_id=None),
            LiveWatcherTrigger(models=self.models, aws_conn_id=None),
            DriftWatcherTrigger(stacks=stacks, aws_conn_id=None),
        ):
            trigger.activity = Calm
            made += self.calls(trigger, MemoryStore())
        return made

    def receives(self) -> int:
        """How often a queue is asked in an hour; each long poll waits for twenty seconds."""
        asked, until = [], self.clock.now + HOUR

        async def receive(client, url):
            self.clock.now += 20.0
            if self.clock.now >= until:
                raise asyncio.CancelledError
            asked.append(url)
            return []

        self.patch.setattr(notification_queue, "receive_async", receive)
        queue = NotificationQueue(self.queue, self.bucket, None, asyncio.Event(), SimpleNamespace())
        queue.calm = True
        with suppress(asyncio.CancelledError):
            asyncio.run(queue.listen())
        return len(asked)

    @property
    def queue(self) -> str:
        return self.aws.client("sqs").create_queue(QueueName=self.bucket)["QueueUrl"].rpartition("/")[2]


@pytest.mark.parametrize("models", [1, 25])
def test_an_idle_hour_costs_the_same_for_one_model_and_for_many(local_aws, monkeypatch, models):
    lead_hooks_to(local_aws.endpoint_url, monkeypatch)
    hour = Hour(local_aws, models, monkeypatch)
    others, uploads = hour.others(), hour.uploads(HOUR / 60)
    # The endpoints of other tests are there too: a page of the list for each hundred, and their tags once.
    del others["ListTags"]
    # There is a look at both ends of the hour.
    assert others["ListTrainingJobs"] == 13
    assert set(others) <= {"ListTrainingJobs", "ListEndpoints"}
    assert uploads == {"ListObjectsV2": 11}
    assert others.total() + 60 * uploads.total() <= POLLED_MAX
    listed = 1 + HOUR / upload_watcher.CALM_POLL_BESIDE_QUEUE_SECONDS
    assert others.total() + listed + hour.receives() <= NOTIFIED_MAX
