"""Errors in the form of each of AWS's protocols; the request shows which one it uses."""

import json
import uuid
from dataclasses import dataclass
from xml.sax.saxutils import escape

from local_aws.host.requests import HttpRequest

# Services beside S3 that speak REST with XML.
_REST_XML = ("cloudfront", "route53")


@dataclass(frozen=True)
class ErrorAnswer:
    """An answer to send.

    :param status: of HTTP
    :param headers: names in lower case
    :param body: empty for a request without one, as HEAD
    """

    status: int
    headers: dict[str, str]
    body: bytes


def error_answer(service: str, request: HttpRequest, code: str, message: str, status: int) -> ErrorAnswer:
    """Write an error in the protocol that a request uses.

    https://smithy.io/2.0/aws/protocols/index.html
    https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html

    :param service: as the gateway routes it
    :param request: the request, with its body
    :param code: such as ``ThrottlingException``
    :param message: AWS's text
    :param status: of HTTP
    :returns: the answer
    """
    request_id = str(uuid.uuid4())
    headers = {"x-amzn-requestid": request_id}
    if request.headers.get("smithy-protocol") == "rpc-v2-cbor":
        headers |= {"content-type": "application/cbor", "smithy-protocol": "rpc-v2-cbor"}
        return ErrorAnswer(status, headers, _cbor({"__type": code, "message": message}))
    if "x-amz-target" in request.headers:
        headers["content-type"] = request.headers.get("content-type", "application/x-amz-json-1.1")
        return ErrorAnswer(status, headers, json.dumps({"__type": code, "message": message}).encode())
    if service == "s3":
        headers = {"x-amz-request-id": request_id, "content-type": "application/xml"}
        body = _s3_error(code, message, request.path, request_id)
        return ErrorAnswer(status, headers, b"" if request.method == "HEAD" else body)
    form = request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
    form = form or service in _REST_XML
    if form or "Action" in request.query:
        headers["content-type"] = "text/xml"
        return ErrorAnswer(status, headers, _query_error(code, message, status, request_id))
    headers |= {"content-type": "application/json", "x-amzn-errortype": code}
    return ErrorAnswer(status, headers, json.dumps({"message": message}).encode())


def _s3_error(code: str, message: str, path: str, request_id: str) -> bytes:
    members = {"Code": code, "Message": message, "Resource": path, "RequestId": request_id}
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{_elements(members)}</Error>'.encode()


def _query_error(code: str, message: str, status: int, request_id: str) -> bytes:
    # https://smithy.io/2.0/aws/protocols/aws-query-protocol.html#operation-error-serialization
    members = {"Type": "Receiver" if status >= 500 else "Sender", "Code": code, "Message": message}
    error = f"<Error>{_elements(members)}</Error>{_elements({'RequestId': request_id})}"
    return f"<ErrorResponse>{error}</ErrorResponse>".encode()


def _elements(members: dict[str, str]) -> str:
    return "".join(f"<{name}>{escape(value)}</{name}>" for name, value in members.items())


def _cbor(members: dict[str, str]) -> bytes:
    """Encode a map of at most 23 short texts.

    https://www.rfc-editor.org/rfc/rfc8949.html#section-3.1
    """
    texts = [text.encode() for pair in members.items() for text in pair]
    return bytes([0xA0 + len(members)]) + b"".join(b"\x79" + len(text).to_bytes(2) + text for text in texts)
