"""S3's event notifications: which uploads they name, and when they are handled."""

import json

import pytest

from slipway.source.event_notifications import is_handled, versions_named
from slipway.source.uploads import IntakeState
from slipway.source.versions import ObjectVersion

IRIS = "training_jobs/iris-model/trainingjob.zip"
UPLOAD = (IRIS, "v1")
NO_MODEL = ("training_jobs/no-model/trainingjob.zip", "v1")
WAITS = IntakeState(announced=frozenset({NO_MODEL}))
DONE = IntakeState().with_done(ObjectVersion("2026-05-01T12:00:00+00:00", 0, IRIS, "v1"))


def notification(*versions, event="ObjectCreated:Put", bucket="uploads") -> str:
    return json.dumps(
        {
            "Records": [
                {"eventName": event, "s3": {"bucket": {"name": bucket}, "object": {"key": key, "versionId": version}}}
                for key, version in versions
            ]
        }
    )


def test_every_version_of_the_bucket_is_named():
    assert versions_named(notification(UPLOAD, (IRIS, "v2")), "uploads") == {UPLOAD, (IRIS, "v2")}


def eventbridge(key=IRIS, version="v1", *, kind="Object Created", bucket="uploads") -> str:
    """An event as on https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html."""
    described = {"key": key, "size": 5, "etag": "x", "version-id": version, "sequencer": "617f08299329d189"}
    detail = {"version": "0", "bucket": {"name": bucket}, "object": described, "reason": "PutObject"}
    return json.dumps({"version": "0", "detail-type": kind, "source": "aws.s3", "detail": detail})


def topic(message: str) -> str:
    """A message in the envelope that SNS adds unless its subscription asks for raw delivery."""
    return json.dumps({"Type": "Notification", "TopicArn": "arn:aws:sns:us-west-2:123456789012:t", "Message": message})


@pytest.mark.parametrize(
    "body", [notification(UPLOAD), eventbridge(), topic(notification(UPLOAD)), topic(eventbridge())]
)
def test_every_way_from_s3_to_the_queue_is_read(body):
    assert versions_named(body, "uploads") == {UPLOAD}
    assert versions_named(body, "another") is None


def test_an_event_of_eventbridge_names_its_key_as_it_is():
    assert versions_named(eventbridge("a+b%2Bc/ä"), "uploads") == {("a+b%2Bc/ä", "v1")}
    assert versions_named(eventbridge(kind="Object Deleted"), "uploads") == frozenset()


@pytest.mark.parametrize("body", [notification((IRIS, None)), eventbridge(version=None)])
def test_a_bucket_without_versioning_has_versions_of_one_name(body):
    assert versions_named(body, "uploads") == {(IRIS, "null")}


def test_what_s3_sends_when_notifications_are_set_up_names_nothing():
    sent = '{"Service":"Amazon S3","Event":"s3:TestEvent","Time":"2014-10-13T15:57:02.089Z","Bucket":"uploads"}'
    assert versions_named(sent, "uploads") == frozenset()
    assert versions_named(sent, "another") is None


def test_keys_are_url_encoded():
    assert versions_named(notification(("a+b%2Bc/%C3%A4", "v1")), "uploads") == {("a b+c/ä", "v1")}


def test_a_deletion_names_nothing():
    assert versions_named(notification(UPLOAD, event="ObjectRemoved:DeleteMarkerCreated"), "uploads") == frozenset()


@pytest.mark.parametrize(
    "body",
    [
        "",
        "hello",
        "[]",
        "null",
        '{"Service":"Amazon S3","Event":"s3:TestEvent"}',
        '{"Records": []}',
        '{"Records": [1]}',
        '{"Records": 5}',
        '{"Records": ["s3"]}',
        '{"source": "aws.s3", "detail": []}',
        '{"Type": "Notification"}',
        '{"Type": "Notification", "Message": 5}',
        '{"Type": "SubscriptionConfirmation", "Message": "You have chosen to subscribe"}',
        topic(topic(topic(topic(topic(notification(UPLOAD)))))),
        "[" * 100_000,
        '"source"',
        notification(UPLOAD, bucket="another"),
    ],
)
def test_anything_else_is_no_notification(body):
    assert versions_named(body, "uploads") is None


@pytest.mark.parametrize(
    ("versions", "intake", "listed", "handled"),
    [
        ({UPLOAD}, None, {UPLOAD}, False),  # before the first intake
        ({UPLOAD}, IntakeState(), {UPLOAD}, False),  # not committed yet
        ({UPLOAD}, DONE, {UPLOAD}, True),
        ({UPLOAD, (IRIS, "v2")}, DONE, {UPLOAD, (IRIS, "v2")}, False),  # one of two
        ({UPLOAD}, IntakeState(), set(), True),  # deleted before it had a run
        ({("data.csv", "v1")}, None, set(), True),  # never released
        ({NO_MODEL}, IntakeState(), {NO_MODEL}, False),  # the intake has not said yet that it waits
        ({NO_MODEL}, WAITS, {NO_MODEL}, True),  # waits for its model, and the intake knows it
        ({UPLOAD}, IntakeState(announced=frozenset({UPLOAD})), {UPLOAD}, False),  # its model has just appeared
        (set(), None, set(), True),
    ],
)
def test_a_notification_is_handled_when_each_of_its_uploads_has_a_run_or_needs_none(versions, intake, listed, handled):
    assert is_handled(versions, intake, listed, {IRIS}) is handled
