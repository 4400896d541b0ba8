"""The folder of a container image's source, and the zip that is made of it."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from slipway.command.errors import CommandError
from slipway.command.exits import Exit

DOCKERFILE = "Dockerfile"
# The folder of the container's source, in that of a release's sources.
CONTAINER = "container"
# With a fixed time, the same files give the same bytes, and so the same image.
_ZIP_TIME = (2020, 1, 1, 0, 0, 0)
# What programs leave in a folder; of names with a dot, docker reads this one.
_LEFT = ("__pycache__", "node_modules")
_IGNORE = ".dockerignore"


@dataclass(frozen=True)
class Container:
    """The source of an image.

    :param folder: with the Dockerfile
    :param name: of the folder that says which model it is of
    :param body: the zip
    :param files: how many it has
    """

    folder: Path
    name: str
    body: bytes
    files: int


def read_container(path: Path) -> Container:
    """Zip the files of a folder, with the Dockerfile at the top.

    :param path: the folder, or the one that has it as `container`
    :raises CommandError: when there is no Dockerfile, or a file cannot be read
    """
    folder = next((one for one in (path, path / CONTAINER) if (one / DOCKERFILE).is_file()), None)
    if folder is None:
        raise CommandError(
            "There is no image to build here",
            where=str(path),
            why=f"expected {DOCKERFILE} or {CONTAINER}/{DOCKERFILE}, found neither",
            fix="name the folder that has it; slipway init --custom writes an example",
            code=Exit.NOT_FOUND,
        )
    real = folder.resolve()
    stream = io.BytesIO()
    try:
        files = list(_files(real))
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in files:
                member = zipfile.ZipInfo(file.relative_to(real).as_posix(), _ZIP_TIME)
                member.external_attr = (0o755 if os.access(file, os.X_OK) else 0o644) << 16
                archive.writestr(member, file.read_bytes(), zipfile.ZIP_DEFLATED)
    except OSError as error:
        raise CommandError(
            "The files cannot be read",
            where=str(error.filename or folder),
            why=error.strerror or str(error),
            fix="correct the file's permissions, or remove it",
            code=Exit.NOT_FOUND,
        ) from error
    name = real.parent.name if real.name == CONTAINER else real.name
    return Container(folder, name, stream.getvalue(), len(files))


def _files(folder: Path) -> Iterator[Path]:
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in _LEFT)
        for name in sorted(files):
            if not name.startswith(".") or name == _IGNORE:
                yield Path(place, name)
