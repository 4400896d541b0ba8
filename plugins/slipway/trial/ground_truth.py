"""Captured answers and the truth about them, in the two layouts that SageMaker Model Monitor merges.

https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-data-capture-endpoint.html
https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-model-quality-merge.html
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from slipway.aws.patience import patient
from slipway.aws.s3 import S3Store, bucket_and_key, uri
from slipway.errors import PermanentError
from slipway.quality.scoring import is_right


@dataclass(frozen=True)
class Hits:
    """Answers of one variant whose truth is known, and those that agree with it."""

    labelled: int = 0
    right: int = 0


def hour_folders(prefix: str, began: float, ended: float) -> list[str]:
    """List the folders of a span of time: both layouts have one for each hour, in UTC.

    :param prefix: what comes before the year
    :param began: seconds since the epoch
    :param ended: seconds since the epoch
    """
    hour = datetime.fromtimestamp(began, UTC).replace(minute=0, second=0, microsecond=0)
    last, folders = datetime.fromtimestamp(ended, UTC), []
    while hour <= last:
        folders.append(f"{prefix.rstrip('/')}/{hour:%Y/%m/%d/%H}/")
        hour += timedelta(hours=1)
    return folders


def truths(lines: Iterable[str], where: str) -> dict[str, str]:
    """Read ground truth.

    :param lines: JSON Lines
    :param where: the object's URI, for the message
    :returns: what was true, by event id
    :raises PermanentError: when a line is of another layout
    """
    return {event_id: text for event_id, text, _ in _records(lines, where, _truth)}


def answers(lines: Iterable[str], where: str, *, since: float) -> dict[str, str]:
    """Read captured answers.

    :param lines: JSON Lines
    :param where: the object's URI, for the message
    :param since: leaves out what was answered before, in seconds since the epoch
    :returns: what the model answered, by inference id where the caller gave one, else by event id
    :raises PermanentError: when a line is of another layout
    """
    return {event_id: text for event_id, text, at in _records(lines, where, _answer) if at is None or at >= since}


def compare(answered: Mapping[str, str], known: Mapping[str, str]) -> Hits:
    """Hold answers against the truth; a request of several rows counts row by row.

    :param answered: answers by event id
    :param known: what was true by event id
    """
    labelled = right = 0
    for event_id, answer in answered.items():
        if event_id not in known:
            continue
        rows, labels = answer.split(), known[event_id].split()
        if len(rows) != len(labels):
            # One row whose answer has blanks.
            rows, labels = [answer], [known[event_id]]
        labelled += len(labels)
        right += sum(is_right(label, row) for row, label in zip(rows, labels, strict=True))
    return Hits(labelled, right)


def _truth(record: Mapping[str, Any]) -> tuple[str, str, float | None]:
    return record["eventMetadata"]["eventId"], _text(record["groundTruthData"]), None


def _answer(record: Mapping[str, Any]) -> tuple[str, str, float | None]:
    about = record["eventMetadata"]
    at = datetime.fromisoformat(about["inferenceTime"]).timestamp() if "inferenceTime" in about else None
    return about.get("inferenceId") or about["eventId"], _text(record["captureData"]["endpointOutput"]), at


def _text(part: Mapping[str, Any]) -> str:
    # Content types that the capture was not told to take for CSV are kept in base64.
    data = part["data"]
    return (base64.b64decode(data).decode() if part.get("encoding") == "BASE64" else str(data)).strip()


def _records(lines: Iterable[str], where: str, read: Any) -> Iterator[tuple[str, str, float | None]]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            yield read(json.loads(line))
        except (ValueError, KeyError, TypeError) as error:
            raise PermanentError(
                "A record cannot be read",
                resource=f"{where} line {number}",
                why=repr(error),
                fix="write it in SageMaker Model Monitor's layout, or take it away; then clear this task",
            ) from error


# Beyond these a trial is judged by what was read: the first objects of each hour are as good a sample as all.
_MAX_OBJECTS = 2000


_MAX_BYTES = 64 * 2**20


class GroundTruth(S3Store):
    """Joins what variants answered with what was true."""

    @patient
    def hits(
        self, capture_uri: str, truth_uri: str, endpoint_name: str, variant: str, span: tuple[float, float]
    ) -> Hits:
        """Count the right answers of one variant.

        Captures lie below ``ENDPOINT/VARIANT/yyyy/mm/dd/hh`` of their destination, the truth below ``yyyy/mm/dd/hh`` of
        its prefix, by the hour in which it was found out.
        https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-data-capture-endpoint.html
        https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-model-quality-merge.html

        :param capture_uri: S3 URI of the endpoint's data capture
        :param truth_uri: S3 URI of the ground truth
        :param endpoint_name: the endpoint
        :param variant: the variant
        :param span: when the answers were given, in seconds since the epoch
        :raises PermanentError: when an object is of another layout
        :raises slipway.errors.AwsError: when a call fails
        """
        known: dict[str, str] = {}
        for where, lines in self._objects(truth_uri, span):
            known |= truths(lines, where)
        answered: dict[str, str] = {}
        if known:
            for where, lines in self._objects(f"{capture_uri.rstrip('/')}/{endpoint_name}/{variant}", span):
                answered |= answers(lines, where, since=span[0])
        return compare(answered, known)

    def _objects(self, prefix_uri: str, span: tuple[float, float]) -> Iterator[tuple[str, list[str]]]:
        bucket, prefix = bucket_and_key(prefix_uri)
        left = _MAX_OBJECTS
        for folder in hour_folders(prefix, *span):
            keys = [one.key for one in self.s3.objects(bucket, folder) if one.size_bytes]
            for key in keys[:left]:
                data = self.s3.read_version(bucket, key, max_bytes=_MAX_BYTES)
                yield uri(bucket, key), data.decode().splitlines()
            left -= len(keys[:left])
