"""The requests that are no AWS calls: the health page, and the signals to wait conditions."""

import json

from local_aws.front.asgi import AsgiScope, Receive, Send, answer
from local_aws.front.paths import HEALTH_PATH
from local_aws.host.gateway import Gateway
from local_aws.host.services import SIGNALS_PATH

_MAX_SIGNAL_BYTES = 64 * 1024


async def answer_own_path(gateway: Gateway, ready: bool, scope: AsgiScope, receive: Receive, send: Send) -> None:
    """Answer a request that is not an AWS call.

    :param gateway: ministack, which gets the signals
    :param ready: whether AWS calls are answered
    """
    path = scope["path"]
    if path == HEALTH_PATH:
        status = "ok" if ready else "starting"
        await answer(send, 200 if ready else 503, {}, json.dumps({"status": status}).encode())
    elif path.startswith(SIGNALS_PATH) and scope["method"] == "PUT" and _is_short(scope):
        # No signature was checked, so the request that is passed on must name no other service and no bucket.
        kept = [(name, value) for name, value in scope["headers"] if name in (b"content-length", b"content-type")]
        bare = {**scope, "headers": [(b"host", b"127.0.0.1"), *kept], "query_string": b""}
        await gateway.asgi_app(bare, receive, send)
    else:
        await answer(send, 404, {}, b'{"message": "There is nothing here."}')


def _is_short(scope: AsgiScope) -> bool:
    """Tell whether a request announces a small body, before the body is read."""
    length = dict(scope["headers"]).get(b"content-length", b"").decode("latin-1")
    return length.isascii() and length.isdecimal() and int(length[:20]) <= _MAX_SIGNAL_BYTES
