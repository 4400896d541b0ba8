"""Captured answers and their ground truth, in the two layouts that SageMaker Model Monitor merges.

https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-data-capture-endpoint.html
https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-model-quality-merge.html
"""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from slipway.aws.patience import patient
from slipway.aws.s3 import S3Store, bucket_and_key, uri
from slipway.errors import PermanentError
from slipway.load.answers import Answers, is_right, predictions
from slipway.load.errors import UnreadableRows
from slipway.load.objects import is_data, text_lines


@dataclass(frozen=True)
class Hits:
    """How many answers of a variant have ground truth, and how many agree with it."""

    labelled: int = 0
    right: int = 0


@dataclass(frozen=True)
class Captured:
    """The body of an answer, and its content type: the one that the caller's Accept asked for."""

    body: str
    content_type: str = ""


def hour_folders(prefix: str, began: float, ended: float) -> list[str]:
    """List the folders of a span of time: in both layouts one for each hour, in UTC.

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
    :param where: the object's URI, for the error
    :returns: the truth, by event id
    :raises PermanentError: when a line has another layout
    """
    return {event_id: text for event_id, text, _ in _records(lines, where, _truth)}


def captured(lines: Iterable[str], where: str, *, since: float) -> dict[str, Captured]:
    """Read captured answers.

    :param lines: JSON Lines
    :param where: the object's URI, for the error
    :param since: ignore answers before this time, in seconds since the epoch
    :returns: the answers, by inference id where the caller gave one, otherwise by event id
    :raises PermanentError: when a line has another layout
    """
    return {event_id: one for event_id, one, at in _records(lines, where, _answer) if at is None or at >= since}


def compare(answered: Mapping[str, Captured], known: Mapping[str, str], answers: Answers = Answers.UNKNOWN) -> Hits:
    """Compare answers with the truth; each row of a request counts.

    :param answered: answers by event id
    :param known: truth by event id
    :param answers: what the model answers
    """
    labelled = right = 0
    for event_id, answer in answered.items():
        if event_id not in known:
            continue
        truth = known[event_id]
        rows = predictions(answer.body, answer.content_type, answers)
        labels = truth.split() if answers is Answers.UNKNOWN else re.split(r"[\s,]+", truth)
        if len(rows) != len(labels):
            # It is one row, and its answer contains blanks.
            rows, labels = [answer.body], [truth]
        labelled += len(labels)
        right += sum(is_right(label, row, answers) for row, label in zip(rows, labels, strict=True))
    return Hits(labelled, right)


def _truth(record: Mapping[str, Any]) -> tuple[str, str, float | None]:
    return _id(record["eventMetadata"]["eventId"]), _text(record["groundTruthData"]), None


def _answer(record: Mapping[str, Any]) -> tuple[str, Captured, float | None]:
    about = record["eventMetadata"]
    at = datetime.fromisoformat(about["inferenceTime"]).timestamp() if "inferenceTime" in about else None
    output = record["captureData"]["endpointOutput"]
    answer = Captured(_text(output), str(output.get("observedContentType") or ""))
    return _id(about.get("inferenceId") or about["eventId"]), answer, at


def _id(value: Any) -> str:
    if not isinstance(value, str | int):
        raise TypeError(f"an id is {value!r}, expected text")
    return str(value)


def _text(part: Mapping[str, Any]) -> str:
    # Data capture keeps content types that are not configured as CSV or JSON in base64.
    data = part["data"]
    return (base64.b64decode(data).decode("utf-8-sig") if part.get("encoding") == "BASE64" else str(data)).strip()


def _records(lines: Iterable[str], where: str, read: Any) -> Iterator[tuple[str, Any, float | None]]:
    for number, line in enumerate(lines, 1):
        try:
            yield read(json.loads(line))
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise PermanentError(
                "Cannot read a record",
                resource=f"{where} record {number}",
                why=repr(error),
                fix="write it in SageMaker Model Monitor's layout, or remove it; then clear this task",
            ) from error


# A trial is judged by at most so many objects of each kind; its first ones are a good sample.
_MAX_OBJECTS = 2000
_MAX_BYTES = 64 * 2**20


class GroundTruth(S3Store):
    """Captured answers of variants, joined with their ground truth."""

    @patient
    def hits(
        self,
        capture_uri: str,
        truth_uri: str,
        endpoint_name: str,
        span: tuple[float, float],
        answers: Mapping[str, Answers],
    ) -> dict[str, Hits]:
        """Count the correct answers of some variants.

        Captures are below ``ENDPOINT/VARIANT/yyyy/mm/dd/hh`` of their destination, the truth is below
        ``yyyy/mm/dd/hh`` of its prefix, by the hour in which it became known.
        https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-data-capture-endpoint.html
        https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-model-quality-merge.html

        :param capture_uri: S3 URI of the endpoint's data capture
        :param truth_uri: S3 URI of the ground truth
        :param endpoint_name: the endpoint
        :param span: when the answers were given, in seconds since the epoch
        :param answers: what each variant answers
        :returns: by variant
        :raises PermanentError: when an object has another layout
        :raises slipway.errors.AwsError: when a call fails
        """
        known: dict[str, str] = {}
        for where, lines in self._objects(truth_uri, span):
            known |= truths(lines, where)
        return {
            variant: compare(self._captured(f"{capture_uri.rstrip('/')}/{endpoint_name}/{variant}", span), known, kind)
            if known
            else Hits()
            for variant, kind in answers.items()
        }

    def _captured(self, prefix_uri: str, span: tuple[float, float]) -> dict[str, Captured]:
        answered: dict[str, Captured] = {}
        for where, lines in self._objects(prefix_uri, span):
            answered |= captured(lines, where, since=span[0])
        return answered

    def _objects(self, prefix_uri: str, span: tuple[float, float]) -> Iterator[tuple[str, list[str]]]:
        bucket, prefix = bucket_and_key(prefix_uri)
        for key in islice(self._keys(bucket, prefix, span), _MAX_OBJECTS):
            try:
                data = self.s3.read_version(bucket, key, max_bytes=_MAX_BYTES)
            except PermanentError:
                if self.s3.exists(bucket, key):
                    raise
                # A job that writes the truth again removes what it wrote before.
                continue
            yield uri(bucket, key), _lines(data, uri(bucket, key))

    def _keys(self, bucket: str, prefix: str, span: tuple[float, float]) -> Iterator[str]:
        """List what is in the folders of the span's hours, by a call for each thousand objects and not for each hour.

        The order of the keys is that of the hours.
        """
        folders = hour_folders(prefix, span[0], max(span))
        first, last, hours = folders[0], folders[-1], frozenset(folders)
        after, more = first, True
        while more:
            objects, more = self.s3.page(bucket, f"{prefix.rstrip('/')}/", after)
            for one in objects:
                after, folder = one.key, one.key[: len(first)]
                if folder > last:
                    return
                if folder in hours and one.size_bytes and is_data(one.key[len(folder) :]):
                    yield one.key


def _lines(data: bytes, where: str) -> list[str]:
    try:
        return list(text_lines(io.BytesIO(data), where))
    except UnreadableRows as error:
        raise PermanentError(
            "Cannot read the object",
            resource=where,
            why=error.why,
            fix="write JSON Lines in UTF-8, or remove it; then clear this task",
        ) from error
