"""S3's event notifications of uploads: which versions they name, and when they are handled."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any
from urllib.parse import unquote_plus

from slipway.source.uploads import IntakeState, VersionKey, is_request

# https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-how-to-event-types-and-destinations.html
_CREATED = "ObjectCreated:"


def versions_named(body: str, bucket: str) -> frozenset[VersionKey] | None:
    """Read the versions from an event notification.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html

    :param body: the message's text, which anybody may have written
    :param bucket: the bucket that is watched
    :returns: the created object versions of the bucket; None if the text is no notification about the bucket
    """
    try:
        records = json.loads(body)["Records"]
        versions = [_version(record) for record in records if record["s3"]["bucket"]["name"] == bucket]
    except (ValueError, KeyError, TypeError):
        return None
    return frozenset(version for version in versions if version) if versions else None


def is_handled(
    versions: Collection[VersionKey],
    intake: IntakeState | None,
    listed: Collection[VersionKey],
    known_keys: Collection[str],
) -> bool:
    """Tell whether a notification can be deleted: each of its versions has a run, or needs none.

    :param versions: the versions that it names
    :param intake: what is committed; None before the first intake
    :param listed: what S3 lists now
    :param known_keys: source keys of the models
    """
    return all(
        not is_request(version[0], known_keys)
        or (intake is not None and (version in intake.done or version not in listed))
        for version in versions
    )


def _version(record: dict[str, Any]) -> VersionKey | None:
    if not str(record["eventName"]).startswith(_CREATED):
        return None
    described = record["s3"]["object"]
    return (unquote_plus(str(described["key"])), str(described["versionId"]))
