"""What people send to Airflow's API: texts that no database and no answer can hold are refused before a route runs.

Airflow accepts half a surrogate pair, and answers 500 when it writes it or repeats it: sometimes after the change.
PostgreSQL holds no NUL: https://www.postgresql.org/docs/current/datatype-json.html
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Any

from slipway.validation import shown_name

if TYPE_CHECKING:
    from starlette.types import Message, Receive

_SURROGATES = range(0xD800, 0xE000)


async def read_body(receive: Receive) -> tuple[bytes, Callable[[], Awaitable[Message]]]:
    """Read a request's body.

    :param receive: the request's ASGI channel, https://asgi.readthedocs.io/en/latest/specs/www.html
    :returns: the body, and a channel that delivers what was read once more
    """
    messages: list[Message] = []
    while True:
        message = await receive()
        messages.append(message)
        if message["type"] != "http.request" or not message.get("more_body"):
            break
    delivered = iter(messages)

    async def again() -> Message:
        return next(delivered, None) or await receive()

    return b"".join(message.get("body", b"") for message in messages), again


def text_problem(body: bytes) -> str | None:
    """Say which text of a JSON body cannot be kept.

    :param body: the body, which may be anything
    :returns: the reason as a sentence; None for a good body, and for one that is no JSON: its route says that
    """
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return None
    for path, text in _texts(document):
        for place, character in enumerate(text, 1):
            if character == "\0" or ord(character) in _SURROGATES:
                where = shown_name(".".join(path)) or "the body"
                return f"{where}: character {place}, U+{ord(character):04X}, cannot be kept: remove it."
    return None


def _texts(document: Any) -> Iterator[tuple[tuple[str, ...], str]]:
    """Go through the texts of a document, names of fields included, each with its path."""
    waiting: list[tuple[tuple[str, ...], Any]] = [((), document)]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, str):
            yield path, value
        elif isinstance(value, dict):
            for name, child in value.items():
                yield (*path, name), name
                waiting.append(((*path, name), child))
        elif isinstance(value, list):
            waiting.extend(((*path, str(index)), child) for index, child in enumerate(value))
