"""Read the two JSON documents of a trainingjob.zip, whose bytes may be hostile, or refuse it."""

from __future__ import annotations

import io
import json
import logging
import math
import zipfile
from collections import Counter
from dataclasses import dataclass
from typing import Any, NoReturn

from slipway.errors import RequestRefused
from slipway.formats import zip_members
from slipway.validation import shown_name

log = logging.getLogger(__name__)

MEMBERS = ("trainingjob.json", "deployment.json")
MAX_BYTES = 1024 * 1024
# The two files, and what a file manager adds to them.
MAX_MEMBERS = 20
# The largest request that CreateTrainingJob accepts has a few hundred values.
MAX_VALUES = 5_000
MAX_DEPTH = 20

# Files that macOS, Windows and KDE keep beside a folder's own. Windows does not tell capitals apart.
# https://en.wikipedia.org/wiki/Resource_fork#The_Macintosh_file_system
# https://learn.microsoft.com/en-us/windows/win32/shell/how-to-customize-folders-with-desktop-ini
_LEFTOVERS = frozenset({".ds_store", ".localized", "thumbs.db", "ehthumbs.db", "desktop.ini", ".directory"})
_MAC_FOLDER, _APPLE_DOUBLE = "__MACOSX/", "._"


@dataclass(frozen=True)
class Archive:
    """What a zip holds.

    :param texts: the content of each of the two files that can be read, by its name
    :param refusals: what is wrong with the others
    """

    texts: dict[str, bytes]
    refusals: list[RequestRefused]


def read_archive(data: bytes) -> Archive:
    """Read the two files of a release request; what file managers add to a zip is never unpacked.

    :param data: the zip
    :raises RequestRefused: when no file of it can be read
    """
    if len(data) > MAX_BYTES:
        refuse("trainingjob.zip", f"expected at most {MAX_BYTES} bytes, found {len(data)}", "upload a smaller zip")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members, refusals = _checked_members(archive)
            texts = {}
            for name, info in members.items():
                try:
                    texts[name] = _read_member(archive, info)
                except RequestRefused as refusal:
                    refusals.append(refusal)
    except zip_members.BROKEN as error:
        why = f"expected a zip archive, found {len(data)} bytes of something else: {shown_name(str(error))}"
        refuse("trainingjob.zip", why, f"zip {' and '.join(MEMBERS)} and upload again", error)
    return Archive(texts, refusals)


def refuse(member: str, why: str, fix: str, cause: Exception | None = None) -> NoReturn:
    """Raise the error for a zip that cannot be used.

    :param member: the zip, or the file in it
    :param why: the field, what was expected and what was found
    :param fix: what the uploader can do
    :param cause: the exception that showed the problem
    """
    raise _refusal(member, why, fix) from cause


def _refusal(member: str, why: str, fix: str) -> RequestRefused:
    return RequestRefused("The uploaded zip is refused", resource=member, why=why, fix=fix)


def _checked_members(archive: zipfile.ZipFile) -> tuple[dict[str, zipfile.ZipInfo], list[RequestRefused]]:
    """Check names, number, kinds and declared sizes of the files in the zip.

    :returns: those of the two files that may be read, by name; and what is wrong with all others
    """
    infos = archive.infolist()
    if len(infos) > MAX_MEMBERS:
        why = f"expected {' and '.join(MEMBERS)}, found {len(infos)} files, more than {MAX_MEMBERS}"
        refuse("trainingjob.zip", why, "zip only the two files")
    # Only the original name has what follows a NUL byte.
    counts = Counter(info.orig_filename for info in infos)
    refusals = [
        _refusal(name, "expected this file, found no file of this name", _fix(name))
        for name in MEMBERS
        if name not in counts
    ]
    readable = {}
    for info in {info.orig_filename: info for info in infos}.values():
        try:
            _check_member(info, counts[info.orig_filename])
        except RequestRefused as refusal:
            refusals.append(refusal)
        else:
            readable[info.orig_filename] = info
    passed_over = [name for name in readable if name not in MEMBERS]
    if passed_over:
        log.info("Passed over in trainingjob.zip: %s", ", ".join(shown_name(name) for name in passed_over))
    return {name: readable[name] for name in MEMBERS if name in readable}, refusals


def _is_leftover(name: str) -> bool:
    """Tell whether this is a file that no one zipped on purpose: the system keeps it beside the others."""
    if not name.isprintable() or "\\" in name or not {"..", "."}.isdisjoint(name.split("/")):
        return False
    if name.startswith(_MAC_FOLDER):
        return True
    return "/" not in name and (name.lower() in _LEFTOVERS or name.startswith(_APPLE_DOUBLE))


