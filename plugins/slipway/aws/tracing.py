"""A span for each call to AWS, below the span of the task or trigger that makes it; only while Airflow traces.

https://opentelemetry.io/docs/specs/semconv/cloud-providers/aws-sdk/
"""

from __future__ import annotations

from typing import Any

from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode

_tracer = trace.get_tracer("slipway.aws")
# Where the call's own context keeps its span from one event to the next, as botocore's monitoring keeps its event.
_SPAN = "slipway_span"
_REQUEST_IDS = ("x-amzn-requestid", "x-amzn-request-id", "x-amz-request-id")


def watch(session: Any) -> None:
    """Have every client that a session makes from now on open a span for each call.

    A call is one operation, with all its retries. Its parameters and its answer may hold secrets and are not looked at.
    https://docs.aws.amazon.com/boto3/latest/guide/events.html

    :param session: botocore's or aiobotocore's; one that is watched already stays so
    """
    for event, handler in (("before-call", _begin), ("after-call", _end), ("after-call-error", _fail)):
        session.register(event, handler, unique_id=f"slipway-{event}")


def _begin(model: Any, context: dict[str, Any], **_: Any) -> None:
    # Outside of a task or trigger, and in a run that the sampler leaves out, nothing is recorded.
    if not trace.get_current_span().is_recording():
        return
    service = model.service_model.service_id
    attributes = {
        "rpc.system": "aws-api",
        "rpc.service": service,
        "rpc.method": model.name,
        "cloud.region": context.get("client_region") or "",
    }
    context[_SPAN] = _tracer.start_span(f"{service}.{model.name}", kind=SpanKind.CLIENT, attributes=attributes)


def _end(parsed: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
    span: Span | None = context.pop(_SPAN, None)
    if span is None:
        return
    answer = parsed.get("ResponseMetadata", {})
    headers = answer.get("HTTPHeaders", {})
    told = {
        "aws.request_id": next((headers[name] for name in _REQUEST_IDS if name in headers), None),
        "aws.extended_request_id": headers.get("x-amz-id-2"),
        "http.response.status_code": answer.get("HTTPStatusCode"),
        "http.request.resend_count": answer.get("RetryAttempts"),
    }
    span.set_attributes({name: value for name, value in told.items() if value})
    if answer.get("HTTPStatusCode", 0) >= 300:
        _close(span, str(parsed.get("Error", {}).get("Code") or answer["HTTPStatusCode"]))
    else:
        span.end()


def _fail(exception: BaseException, context: dict[str, Any], **_: Any) -> None:
    """There was no answer: the service could not be reached, or what it sent could not be read."""
    if span := context.pop(_SPAN, None):
        _close(span, type(exception).__name__)


def _close(span: Span, error: str) -> None:
    # The error's code and not its message, which may name what was sent.
    # https://opentelemetry.io/docs/specs/semconv/general/recording-errors/
    span.set_attribute("error.type", error)
    span.set_status(Status(StatusCode.ERROR, error))
    span.end()
