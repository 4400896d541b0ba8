"""What answers say to browsers: no web page may read them, and what they show runs no script.

Browsers send Airflow's cookies to each port of this machine, so an answer has no origin either.
https://developer.mozilla.org/en-US/docs/Web/HTTP/Reference/Headers/Content-Security-Policy/sandbox
"""

from typing import Any

from local_aws.front.asgi import Send

_NOT_FOR_PAGES = (b"access-control-", b"timing-allow-origin", b"content-security-policy", b"x-content-type-options")
_AS_A_PAGE = (
    (b"content-security-policy", b"sandbox allow-downloads allow-popups"),
    (b"x-content-type-options", b"nosniff"),
)


def for_pages(send: Send) -> Send:
    """Remove the headers that let a web page read an answer: ministack's own and those of a bucket's CORS.

    :param send: sends an answer
    :returns: sends it without them
    """

    async def speak(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            kept = [pair for pair in message["headers"] if not pair[0].lower().startswith(_NOT_FOR_PAGES)]
            message = {**message, "headers": [*kept, *_AS_A_PAGE]}
        await send(message)

    return speak
