"""The parts of ASGI that the modules of the HTTP front share.

https://asgi.readthedocs.io/en/latest/specs/www.html
"""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any
from urllib.parse import parse_qs

from local_aws.host.requests import HttpRequest

AsgiScope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Asgi = Callable[[AsgiScope, Receive, Send], Awaitable[None]]

# Enough of a body to name the operation and the resource of any call that names them in its body.
KEPT_BODY_BYTES = 256 * 1024


def http_request(scope: AsgiScope, body: bytes = b"") -> HttpRequest:
    """Read a request from its ASGI scope.

    :param scope: of a request
    :param body: the part of the request's body that has been read
    :returns: the request
    """
    headers: dict[str, str] = {}
    for name, value in scope["headers"]:
        headers[name.decode("latin-1").lower()] = value.decode("latin-1")
    query = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    return HttpRequest(scope["method"], scope["path"], headers, query, body)


async def body_of(receive: Receive, most: int | None = None) -> bytes | None:
    """Read a whole request body.

    :param most: stop after more bytes than this, and return what has been read
    :returns: the body; None when the client has gone
    """
    parts = []
    length = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        length += len(parts[-1])
        if not message.get("more_body") or (most is not None and length > most):
            return b"".join(parts)


def replayed(messages: Iterable[dict[str, Any]], receive: Receive) -> Receive:
    """Return a receive function that repeats messages that were read already, then reads on.

    :param messages: those that were read
    :param receive: gives the next ones, such as the client's end
    """
    kept = iter(messages)

    async def listen() -> dict[str, Any]:
        message = next(kept, None)
        return await receive() if message is None else message

    return listen


async def answer(send: Send, status: int, headers: dict[str, str], body: bytes) -> None:
    """Send a whole answer.

    :param headers: names in lower case; without a content type the body is JSON
    """
    fields = {"content-type": "application/json", **headers, "content-length": str(len(body))}
    encoded = [(name.encode(), value.encode("latin-1", "replace")) for name, value in fields.items()]
    await send({"type": "http.response.start", "status": status, "headers": encoded})
    await send({"type": "http.response.body", "body": body})
