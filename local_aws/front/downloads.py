"""Files that services hand out by addresses of their own making, such as the layers of images."""

import asyncio
from pathlib import Path
from urllib.parse import parse_qsl

from local_aws.framework.service_parts import Download
from local_aws.front.asgi import AsgiScope, Receive, Send, answer

_BLOCK_BYTES = 1024 * 1024


async def answer_download(find: Download | None, scope: AsgiScope, receive: Receive, send: Send) -> None:
    """Answer a request for such a file.

    :param find: finds the file of an address
    """
    path = None
    if find is not None and scope["method"] in ("GET", "HEAD"):
        query = dict(parse_qsl(scope["query_string"].decode("latin-1")))
        path = await asyncio.to_thread(find, scope["path"], query)
    if path is None:
        # As S3 answers an address that is too old or not signed.
        await answer(send, 403, {"content-type": "text/plain"}, b"The address is not valid, or not any more.")
        return
    await _send_file(path, send, with_content=scope["method"] == "GET")


async def _send_file(path: Path, send: Send, *, with_content: bool) -> None:
    try:
        file = await asyncio.to_thread(path.open, "rb")
    except FileNotFoundError:
        await answer(send, 404, {"content-type": "text/plain"}, b"There is nothing any more at this address.")
        return
    with file:
        length = path.stat().st_size
        headers = [(b"content-type", b"application/octet-stream"), (b"content-length", str(length).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        while with_content and (block := await asyncio.to_thread(file.read, _BLOCK_BYTES)):
            await send({"type": "http.response.body", "body": block, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
