"""The packages that the layers of an image have: Python's distributions, and Debian's where a layer has its list."""

import posixpath
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, NamedTuple

from local_aws.tars import BROKEN, BoundedHeader

PYTHON, DEBIAN = "python", "debian"
_DPKG = "var/lib/dpkg/status"
_METADATA = (".dist-info/METADATA", ".egg-info/PKG-INFO")
# https://github.com/opencontainers/image-spec/blob/main/layer.md#whiteouts
_WHITEOUT, _OPAQUE = ".wh.", ".wh..wh..opq"
_MAX_METADATA_BYTES = 1024 * 1024
_MAX_DPKG_BYTES = 64 * 1024 * 1024
_MAX_MEMBERS = 1_000_000
_MAX_BYTES = 32 * 1024**3


class Package(NamedTuple):
    """One package.

    :param ecosystem: `PYTHON` or `DEBIAN`
    :param path: of the file in the image that says so
    """

    ecosystem: str
    name: str
    version: str
    path: str


class Unreadable(Exception):
    """A layer that is no archive, or more than an archive of an image."""


def packages_of(layers: Sequence[Path]) -> list[Package]:
    """Find the packages of an image.

    :param layers: the files of its layers, the lowest first
    :raises Unreadable: one of them cannot be read
    """
    # By the path of the file that says so; a higher layer hides what it replaces or takes away.
    found: dict[str, list[Package]] = {}
    for layer in layers:
        try:
            with layer.open("rb") as file, tarfile.open(fileobj=file, mode="r|*", tarinfo=BoundedHeader) as archive:
                _read(archive, found)
        except (*BROKEN, OSError) as error:
            raise Unreadable(f"the layer {layer.name} is not a tar archive: {error}") from error
    return sorted(package for listed in found.values() for package in listed)


def _read(archive: tarfile.TarFile, found: dict[str, list[Package]]) -> None:
    below, above = dict(found), {}
    total = 0
    for number, member in enumerate(archive):
        total += max(0, member.size)
        if number > _MAX_MEMBERS or total > _MAX_BYTES:
            raise ValueError(f"it has more than {_MAX_MEMBERS} members or {_MAX_BYTES} bytes")
        path = posixpath.normpath(member.name.lstrip("./"))
        folder, name = posixpath.split(path)
        if name == _OPAQUE:
            _hide(below, f"{folder}/")
        elif name.startswith(_WHITEOUT):
            gone = posixpath.join(folder, name.removeprefix(_WHITEOUT))
            below.pop(gone, None)
            _hide(below, f"{gone}/")
        elif member.isfile() and (path == _DPKG or path.endswith(_METADATA)):
            content = archive.extractfile(member)
            above[path] = _packages(path, content) if content is not None else []
    found.clear()
    found |= below | above


def _hide(found: dict[str, list[Package]], under: str) -> None:
    for path in [path for path in found if path.startswith(under)]:
        del found[path]


def _packages(path: str, content: IO[bytes]) -> list[Package]:
    if path == _DPKG:
        text = content.read(_MAX_DPKG_BYTES).decode(errors="replace")
        fields = [_fields(paragraph) for paragraph in text.split("\n\n")]
        return [
            Package(DEBIAN, one["package"], one["version"], path)
            for one in fields
            if "package" in one and "version" in one and one.get("status", "").endswith(" installed")
        ]
    head = content.read(_MAX_METADATA_BYTES).decode(errors="replace").partition("\n\n")[0]
    found = _fields(head)
    if "name" not in found or "version" not in found:
        return []
    # https://packaging.python.org/en/latest/specifications/name-normalization/
    return [Package(PYTHON, found["name"].lower().replace("_", "-").replace(".", "-"), found["version"], path)]


def _fields(text: str) -> dict[str, str]:
    pairs = (line.partition(":") for line in text.splitlines() if not line.startswith((" ", "\t")))
    return {name.lower(): value.strip() for name, separator, value in pairs if separator}
