"""The archives of `docker save` and `docker load`: an image's configuration and layers in one tar.

https://github.com/moby/docker-image-spec/blob/main/v1.2.md#combined-image-json--filesystem-changeset-format
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import shutil
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from local_aws.compute.docker.layers import compressed
from local_aws.compute.docker.registry import LayerFile

_MANIFEST = "manifest.json"
_GZIP = b"\x1f\x8b"
_PIECE_BYTES = 1024**2
_MAX_DOCUMENT_BYTES = 4 * 1024**2


class ArchiveError(Exception):
    """An engine's archive is not what it should be."""


@dataclass(frozen=True)
class Saved:
    """What an archive holds.

    :param layers: compressed, the first layer first
    """

    config: bytes
    layers: tuple[LayerFile, ...]


def read(archive: Path, folder: Path) -> Saved:
    """Read an archive that an engine has saved.

    :param archive: with one image
    :param folder: an empty directory, for the compressed layers
    :raises ArchiveError: it is none, or its layers are not those that the configuration names
    """
    try:
        with tarfile.open(archive, "r:") as tar:
            (entry,) = json.loads(_document(tar, _MANIFEST))
            config = _document(tar, entry["Config"])
            diff_ids = json.loads(config)["rootfs"]["diff_ids"]
            layers = [
                _compress(_member(tar, name), diff_id, folder / f"{number}.tar.gz")
                for number, (name, diff_id) in enumerate(zip(entry["Layers"], diff_ids, strict=True))
            ]
    except (tarfile.TarError, ValueError, KeyError, TypeError) as error:
        raise ArchiveError(f"the engine's archive cannot be read: {error}") from error
    return Saved(config, tuple(layers))


def _member(tar: tarfile.TarFile, name: str) -> IO[bytes]:
    # A layer that an image has twice may be a link.
    found = tar.extractfile(name)
    if found is None:
        raise ArchiveError(f"{name} of the engine's archive is no file")
    return found


def _document(tar: tarfile.TarFile, name: str) -> bytes:
    return _member(tar, name).read(_MAX_DOCUMENT_BYTES)


def _compress(layer: IO[bytes], diff_id: str, path: Path) -> LayerFile:
    """Write a layer as a .tar.gz, the same for the same layer."""
    packed = layer.read(len(_GZIP)) == _GZIP
    layer.seek(0)
    with path.open("wb") as file:
        if packed:
            shutil.copyfileobj(layer, file, _PIECE_BYTES)
        else:
            with compressed(file) as stream:
                shutil.copyfileobj(layer, stream, _PIECE_BYTES)
    with gzip.open(path) as stream:
        if f"sha256:{hashlib.file_digest(stream, 'sha256').hexdigest()}" != diff_id:
            raise ArchiveError(f"a layer of the engine's archive is not {diff_id}")
    with path.open("rb") as file:
        return LayerFile(f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}", path.stat().st_size, path)


def write(archive: Path, name: str, config: bytes, layers: Sequence[Path]) -> None:
    """Write an archive that an engine can load.

    :param name: that the image gets
    :param layers: compressed or not, the first layer first
    """
    config_name = f"{hashlib.sha256(config).hexdigest()}.json"
    names = [f"{number}.tar" for number in range(len(layers))]
    entry = {"Config": config_name, "RepoTags": [name], "Layers": names}
    with tarfile.open(archive, "w:") as tar:
        _add(tar, config_name, config)
        for member, path in zip(names, layers, strict=True):
            tar.add(path, member)
        _add(tar, _MANIFEST, json.dumps([entry]).encode())


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))
