"""S3's event notifications: which uploads they name, and when they are handled."""

import json

import pytest

from slipway.source.event_notifications import versions_named

IRIS = "training_jobs/iris-model/trainingjob.zip"
UPLOAD = (IRIS, "v1")


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
