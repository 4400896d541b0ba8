"""A receiver for OpenTelemetry's protocol over HTTP: it keeps the spans that other processes send.

https://opentelemetry.io/docs/specs/otlp/#otlphttp
"""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span as SpanMessage
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from tools.environment import OPTION_PREFIX

TRACES = "/v1/traces"


@dataclass(frozen=True)
class Span:
    """A span as it was sent."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str
    started: int  # nanoseconds since the epoch
    ended: int
    attributes: dict[str, Any]
    failed: bool

    @classmethod
    def of(cls, sent: SpanMessage) -> Span:
        values = {
            one.key: getattr(one.value, one.value.WhichOneof("value") or "string_value") for one in sent.attributes
        }
        return cls(
            sent.name,
            sent.trace_id.hex(),
            sent.span_id.hex(),
            sent.parent_span_id.hex(),
            sent.start_time_unix_nano,
            sent.end_time_unix_nano,
            values,
            sent.status.code == Status.STATUS_CODE_ERROR,
        )


@dataclass
class Receiver:
    """What was received, and where to send it."""

    url: str
    bodies: list[bytes] = field(default_factory=list)

    def spans(self) -> list[Span]:
        """Return all spans that have come so far."""
        requests = [ExportTraceServiceRequest.FromString(body) for body in list(self.bodies)]
        scopes = [scope for each in requests for resource in each.resource_spans for scope in resource.scope_spans]
        return [Span.of(one) for scope in scopes for one in scope.spans]

    def variables(self) -> dict[str, str]:
        """Return the variables by which an instance's Airflow sends its spans here.

        https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
        """
        return {
            f"{OPTION_PREFIX}TRACES__OTEL_ON": "True",
            "OTEL_TRACES_EXPORTER": "otlp_proto_http",
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{self.url}{TRACES}",
        }


@contextmanager
def receiving() -> Iterator[Receiver]:
    """Receive spans until the end of the block."""
    receiver = Receiver("")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            known = self.path == TRACES
            if known:
                receiver.bodies.append(body)
            self.send_response(200 if known else 404)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *arguments: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        receiver.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield receiver
        server.shutdown()