def _fix(name: str) -> str:
    if "/" in name:
        return f"zip {' and '.join(MEMBERS)} themselves, not the folder that they are in"
    return f"zip exactly {' and '.join(MEMBERS)}, at the top level"


def _check_member(info: zipfile.ZipInfo, count: int) -> None:
    name = shown_name(info.orig_filename)
    if info.orig_filename not in MEMBERS and not _is_leftover(info.orig_filename):
        refuse(name, f"expected only {' and '.join(MEMBERS)}, found this file too", _fix(info.orig_filename))
    if count > 1:
        refuse(name, f"expected this file once, found it {count} times", _fix(name))
    for why, fix in zip_members.problems_of(info, no_file="a link, folder or device"):
        refuse(name, why, fix)
    if info.file_size > MAX_BYTES:
        _refuse_size(info, f"{info.file_size} declared")


def _refuse_size(info: zipfile.ZipInfo, found: str) -> NoReturn:
    refuse(
        shown_name(info.filename),
        f"expected at most {MAX_BYTES} bytes unpacked, found {found}",
        "upload a smaller file",
    )


def _read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    # The declared size may be wrong; the reader never unpacks more than it is asked for.
    try:
        with archive.open(info) as member:
            content = member.read(MAX_BYTES + 1)
    except zip_members.BROKEN as error:
        refuse(info.filename, zip_members.not_intact(error), "zip and upload it again", error)
    if len(content) > MAX_BYTES:
        _refuse_size(info, "more")
    if len(content) != info.file_size:
        refuse(info.filename, f"expected {info.file_size} bytes, found {len(content)}", "zip and upload it again")
    return content


def parse(member: str, content: bytes) -> dict[str, Any]:
    """Parse one file as strict JSON. https://www.rfc-editor.org/rfc/rfc8259

    :param member: the file's name
    :param content: the file
    :raises RequestRefused: with what was expected
    """
    if content.startswith(b"\xef\xbb\xbf"):
        refuse(member, "expected JSON from the first byte on, found a byte order mark", "save it as UTF-8 without BOM")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        why = f"expected UTF-8 text, found the byte 0x{content[error.start]:02x} at offset {error.start}"
        refuse(member, why, "save the file as UTF-8", error)
    try:
        value = json.loads(
            text,
            object_pairs_hook=lambda pairs: _object(member, pairs),
            parse_constant=lambda name: _refuse_number(member, name),
            parse_float=lambda literal: _float(member, literal),
        )
    except RecursionError as error:
        _refuse_depth(member, error)
    except ValueError as error:  # int() also raises it, for extremely long numbers
        refuse(
            member, f"expected valid JSON, found {shown_name(str(error))}", "correct the file and zip it again", error
        )
    if not isinstance(value, dict):
        refuse(member, f"expected a JSON object, found {type(value).__name__}", "write the parameters as {…}")
    _check_extent(member, value)
    return value


def _object(member: str, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        repeated = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        refuse(member, f"field {shown_name(repeated)}: expected it once, found it repeated", "keep one of them")
    return result


def _float(member: str, literal: str) -> float:
    number = float(literal)
    if not math.isfinite(number):
        _refuse_number(member, literal)
    return number


def _refuse_number(member: str, literal: str) -> NoReturn:
    refuse(member, f"expected valid JSON with finite numbers, found {shown_name(literal)}", "write a finite number")


def _refuse_depth(member: str, cause: Exception | None = None) -> NoReturn:
    why = f"expected at most {MAX_DEPTH} levels of nesting, found more"
    refuse(member, why, "write only the fields of CreateTrainingJob and of deployment.json", cause)


def _check_extent(member: str, document: dict[str, Any]) -> None:
    """Limit number, depth and characters of the values before they are validated, which costs more."""
    count = 0
    waiting: list[tuple[Any, int]] = [(document, 1)]
    while waiting:
        value, depth = waiting.pop()
        count += 1
        if count + len(waiting) > MAX_VALUES:
            why = f"expected at most {MAX_VALUES} values, found more"
            refuse(member, why, "write only the fields of CreateTrainingJob and of deployment.json")
        if depth > MAX_DEPTH:
            _refuse_depth(member)
        texts = [value] if isinstance(value, str) else list(value) if isinstance(value, dict) else []
        for text in texts:
            if not text.isprintable() and any(not _is_text(character) for character in text):
                why = f"expected text, found a control character or half a character in {shown_name(text)}"
                refuse(member, why, "remove it")
        children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        waiting.extend((child, depth + 1) for child in children)


def _is_text(character: str) -> bool:
    return character in "\t\n\r" or not (
        ord(character) < 0x20 or 0x7F <= ord(character) < 0xA0 or _surrogate(character)
    )


def _surrogate(character: str) -> bool:
    return 0xD800 <= ord(character) <= 0xDFFF
