"""What makes a member of an uploaded zip unreadable, whatever the zip is for."""

from __future__ import annotations

import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator

from slipway.validation import shown_name

# With other methods the archive decides how much memory the reader needs; no tool uses them by default.
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED_FLAGS = 0x1 | 0x40
# What the zipfile module may raise for bytes that are no valid archive.
BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    IndexError,
    NotImplementedError,
    OSError,
    OverflowError,
    RuntimeError,
    ValueError,
)


def problems_of(info: zipfile.ZipInfo, *, no_file: str) -> Iterator[tuple[str, str]]:
    """Yield why a member cannot be read, by what the zip says about it, each with what its author can do.

    :param info: the member
    :param no_file: what a member is that is no regular file, in words
    """
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind and kind != (stat.S_IFDIR if info.is_dir() else stat.S_IFREG):
        yield f"expected a regular file, found {no_file}", "zip the file itself"
    if info.flag_bits & _ENCRYPTED_FLAGS:
        yield "expected a file without encryption, found an encrypted one", "zip it without a password"
    if info.compress_type not in _METHODS:
        found = f"compression method {info.compress_type}"
        yield f"expected the method stored or deflated, found {found}", "zip it with the default method"


def not_intact(error: Exception) -> str:
    """Return why a member cannot be unpacked.

    :param error: one of `BROKEN`
    """
    return f"expected an intact file, found {shown_name(str(error) or type(error).__name__)}"
