"""S3's event notifications through a real queue: they shorten the wait; losing or forging them changes nothing."""

import asyncio
import json
import random
import time
from contextlib import suppress

import pytest

from slipway.aws import sqs
from slipway.source.intake import WatchedBucket, take_in
from slipway.source.versions import S3Versions
from slipway.source.watcher import UploadWatcherTrigger
from slipway.waiting import pacing
from tests.local_aws.hooks import lead_hooks_to
from tests.unit.scripted_aws import MemoryStore

pytestmark = pytest.mark.local_aws

KEY = "training_jobs/iris-model/trainingjob.zip"
# Longer than any test waits: an upload that is noticed earlier was noticed by the queue.
NEVER_SECONDS = 600.0
PATIENCE_SECONDS = 120.0
# For ten thousand notifications beside other work.
STORY_SECONDS = 900.0
# An intake that is killed starts again with all that is open, so without a limit a slow machine would see no end.
KILLS = 20


class Uploads:
    """A bucket whose event notifications go to a queue, and the intake of its uploads."""

    def __init__(self, aws, name: str) -> None:
        self.name, self.s3, self.sqs = name, aws.client("s3"), aws.client("sqs")
        self.s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
        self.s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        self.url = self.sqs.create_queue(QueueName=name, Attributes={"VisibilityTimeout": "2"})["QueueUrl"]
        arn = f"arn:aws:sqs:us-west-2:123456789012:{name}"
        allow = {"Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"}, "Action": "sqs:SendMessage"}
        policy = {"Version": "2012-10-17", "Statement": [{**allow, "Resource": arn}]}
        self.sqs.set_queue_attributes(QueueUrl=self.url, Attributes={"Policy": json.dumps(policy)})
        notify = {"QueueConfigurations": [{"QueueArn": arn, "Events": ["s3:ObjectCreated:*"]}]}
        self.s3.put_bucket_notification_configuration(Bucket=name, NotificationConfiguration=notify)
        self.store, self.runs = MemoryStore(), {}
        self.take_in()

    def upload(self) -> str:
        return self.s3.put_object(Bucket=self.name, Key=KEY, Body=b"1")["VersionId"]

    def start(self, dag_id, run_id, conf, note) -> bool:
        self.runs.setdefault(run_id, conf["version_id"])
        return True

    def notify(self, versions: list[str], chance: random.Random) -> None:
        """Send notifications as S3 writes them, several in a message; some messages are lost."""
        records = [
            {
                "eventName": "ObjectCreated:Put",
                "s3": {"bucket": {"name": self.name}, "object": {"key": KEY, "versionId": version}},
            }
            for version in versions
        ]
        bodies = [json.dumps({"Records": records[at : at + 10]}) for at in range(0, len(records), 10)]
        sent = [body for body in bodies if chance.random() < 0.95]
        for at in range(0, len(sent), 10):
            entries = [{"Id": str(number), "MessageBody": body} for number, body in enumerate(sent[at : at + 10])]
            self.sqs.send_message_batch(QueueUrl=self.url, Entries=entries)

    def take_in(self, start=None) -> None:
        start = start or self.start
        take_in(WatchedBucket(self.name, None, {KEY: "iris-model"}), self.store, S3Versions(aws_conn_id=None), start)

    def left(self) -> int:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        counts = self.sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=names)["Attributes"]
        return sum(map(int, counts.values()))

    def watch(self, queue: str | None = None, poll_seconds: float = NEVER_SECONDS) -> UploadWatcherTrigger:
        trigger = UploadWatcherTrigger(
            bucket=self.name, keys=[KEY], queues=[queue or self.name], aws_conn_id=None, poll_seconds=poll_seconds
        )
        trigger.asset_state_store = self.store
        return trigger


@pytest.fixture
def uploads(local_aws, monkeypatch, request):
    lead_hooks_to(local_aws.endpoint_url, monkeypatch)
    monkeypatch.setattr(sqs, "WAIT_SECONDS", 1)
    return Uploads(local_aws, f"uploads-{abs(hash(request.node.name)) % 10**9}")


