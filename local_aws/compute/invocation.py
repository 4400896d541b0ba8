"""Sends one request to a model server and answers as InvokeEndpoint does.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from local_aws.compute.base import EndpointKey, InvokeResult
from local_aws.compute.model_connection import Broken, ModelConnections

# The maximum length of Body on the API's page, in bytes.
MAX_BODY_BYTES = 6_291_456
# "A customer's model containers must respond to requests within 60 seconds."
MODEL_TIMEOUT_SECONDS = 60

_VARIANT_HEADER = "x-Amzn-Invoked-Production-Variant"
_CUSTOM_ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"
# "SageMaker strips all POST headers except those supported by the API."
_FORWARDED = {
    name.lower(): name for name in ("Content-Type", "Accept", _CUSTOM_ATTRIBUTES, "X-Amzn-SageMaker-Inference-Id")
}
_TIMED_OUT = (
    "Your invocation timed out while waiting for a response from container primary. Review the latency metrics for "
    "each container in Amazon CloudWatch, resolve the issue, and try again."
)
_STATUS = {"ValidationError": 400, "ServiceUnavailable": 503, "InternalFailure": 500, "ModelError": 424}


class InstanceLost(Exception):
    """The connection ended without an answer, for instance because the instance died.

    :param answer: the caller's answer if no other instance is tried
    """

    def __init__(self, answer: InvokeResult) -> None:
        super().__init__(answer.error_code)
        self.answer = answer


def error(code: str, message: str, **members: object) -> InvokeResult:
    """Return an error of the API in the form that clients parse.

    :param members: further members of the error's shape
    """
    return InvokeResult(
        status=_STATUS[code],
        headers={"Content-Type": "application/json", "x-amzn-ErrorType": code},
        body=json.dumps({"Message": message, **members}).encode(),
        error_code=code,
    )


def model_error(key: EndpointKey, status: int, message: str) -> InvokeResult:
    """Return a ModelError.

    :param status: the model's HTTP status, 0 if it gave no answer
    :param message: the model's message
    """
    group = f"/aws/sagemaker/Endpoints/{key.name}"
    kind, code = ("client", "CLIENT_ERROR_FROM_MODEL") if 400 <= status < 500 else ("server", "SERVER_ERROR_FROM_MODEL")
    console = f"https://{key.region}.console.aws.amazon.com/cloudwatch/home?region={key.region}"
    return error(
        "ModelError",
        f'Received {kind} error ({status}) from primary with message "{message}". '
        f"See {console}#logEventViewer:group={group} in account {key.account_id} for more information.",
        ErrorCode=code,
        LogStreamArn=f"arn:aws:logs:{key.region}:{key.account_id}:log-group:{group}",
        OriginalMessage=message,
        OriginalStatusCode=status,
    )


def forwarded_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers of a caller that reach the container; names are compared without regard to case."""
    given = {name.lower(): value for name, value in headers.items()}
    return {name: given[lower] for lower, name in _FORWARDED.items() if lower in given}


async def ask_model(
    connections: ModelConnections,
    key: EndpointKey,
    variant: str,
    port: int,
    body: bytes,
    headers: Mapping[str, str],
    timeout_seconds: float = MODEL_TIMEOUT_SECONDS,
) -> tuple[InvokeResult, int]:
    """Send a request to a model server.

    :param headers: as `forwarded_headers` returns them
    :param timeout_seconds: for the model's whole answer
    :returns: the caller's answer and the model's HTTP status, 500 where it gave none
    :raises Unreachable: no server was reached, so another one may be tried
    :raises InstanceLost: the server was reached, but has gone
    """
    try:
        answer = await connections.post(port, "/invocations", body, headers, timeout_seconds)
    except TimeoutError:
        return model_error(key, 0, _TIMED_OUT), 500
    except Broken as broken:
        lost = model_error(key, 0, f"The container closed the connection without an answer. ({broken})")
        raise InstanceLost(lost) from broken
    if answer.status >= 300:
        return model_error(key, answer.status, answer.body.decode(errors="replace")), answer.status
    answer_headers = {
        "Content-Type": answer.headers.get("content-type", "application/octet-stream"),
        _VARIANT_HEADER: variant,
    }
    if (attributes := answer.headers.get(_CUSTOM_ATTRIBUTES.lower())) is not None:
        answer_headers[_CUSTOM_ATTRIBUTES] = attributes
    return InvokeResult(status=200, headers=answer_headers, body=answer.body), answer.status
