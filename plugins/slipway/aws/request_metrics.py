"""Counts the requests to AWS, by an event that botocore and aiobotocore emit for each answer, repeated ones too."""

from __future__ import annotations

from typing import Any

from slipway.aws.translation import THROTTLING_CODES
from slipway.metrics.catalogue import AWS_REQUESTS
from slipway.metrics.record import enabled, record

# Emitted as response-received.SERVICE.OPERATION; its handlers may change nothing.
# https://docs.aws.amazon.com/boto3/latest/guide/events.html
_EVENT = "response-received"


def count_requests(session: Any) -> None:
    """Have the requests of a session's clients counted, where metrics are on.

    :param session: of botocore or aiobotocore, before it has made a client
    """
    if enabled():
        session.register(_EVENT, _count, unique_id="slipway-request-metrics")


def _count(
    event_name: str, parsed_response: dict[str, Any] | None = None, exception: Exception | None = None, **_: Any
) -> None:
    service, operation = event_name.split(".")[1:]
    code = type(exception).__name__ if exception else _error_code(parsed_response or {})
    outcome = "throttled" if code in THROTTLING_CODES else "error" if code else "ok"
    record(AWS_REQUESTS, 1, service=service, operation=operation, outcome=outcome, code=code)


def _error_code(answer: dict[str, Any]) -> str:
    """Return the code of an answer that is an error; empty for a good one. A HEAD request's error is a status."""
    status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 200)
    return str(answer.get("Error", {}).get("Code", status)) if status >= 400 else ""