async def first_event(trigger, then):
    """Watch until the first event, and do something meanwhile; return its payload and the stream."""
    stream = trigger.run()
    watching = asyncio.create_task(anext(stream))
    await asyncio.sleep(0)
    await asyncio.to_thread(then)
    event = await asyncio.wait_for(watching, PATIENCE_SECONDS)
    return event.payload, stream


async def until(condition):
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not await asyncio.to_thread(condition):
        assert time.monotonic() < deadline, "never came"
        await asyncio.sleep(0.1)


def test_an_upload_emits_an_event_at_once_and_its_notification_is_deleted_when_its_run_exists(local_aws, uploads):
    async def story():
        trigger = uploads.watch()
        listening = len(local_aws.ledger(operation="ReceiveMessage"))

        def upload_once_it_listens():
            deadline = time.monotonic() + PATIENCE_SECONDS
            while len(local_aws.ledger(operation="ReceiveMessage")) == listening and time.monotonic() < deadline:
                time.sleep(0.1)
            uploads.upload()

        payload, stream = await first_event(trigger, upload_once_it_listens)
        assert payload == {"bucket": uploads.name, "waiting": 1}
        # There is an event but no run yet: a watcher that is killed now loses nothing.
        assert uploads.left() >= 1
        assert uploads.runs == {}
        await stream.aclose()
        await asyncio.to_thread(uploads.take_in)
        # The next watcher receives the notification again, sees the run, and deletes the notification.
        watching = asyncio.create_task(anext(uploads.watch(poll_seconds=0.2).run()))
        await until(lambda: uploads.left() == 0)
        watching.cancel()
        assert len(uploads.runs) == 1

    asyncio.run(story())


def test_without_one_message_arriving_no_upload_is_missed(uploads):
    uploads.sqs.purge_queue(QueueUrl=uploads.url)
    uploads.s3.put_bucket_notification_configuration(Bucket=uploads.name, NotificationConfiguration={})

    async def story():
        payload, stream = await first_event(uploads.watch(poll_seconds=0.2), uploads.upload)
        await stream.aclose()
        return payload

    assert asyncio.run(story()) == {"bucket": uploads.name, "waiting": 1}


def test_a_queue_that_does_not_exist_changes_nothing(uploads):
    async def story():
        payload, stream = await first_event(uploads.watch(queue="nothing", poll_seconds=0.2), uploads.upload)
        await stream.aclose()
        return payload

    assert asyncio.run(story()) == {"bucket": uploads.name, "waiting": 1}


def test_garbage_is_logged_once_and_left_to_the_dead_letter_queue(uploads, capfd):
    """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-dead-letter-queues.html"""
    dead = uploads.sqs.create_queue(QueueName=f"{uploads.name}-dead")["QueueUrl"]
    redrive = {
        "deadLetterTargetArn": f"arn:aws:sqs:us-west-2:123456789012:{uploads.name}-dead",
        "maxReceiveCount": 2,
    }
    attributes = {"RedrivePolicy": json.dumps(redrive), "VisibilityTimeout": "0"}
    uploads.sqs.set_queue_attributes(QueueUrl=uploads.url, Attributes=attributes)
    uploads.sqs.purge_queue(QueueUrl=uploads.url)
    bodies = {"garbage", '{"Records": [{"s3": null}]}'}
    for body in bodies:
        uploads.sqs.send_message(QueueUrl=uploads.url, MessageBody=body)

    async def story():
        watching = asyncio.create_task(anext(uploads.watch(poll_seconds=0.2).run()))
        await until(lambda: uploads.left() == 0)
        watching.cancel()

    asyncio.run(story())
    received = uploads.sqs.receive_message(QueueUrl=dead, MaxNumberOfMessages=10)["Messages"]
    assert {message["Body"] for message in received} == bodies
    said = [line for line in capfd.readouterr().out.splitlines() if "no event notification" in line]
    assert len([line for line in said if "'garbage'" in line]) == 1
    assert uploads.runs == {}


