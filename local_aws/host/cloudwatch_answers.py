"""CloudWatch's requests and answers in each protocol, for operations that are performed in worker threads."""

from __future__ import annotations

import asyncio
import base64
import inspect
import json
from collections.abc import Callable, Mapping
from typing import Any
from xml.sax.saxutils import escape

from local_aws.framework.disk import UNAVAILABLE, UNAVAILABLE_STATUS, DiskFull
from local_aws.framework.store import Scope
from local_aws.host.model_checks import query_document
from local_aws.metrics.points import is_percentile

PRIVATE_PARTS = {
    "ministack.core.responses": ("get_account_id", "get_region"),
    "ministack.services.cloudwatch": (
        "_cbor_ok",
        "_cbor_timestamp",
        "_error",
        "_json_ok",
        "_ts_iso",
        "_xml",
        "handle_request",
    ),
}

Document = dict[str, Any]
Operation = Callable[[Scope, Document], Document]


class RequestRefused(Exception):
    """A request that CloudWatch refuses.

    :param code: AWS's
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class CloudWatchAnswers:
    """Lets ministack's handlers be performed in threads, which no other call waits for.

    :param modules: ministack's modules by name
    """

    def __init__(self, modules: Mapping[str, Any]) -> None:
        self._cloudwatch = cloudwatch = modules["ministack.services.cloudwatch"]
        self._responses = modules["ministack.core.responses"]
        handle = cloudwatch.handle_request

        async def handled(*request: Any) -> Any:
            answer = await handle(*request)
            return await answer if inspect.isawaitable(answer) else answer

        cloudwatch.handle_request = handled

    def handler(self, operation: str, work: Operation) -> Callable[..., Any]:
        """Return what performs an operation in place of ministack's handler.

        :param operation: such as ``GetMetricData``
        :param work: answers the request's document, in a worker thread
        """

        def called(params: Document, document: Document, is_cbor: bool, is_json: bool = False) -> Any:
            if not is_cbor and not is_json:
                values = {name: value[0] if isinstance(value, list) else value for name, value in params.items()}
                document = query_document("cloudwatch", operation, values)
            scope = Scope(self._responses.get_account_id(), self._responses.get_region())
            protocol = {"use_json": is_json, "use_cbor": is_cbor}

            def answered() -> Any:
                try:
                    return self._written(operation, work(scope, document), is_cbor=is_cbor, is_json=is_json)
                except DiskFull as full:
                    return self._cloudwatch._error(UNAVAILABLE, str(full), UNAVAILABLE_STATUS, **protocol)
                except RequestRefused as refused:
                    return self._cloudwatch._error(refused.code, str(refused), 400, **protocol)

            return asyncio.to_thread(answered)

        return called

    def _written(self, operation: str, found: Document, *, is_cbor: bool, is_json: bool) -> Any:
        if is_cbor:
            return self._cloudwatch._cbor_ok(_timed(found, self._cloudwatch._cbor_timestamp))
        if is_json:
            return self._cloudwatch._json_ok(_timed(found, int))
        members = _xml(_timed(found, self._cloudwatch._ts_iso))
        result = f"<{operation}Result>{members}</{operation}Result>" if found else ""
        return self._cloudwatch._xml(200, f"{operation}Response", result)


def written_token(*position: float) -> str:
    """Write where the next page begins."""
    return base64.urlsafe_b64encode(json.dumps(position).encode()).decode()


def token_of(document: Document, *first: float) -> tuple[float, ...]:
    """Read where the page that is asked for begins.

    :param first: where the first page begins
    :raises RequestRefused: the token is none of `written_token`
    """
    token = document.get("NextToken")
    if not token:
        return first
    try:
        position = json.loads(base64.urlsafe_b64decode(token))
    except ValueError:
        position = None
    if not isinstance(position, list) or [type(one) for one in position] != [type(one) for one in first]:
        raise RequestRefused("InvalidNextToken", f"Invalid NextToken : {token}")
    return tuple(position)


def _timed(value: Any, written: Callable[[float], Any]) -> Any:
    """Write the times of an answer as its protocol does."""
    if isinstance(value, list):
        return [_timed(one, written) for one in value]
    if not isinstance(value, dict):
        return value
    return {
        name: written(one)
        if name == "Timestamp"
        else [written(each) for each in one]
        if name == "Timestamps"
        else _timed(one, written)
        for name, one in value.items()
    }


def _xml(value: Any) -> str:
    """Write an answer's members as the Query protocol does.

    https://smithy.io/2.0/aws/protocols/aws-query-protocol.html
    """
    if isinstance(value, list):
        return "".join(f"<member>{_xml(one)}</member>" for one in value)
    if not isinstance(value, dict):
        return escape(str(value))
    if value and all(map(is_percentile, value)):
        return "".join(f"<entry><key>{name}</key><value>{one}</value></entry>" for name, one in value.items())
    return "".join(f"<{name}>{_xml(one)}</{name}>" for name, one in value.items())
