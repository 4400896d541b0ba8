"""Reads the answers of model servers, which may be anybody's: each byte once, and no more than an answer may have.

https://www.rfc-editor.org/rfc/rfc9112.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html
MAX_ANSWER_BYTES = 6_291_456
_MAX_HEAD_BYTES = 64 * 1024
_MAX_SIZE_LINE_BYTES = 1024
_MAX_INTERIM = 10
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;.*)?", re.DOTALL)


class ModelAnswer(NamedTuple):
    """The answer of a model server.

    :param status: of HTTP
    :param headers: names in lower case
    :param body: the whole body
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


class AnswerReader:
    """Reads one answer as it comes."""

    def __init__(self) -> None:
        self._received = bytearray()
        self._interim = 0
        self._head: tuple[int, dict[str, str]] | None = None
        self._version = ""
        self._chunks: _Chunks | None = None

    def read(self, data: bytes, ended: bool) -> tuple[ModelAnswer, bool] | None:
        """Read what has come.

        :param data: the next bytes
        :param ended: whether the server has ended the connection
        :returns: the answer and whether the connection can be kept; None while it is incomplete
        :raises ValueError: it is not an answer, or too long
        """
        searched = max(0, len(self._received) - 3)
        self._received += data
        while self._head is None:
            if not self._read_head(searched):
                return None
            searched = 0
        status, headers = self._head
        body = self._body(status, headers, ended)
        if body is None:
            return None
        connection = headers.get("connection", "").lower()
        keep = (self._version == "HTTP/1.1" and connection != "close") or connection == "keep-alive"
        return ModelAnswer(status, headers, body), keep

    def _read_head(self, searched: int) -> bool:
        """Read a head; False while it is incomplete. An interim answer comes before the real one."""
        end = self._received.find(b"\r\n\r\n", searched)
        if max(end, len(self._received) if end < 0 else 0) > _MAX_HEAD_BYTES:
            raise ValueError("its head is too long")
        if end < 0:
            return False
        first, *lines = self._received[:end].decode("latin-1").split("\r\n")
        del self._received[: end + 4]
        self._version, _, rest = first.partition(" ")
        status = int(rest[:3])
        if not self._version.startswith("HTTP/1."):
            raise ValueError(f"it begins with {first[:40]!r}")
        if 100 <= status < 200:
            self._interim += 1
            if self._interim > _MAX_INTERIM:
                raise ValueError(f"it has more than {_MAX_INTERIM} interim answers")
            return True
        self._head = (
            status,
            {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)},
        )
        if "chunked" in self._head[1].get("transfer-encoding", "").lower():
            self._chunks = _Chunks(self._received)
        return True

    def _body(self, status: int, headers: Mapping[str, str], ended: bool) -> bytes | None:
        """Return the body; None while it is incomplete."""
        if self._chunks:
            return self._chunks.read()
        if "content-length" in headers or status in (204, 304):
            text = headers.get("content-length", "0")
            if not (text.isascii() and text.isdigit()):
                raise ValueError(f"its length is {text[:40]!r}")
            _bound(int(text))
            return bytes(self._received[: int(text)]) if len(self._received) >= int(text) else None
        _bound(len(self._received))
        return bytes(self._received) if ended else None


class _Chunks:
    """Reads a chunked body. https://www.rfc-editor.org/rfc/rfc9112.html#section-7.1

    :param received: what has come behind the head; what has been read is taken away
    """

    def __init__(self, received: bytearray) -> None:
        self._received = received
        self._body = bytearray()
        self._ending = False

    def read(self) -> bytes | None:
        """Return the body; None while it is incomplete."""
        position = 0
        while not self._ending and (line := self._received.find(b"\r\n", position)) >= 0:
            size = self._size(position, line)
            after = line + 2 + size
            if size == 0:
                # The end of this line may be the end of all.
                self._ending, position = True, line
                break
            if len(self._received) < after + 2:
                break
            if self._received[after : after + 2] != b"\r\n":
                raise ValueError("a chunk has another length than it says")
            self._body += self._received[line + 2 : after]
            position = after + 2
        del self._received[:position]
        if self._ending:
            return self._trailer()
        if len(self._received) > _MAX_SIZE_LINE_BYTES and self._received.find(b"\r\n") < 0:
            raise ValueError("the size of a chunk is too long")
        return None

    def _size(self, start: int, end: int) -> int:
        match = _CHUNK_SIZE.fullmatch(self._received, start, end)
        if match is None:
            raise ValueError(f"the size of a chunk is {bytes(self._received[start : min(end, start + 40)])!r}")
        size = int(match[1], 16)
        _bound(len(self._body) + size)
        return size

    def _trailer(self) -> bytes | None:
        if self._received.find(b"\r\n\r\n") >= 0:
            return bytes(self._body)
        if len(self._received) > _MAX_HEAD_BYTES:
            raise ValueError("its trailer is too long")
        return None


def _bound(size: int) -> None:
    if size > MAX_ANSWER_BYTES:
        raise ValueError(f"it has more than {MAX_ANSWER_BYTES} bytes")
