"""S3's event notifications of uploads: which versions they name."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote_plus

from slipway.aws.s3 import UNVERSIONED
from slipway.source.uploads import VersionKey

# https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-how-to-event-types-and-destinations.html
_CREATED = "ObjectCreated:"
_CREATED_BY_EVENTBRIDGE = "Object Created"
# A notification may come through EventBridge, then through a topic.
_ENVELOPES_MAX = 3


def versions_named(body: str, bucket: str) -> frozenset[VersionKey] | None:
    """Read the versions from a notification: S3's own or EventBridge's, as it is or in SNS's envelope.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html
    https://docs.aws.amazon.com/sns/latest/dg/sns-large-payload-raw-message-delivery.html

    :param body: the message's text, which anybody may have written
    :param bucket: the bucket that is watched
    :returns: the created object versions of the bucket; None if the text is no notification about the bucket
    """
    try:
        events = [version for name, version in _events(body, _ENVELOPES_MAX) if name == bucket]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return frozenset(version for version in events if version) if events else None


def _events(body: str, envelopes: int) -> list[tuple[str, VersionKey | None]]:
    """Return the bucket of each event, and the version that it created; None for any other event."""
    message = json.loads(body)
    if not isinstance(message, dict):
        raise ValueError("no notification of S3")
    if "Records" in message:
        return [(str(record["s3"]["bucket"]["name"]), _version(record)) for record in message["Records"]]
    if message.get("source") == "aws.s3":
        return [(str(message["detail"]["bucket"]["name"]), _version_of_eventbridge(message))]
    if message.get("Event") == "s3:TestEvent":
        # S3 sends it when notifications are set up.
        # https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
        return [(str(message["Bucket"]), None)]
    if message["Type"] == "Notification" and envelopes:
        return _events(message["Message"], envelopes - 1)
    raise ValueError("no notification of S3")


def _version(record: dict[str, Any]) -> VersionKey | None:
    if not str(record["eventName"]).startswith(_CREATED):
        return None
    described = record["s3"]["object"]
    return (unquote_plus(str(described["key"])), _version_id(described.get("versionId")))


def _version_of_eventbridge(event: dict[str, Any]) -> VersionKey | None:
    """Read an event of EventBridge, whose keys are not URL-encoded."""
    if event["detail-type"] != _CREATED_BY_EVENTBRIDGE:
        return None
    described = event["detail"]["object"]
    return (str(described["key"]), _version_id(described.get("version-id")))


def _version_id(given: Any) -> str:
    # A bucket without versioning has no id in its events.
    return UNVERSIONED if given is None else str(given)