def test_an_upload_without_a_model_does_not_stay_in_the_queue(uploads):
    uploads.s3.put_object(Bucket=uploads.name, Key="training_jobs/no-model/trainingjob.zip", Body=b"1")

    async def story():
        # Before it, the watcher would emit an event, and go on only when somebody asks for the next one.
        await asyncio.to_thread(uploads.take_in)
        watching = asyncio.create_task(anext(uploads.watch(poll_seconds=0.2).run()))
        await until(lambda: uploads.left() == 0)
        watching.cancel()

    asyncio.run(story())
    assert uploads.runs == {}


def test_an_event_of_eventbridge_through_a_topic_emits_an_event_at_once(uploads):
    uploads.sqs.purge_queue(QueueUrl=uploads.url)
    uploads.s3.put_bucket_notification_configuration(Bucket=uploads.name, NotificationConfiguration={})

    def upload():
        described = {"key": KEY, "version-id": uploads.upload()}
        detail = {"bucket": {"name": uploads.name}, "object": described}
        event = {"source": "aws.s3", "detail-type": "Object Created", "detail": detail}
        time.sleep(2)
        message = json.dumps({"Type": "Notification", "Message": json.dumps(event)})
        uploads.sqs.send_message(QueueUrl=uploads.url, MessageBody=message)

    async def story():
        payload, stream = await first_event(uploads.watch(), upload)
        await stream.aclose()
        await asyncio.to_thread(uploads.take_in)
        watching = asyncio.create_task(anext(uploads.watch(poll_seconds=0.2).run()))
        await until(lambda: uploads.left() == 0)
        watching.cancel()
        return payload

    assert asyncio.run(story()) == {"bucket": uploads.name, "waiting": 1}
    assert len(uploads.runs) == 1


def _lists(local_aws) -> list[dict]:
    return [line for name in ("ListObjectsV2", "ListObjectVersions") for line in local_aws.ledger(operation=name)]


@pytest.mark.rare
def test_ten_thousand_shuffled_notifications_of_two_hundred_versions_start_two_hundred_releases(
    local_aws, uploads, monkeypatch
):
    """The watcher with its queue and the intake, without Airflow.

    Events are lost, watchers and intakes are killed anywhere, notifications come often, late, together or never.
    """
    chance = random.Random(7)
    monkeypatch.setattr(pacing, "EMIT_AGAIN_SECONDS", 0.3)
    uploads.s3.put_bucket_notification_configuration(Bucket=uploads.name, NotificationConfiguration={})
    uploads.sqs.purge_queue(QueueUrl=uploads.url)
    lists_before = len(_lists(local_aws))
    starts: list[str] = []
    kills: list[str] = []

    def start(dag_id, run_id, conf, note):
        starts.append(run_id)
        uploads.runs.setdefault(run_id, conf["version_id"])
        if len(kills) < KILLS and chance.random() < 0.02:
            # Killed when the run exists and nothing of it is committed.
            kills.append(run_id)
            raise KeyboardInterrupt
        return True

    def take_in_or_die():
        with suppress(KeyboardInterrupt):
            uploads.take_in(start)

    async def watch_for_a_while(events: int) -> None:
        stream = uploads.watch(poll_seconds=0.2).run()
        for _ in range(events):
            try:
                await asyncio.wait_for(anext(stream), 5)
            except TimeoutError:
                return
            if chance.random() < 0.7:
                await asyncio.to_thread(take_in_or_die)
        await stream.aclose()

    async def story():
        versions: list[str] = []
        for _ in range(2):
            versions += await asyncio.to_thread(lambda: [uploads.upload() for _ in range(100)])
            await asyncio.to_thread(uploads.notify, chance.choices(versions, k=5000), chance)
            for _ in range(3):
                await watch_for_a_while(events=chance.randint(1, 4))
        while uploads.left() or len(uploads.runs) < 200:
            await watch_for_a_while(events=5)
        return versions

    versions = asyncio.run(asyncio.wait_for(story(), STORY_SECONDS))
    assert sorted(uploads.runs.values()) == sorted(versions)
    assert len(set(versions)) == len(uploads.runs) == 200
    # Intakes died, so that some runs were asked for twice; their id made it one.
    assert len(starts) > 200
    assert len(_lists(local_aws)) - lists_before < 500, "not one listing for each notification"
