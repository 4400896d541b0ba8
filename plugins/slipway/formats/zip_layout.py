"""Whether a zip has one meaning: else one program unpacks what another has not seen.

Some read from the end, some from the beginning, some trust offsets and some lengths.
https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT
"""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Iterator, Sequence

from slipway.validation import shown_name

_END = struct.Struct("<4s4H2LH")
_LOCAL = struct.Struct("<4s5H3L2H")
_EXTRA = struct.Struct("<2H")
_END_SIGN, _LOCAL_SIGN, _ZIP64_SIGN = b"PK\5\6", b"PK\3\4", b"PK\6\7"
_ZIP64_LOCATOR_BYTES = 20
# Sizes may follow a member whose writer did not know them before; the largest form, with its sign.
_SIZES_FOLLOW = 0x8
_MAX_DESCRIPTOR_BYTES = 24
# Encryption, sizes that follow, names in UTF-8.
_FLAGS = 0x1 | _SIZES_FOLLOW | 0x800
# The size is in a further field of the member.
_IN_EXTRA = 0xFFFFFFFF
# Info-ZIP's own name of a member, which counts more than the usual one for some programs.
_UNICODE_PATH = 0x7075


def ambiguity(data: bytes, archive: zipfile.ZipFile) -> str:
    """Say why two programs may find different members in a zip; empty where they cannot.

    :param data: the zip
    :param archive: the same, opened
    """
    end = data.rfind(_END_SIGN)
    if end < 0 or end + _END.size > len(data):
        return "it has no end"
    *_, disk, _, _, count, size, start, comment = _END.unpack_from(data, end)
    infos = sorted(archive.infolist(), key=lambda info: info.header_offset)
    if end + _END.size + comment != len(data):
        return "bytes follow its end, or its comment has another end"
    if data[end - _ZIP64_LOCATOR_BYTES :].startswith(_ZIP64_SIGN):
        return "it has a second directory, for large archives"
    if disk or start + size != end or archive.start_dir != start or count != len(infos):
        return "its directory is not where its end says"
    return _of_members(data, infos, start)


def _of_members(data: bytes, infos: Sequence[zipfile.ZipInfo], directory: int) -> str:
    """Say why the members are not all that is before the directory, one behind the other."""
    place = slack = 0
    for info in infos:
        if not place <= info.header_offset <= place + slack:
            return f"there is something else at byte {place}"
        if info.header_offset + _LOCAL.size > directory:
            return "a member is where the directory is"
        sign, _, flags, method, _, _, _, packed, _, name, extra = _LOCAL.unpack_from(data, info.header_offset)
        follow = flags & _SIZES_FOLLOW
        sizes = (info.compress_size, _IN_EXTRA, *([0] if follow else []))
        told = (flags & _FLAGS, method) == (info.flag_bits & _FLAGS, info.compress_type) and packed in sizes
        if sign != _LOCAL_SIGN or not told or _UNICODE_PATH in _extras(info.extra):
            return f"{shown_name(info.orig_filename)} is described in two ways"
        place = info.header_offset + _LOCAL.size + name + extra + info.compress_size
        slack = _MAX_DESCRIPTOR_BYTES if follow else 0
    return "" if place <= directory <= place + slack else f"there is something else at byte {place}"


def _extras(extra: bytes) -> Iterator[int]:
    """Yield the kinds of a member's further fields."""
    while len(extra) >= _EXTRA.size:
        kind, length = _EXTRA.unpack_from(extra)
        yield kind
        extra = extra[_EXTRA.size + length :]
