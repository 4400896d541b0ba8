"""Tars that may be anybody's."""

from __future__ import annotations

import tarfile
import zlib
from typing import Self

# What tarfile may raise for bytes that are no valid archive, but for errors of the disk: names with NUL are a
# ValueError, and it calls itself for each header of headers.
BROKEN = (tarfile.TarError, EOFError, ValueError, zlib.error, RecursionError)
_MAX_BYTES = 1024 * 1024


class BoundedHeader(tarfile.TarInfo):
    """A header whose own content, such as a long name, is read only if it is small: tarfile reads it in one piece."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        """Read a header.

        :raises tarfile.ExtractError: its content is too long
        """
        found = super().frombuf(buf, encoding, errors)
        if found.type not in tarfile.REGULAR_TYPES and found.size > _MAX_BYTES:
            raise tarfile.ExtractError(f"a header of it has {found.size} bytes")
        return found
