"""The watcher of uploads and the wait for one object: which events they emit, and how they survive errors of AWS."""

import asyncio
import time
from datetime import UTC, datetime

import pytest
from botocore.exceptions import EndpointConnectionError

from slipway.source.intake import WatchedBucket, take_in
from slipway.source.uploads import STATE_KEY
from slipway.source.wait import ObjectExistsTrigger
from slipway.source.watcher import UploadWatcherTrigger
from slipway.waiting.results import WaitOutcome, WaitResult
from tests.unit.scripted_aws import AsyncHook, MemoryStore, Script, client_error
from tests.unit.source.bucket import AsyncBucket, Bucket

IRIS = "training_jobs/iris-model/trainingjob.zip"


def watch(client, store):
    trigger = UploadWatcherTrigger(bucket="uploads", keys=[IRIS], aws_conn_id=None, poll_seconds=0.001)
    trigger.asset_state_store = store
    hook = AsyncHook(client)
    trigger.hook = lambda: hook

    async def events():
        stream = trigger.run()
        event = await anext(stream)
        await stream.aclose()
        return [event.payload]

    return asyncio.run(events()), hook


def stored(bucket: Bucket) -> MemoryStore:
    """The state of a bucket whose uploads all have their runs."""
    store = MemoryStore()
    take_in(WatchedBucket("uploads", None, {IRIS: "iris-model"}), store, bucket, lambda *_: True)
    bucket.calls.clear()
    return store


class Later(AsyncBucket):
    """Something happens after some listings."""

    def __init__(self, bucket, after, happens) -> None:
        super().__init__(bucket)
        self.after, self.happens = after, happens

    def get_paginator(self, operation):
        self.after -= 1
        if self.after < 0:
            self.happens()
        return super().get_paginator(operation)


@pytest.mark.parametrize(
    "trigger",
    [
        UploadWatcherTrigger(bucket="b-{region}", keys=["z", "a"], aws_conn_id="c", poll_seconds=2.0),
        ObjectExistsTrigger(bucket="b", key="k", deadline=5.0, aws_conn_id=None, poll_seconds=1.0),
    ],
)
def test_serialization_round_trip(trigger):
    path, arguments = trigger.serialize()
    assert path == f"{type(trigger).__module__}.{type(trigger).__name__}"
    assert type(trigger)(**arguments).serialize() == (path, arguments)


def test_the_order_of_the_models_does_not_change_the_watcher():
    one, other = (UploadWatcherTrigger(bucket="b", keys=keys) for keys in (["a", "b"], ["b", "a"]))
    assert UploadWatcherTrigger.hash(*one.serialize()) == UploadWatcherTrigger.hash(*other.serialize())


def test_an_event_for_what_is_not_stored_and_one_listing_for_all_models():
    bucket = Bucket()
    bucket.put(IRIS)
    store = stored(bucket)
    events, hook = watch(Later(bucket, 2, lambda: bucket.put(IRIS, second=60)), store)
    assert events == [{"bucket": "uploads", "waiting": 1}]
    assert bucket.calls == [("list_objects_v2", "training_jobs/")] * 3
    assert hook.connections == 1


def test_an_event_before_the_first_intake_even_when_nothing_was_uploaded():
    events, _ = watch(AsyncBucket(Bucket()), MemoryStore())
    assert events == [{"bucket": "uploads", "waiting": 0}]


@pytest.mark.parametrize("state", ["x", {"done": "x"}, {"keys": "x"}])
def test_an_event_for_a_state_that_cannot_be_read_so_that_the_intake_fails(state):
    events, hook = watch(AsyncBucket(Bucket()), MemoryStore(**{STATE_KEY: state}))
    assert (events, hook.connections) == ([{"bucket": "uploads", "waiting": 0}], 1)


@pytest.mark.parametrize(
    "error", [client_error("ExpiredToken"), client_error("NoSuchBucket", status=404), OSError("no network")]
)
def test_no_error_ends_the_watch_and_each_makes_a_new_client(error):
    bucket = Bucket()
    store = stored(bucket)
    bucket.put(IRIS)
    events, hook = watch(AsyncBucket(bucket, error, error), store)
    assert events == [{"bucket": "uploads", "waiting": 1}]
    assert hook.connections == 3


class ObjectClient:
    def __init__(self, *answers) -> None:
        self.look = Script(*answers)

    async def list_objects_v2(self, **arguments):
        return self.look(**arguments)


def wait_for_object(*answers, deadline_seconds=60.0, refusals=()):
    trigger = ObjectExistsTrigger(
        bucket="b", key="k", deadline=time.time() + deadline_seconds, aws_conn_id=None, poll_seconds=0.001
    )
    hook = AsyncHook(ObjectClient(*answers), *refusals)
    trigger.hook = lambda hook_class: hook

    async def events():
        return [event async for event in trigger.run()]

    (event,) = asyncio.run(events())
    return WaitResult.from_event(event.payload), hook


MISSING = {}
THERE = {"Contents": [{"Key": "k", "ETag": "e", "LastModified": datetime(2026, 5, 1, tzinfo=UTC)}]}


def test_the_wait_ends_when_the_object_is_there():
    result, hook = wait_for_object(MISSING, MISSING, THERE)
    assert result.outcome is WaitOutcome.REACHED
    assert (len(hook.client.look.calls), hook.connections) == (3, 1)


def test_the_wait_ends_at_the_deadline():
    result, _ = wait_for_object(MISSING, deadline_seconds=-1.0)
    assert result == WaitResult(WaitOutcome.TIMEOUT, reason="s3://b/k was not uploaded")


def test_the_wait_goes_on_after_a_transient_error():
    result, hook = wait_for_object(client_error("SlowDown", status=503), client_error("ExpiredToken"), THERE)
    assert (result.outcome, hook.connections) == (WaitOutcome.REACHED, 2)


def test_the_wait_goes_on_when_the_credentials_of_a_role_cannot_be_had():
    result, hook = wait_for_object(THERE, refusals=[EndpointConnectionError(endpoint_url="https://sts")])
    assert (result.outcome, hook.connections) == (WaitOutcome.REACHED, 2)


def test_the_wait_ends_when_aws_refuses():
    result, _ = wait_for_object(client_error("AccessDenied", status=403))
    assert result.outcome is WaitOutcome.REFUSED


def test_the_wait_ends_at_the_deadline_also_during_an_error():
    result, _ = wait_for_object(client_error("SlowDown", status=503), deadline_seconds=-1.0)
    assert result.outcome is WaitOutcome.TIMEOUT
