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
