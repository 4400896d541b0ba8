"""Read the source of an image, a zip whose bytes may be hostile: nothing of it is unpacked here but the Dockerfile."""

from __future__ import annotations

import io
import zipfile
from collections import Counter
from dataclasses import dataclass

from slipway.formats import zip_members
from slipway.formats.zip_layout import ambiguity
from slipway.images.refusals import Refusals
from slipway.model.image_build import ImageBuild
from slipway.validation import shown_name

DOCKERFILE = "Dockerfile"
MIB = 1024 * 1024
# How much larger than the largest zip its files may be together: source code shrinks to about a quarter.
MAX_GROWTH = 10
_DOCKERFILE_MAX_BYTES = 64 * 1024
_PATH_MAX_BYTES = 240
_CHUNK_BYTES = 256 * 1024

# Commands come from the project alone, whose buildspec is inline. A file of this name would only mislead its readers.
# https://docs.aws.amazon.com/codebuild/latest/userguide/build-spec-ref.html#build-spec-ref-name-storage
_BUILDSPECS = frozenset({"buildspec.yml", "buildspec.yaml"})
_ZIP = "image.zip"


@dataclass(frozen=True)
class SourceArchive:
    """What a source holds.

    :param dockerfile: the text of its Dockerfile
    :param files: how many files it has
    :param unpacked_bytes: their sizes together
    """

    dockerfile: str
    files: int
    unpacked_bytes: int


def read_source(data: bytes, bounds: ImageBuild) -> SourceArchive:
    """Check a zip's members, and read its Dockerfile.

    :param data: the zip
    :param bounds: the model file's
    :raises ImageRefused: with everything that is wrong with it
    """
    refusals = Refusals()
    limit = bounds.max_source_mib * MIB
    if len(data) > limit:
        refusals.add(_ZIP, f"expected at most {limit} bytes, found {len(data)}", "zip less, or see max_source_mib")
        refusals.raise_any()
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return _read(archive, data, bounds, refusals)
    except zip_members.BROKEN as error:
        why = f"expected a zip archive, found {len(data)} bytes of something else: {shown_name(str(error))}"
        refusals.add(_ZIP, why, f"zip the folder's content with the {DOCKERFILE} at the top, and upload again")
    refusals.raise_any()
    raise AssertionError("a problem was added")


def _read(archive: zipfile.ZipFile, data: bytes, bounds: ImageBuild, refusals: Refusals) -> SourceArchive:
    infos = archive.infolist()
    files = [info for info in infos if not info.is_dir()]
    if len(infos) > 2 * bounds.max_files or len(files) > bounds.max_files:
        why = f"expected at most {bounds.max_files} files, found {max(len(files), len(infos) // 2)}"
        refusals.add(_ZIP, why, "zip only what the image needs, or see max_files")
        refusals.raise_any()
    counts = Counter(_plain(info.orig_filename) for info in infos)
    for info in infos:
        _check_member(info, counts[_plain(info.orig_filename)], refusals)
    _check_dockerfiles([info.orig_filename for info in files], refusals)
    # What follows unpacks, so it must not begin with members that are refused.
    refusals.raise_any()
    if why := ambiguity(data, archive):
        # What CodeBuild unpacks must be what is checked here.
        refusals.add(_ZIP, f"expected a zip that all programs read alike; {why}", "zip the folder anew")
        refusals.raise_any()
    unpacked = _check_sizes(archive, files, bounds.max_source_mib * MIB * MAX_GROWTH, refusals)
    refusals.raise_any()
    with archive.open(DOCKERFILE) as member:
        text = _text(member.read(_DOCKERFILE_MAX_BYTES + 1), refusals)
    refusals.raise_any()
    return SourceArchive(text, len(files), unpacked)


def _plain(name: str) -> str:
    """Return the name as a file system that ignores capitals knows it."""
    return name.rstrip("/").lower()


def _check_member(info: zipfile.ZipInfo, count: int, refusals: Refusals) -> None:
    # Only the original name has what follows a NUL byte.
    name, shown = info.orig_filename, shown_name(info.orig_filename)
    parts = name.removesuffix("/").split("/")
    if (
        not name.isprintable()
        or "\\" in name
        or ":" in parts[0]
        or not {"", ".", ".."}.isdisjoint(parts)
        or len(name.encode(errors="surrogatepass")) > _PATH_MAX_BYTES
    ):
        refusals.add(shown, "expected a path inside of the zip's folder, found this one", "zip the folder from inside")
    if count > 1:
        refusals.add(shown, f"expected it once, found it {count} times, capitals aside", "keep one of them")
    for why, fix in zip_members.problems_of(info, no_file="a link or a device"):
        refusals.add(shown, why, fix)
    if parts[-1].lower() in _BUILDSPECS:
        refusals.add(shown, "expected no buildspec: the build project has its own", "remove it from the zip")


def _check_dockerfiles(files: list[str], refusals: Refusals) -> None:
    found = [name for name in files if _is_dockerfile(name.rpartition("/")[2].lower())]
    if found != [DOCKERFILE]:
        others = ", ".join(shown_name(name) for name in found if name != DOCKERFILE)
        why = "expected exactly one, at the top of the zip, found " + (f"also {others}" if others else "none")
        refusals.add(DOCKERFILE, why, f"zip the folder's content, with one {DOCKERFILE} at the top")


def _is_dockerfile(name: str) -> bool:
    return name == "dockerfile" or (name.startswith("dockerfile.") and not name.endswith(".dockerignore"))


def _check_sizes(archive: zipfile.ZipFile, files: list[zipfile.ZipInfo], limit: int, refusals: Refusals) -> int:
    """Unpack every file, piece by piece and without keeping it: the declared sizes may be wrong."""
    whole = 0
    for info in files:
        size = 0
        try:
            with archive.open(info) as member:
                while piece := member.read(_CHUNK_BYTES):
                    size += len(piece)
                    if whole + size > limit:
                        refusals.add(_ZIP, f"expected at most {limit} bytes unpacked, found more", "zip less")
                        return whole + size
        except zip_members.BROKEN as error:
            refusals.add(shown_name(info.filename), zip_members.not_intact(error), "zip and upload it again")
        whole += size
    return whole


def _text(content: bytes, refusals: Refusals) -> str:
    if len(content) > _DOCKERFILE_MAX_BYTES:
        why = f"expected at most {_DOCKERFILE_MAX_BYTES} bytes, found more"
        refusals.add(DOCKERFILE, why, "move what it runs into a script in the zip")
        return ""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        why = f"expected UTF-8 text, found the byte 0x{content[error.start]:02x} at offset {error.start}"
        refusals.add(DOCKERFILE, why, "save the file as UTF-8")
        return ""
    if any(ord(one) < 0x20 and one not in "\t\r\n" for one in text):
        refusals.add(DOCKERFILE, "expected text, found a control character", "remove it")
    return text
