"""S3's event notifications: which uploads they name, and when they are handled."""

import json

import pytest

from slipway.source.event_notifications import is_handled, versions_named
from slipway.source.uploads import IntakeState
from slipway.source.versions import ObjectVersion

IRIS = "training_jobs/iris-model/trainingjob.zip"
UPLOAD = (IRIS, "v1")
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
        notification(UPLOAD).replace("versionId", "nothing"),
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
        (set(), None, set(), True),
    ],
)
def test_a_notification_is_handled_when_each_of_its_uploads_has_a_run_or_needs_none(versions, intake, listed, handled):
    assert is_handled(versions, intake, listed, {IRIS}) is handled
