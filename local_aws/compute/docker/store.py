"""Where images are kept on this machine: layers by what made them, images by name, pulled images by digest."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from local_aws import trees
from local_aws.compute.docker.base import Base


@dataclass(frozen=True)
class Layer:
    """One layer.

    :param key: of what made it
    :param digest: of its .tar.gz, empty where the instruction has changed no file
    :param diff_id: of the .tar
    :param size: of the .tar.gz, in bytes
    """

    key: str
    digest: str
    diff_id: str
    size: int


@dataclass(frozen=True)
class Image:
    """An image that was built here.

    :param config: https://github.com/opencontainers/image-spec/blob/main/config.md
    :param digests: `repository@digest` of each registry that has it
    """

    config: dict[str, Any]
    layers: tuple[Layer, ...]
    digests: tuple[str, ...] = ()
    names: tuple[str, ...] = field(default=())

    @property
    def config_bytes(self) -> bytes:
        """The configuration as it is stored in a registry."""
        return json.dumps(self.config, sort_keys=True, separators=(",", ":")).encode()

    @property
    def identity(self) -> str:
        """The image's id, as docker has it: the digest of its configuration."""
        return f"sha256:{hashlib.sha256(self.config_bytes).hexdigest()}"


class ImageStore:
    """The images of one local AWS.

    :param folder: where they are
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.base = Base(folder / "base")
        for name in ("layers", "digests", "images", "work", "pulled"):
            (folder / name).mkdir(parents=True, exist_ok=True)

    # --- layers --------------------------------------------------------------------------------------------------

    def layer(self, key: str) -> Layer | None:
        """Return the layer that was made by the same instruction on the same files; None if there is none."""
        path = self.layer_folder(key) / "layer.json"
        try:
            found = Layer(**json.loads(path.read_text()))
            # Its time says when it was last used.
            os.utime(path)
        except (OSError, ValueError, TypeError):
            return None
        return found

    def remove_unused(self, seconds: float) -> None:
        """Remove the layers that no build and no pull has used for a time; nothing may be running."""
        for folder in (self.folder / "layers").iterdir():
            path = folder / "layer.json"
            if not path.is_file() or path.stat().st_mtime < time.time() - seconds:
                trees.remove(folder)

    def layer_folder(self, key: str) -> Path:
        """Return where a layer is: its files in `diff`, and `layer.tar.gz`."""
        return self.folder / "layers" / key

    def add_layer(self, work: Path, layer: Layer) -> Layer:
        """Keep a layer.

        :param work: a directory with `diff` and `layer.tar.gz`, which becomes the layer's
        :returns: the layer that is there now, which may be another build's of the same key
        """
        (work / "layer.json").write_text(json.dumps(asdict(layer)))
        try:
            work.rename(self.layer_folder(layer.key))
        except OSError:
            found = self.layer(layer.key)
            if found is None:
                raise
            layer = found
        if layer.digest:
            link = self._digest_link(layer.digest)
            new = link.with_name(uuid.uuid4().hex)
            new.symlink_to(f"../layers/{layer.key}")
            new.replace(link)
        return layer

    def layer_of(self, digest: str) -> Layer | None:
        """Return the layer with a digest, built or pulled; None if it is not here."""
        link = self._digest_link(digest)
        return self.layer(link.readlink().name) if link.is_symlink() else None

    def _digest_link(self, digest: str) -> Path:
        return self.folder / "digests" / digest.removeprefix("sha256:")

    @contextmanager
    def work_folder(self) -> Iterator[Path]:
        """Yield an empty directory, and remove it afterwards and those of processes that were killed."""
        self._remove_forgotten()
        folder = self.folder / "work" / uuid.uuid4().hex[:12]
        folder.mkdir()
        with (folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            try:
                yield folder
            finally:
                trees.remove(folder)

    def _remove_forgotten(self) -> None:
        for folder in (self.folder / "work").iterdir():
            try:
                with (folder / "lock").open("r+") as lock:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                # It is in use, or another process is just making or removing it.
                continue
            trees.remove(folder)

    # --- images --------------------------------------------------------------------------------------------------

    def save(self, name: str, image: Image) -> None:
        """Give an image a name."""
        document = {
            "config": image.config,
            "layers": [asdict(layer) for layer in image.layers],
            "digests": image.digests,
        }
        path = self._path(name)
        new = path.with_name(f"{path.name}.{uuid.uuid4().hex[:12]}")
        new.write_text(json.dumps(document))
        new.replace(path)

    def load(self, name: str) -> Image | None:
        """Return the image of a name or an id; None if there is none."""
        try:
            return _read(self._path(name))
        except FileNotFoundError:
            return next(
                (image for _, image in self.all() if image.identity.removeprefix("sha256:").startswith(name)), None
            )

    def all(self) -> list[tuple[str, Image]]:
        """Return every name with its image."""
        found = []
        for path in sorted((self.folder / "images").glob("*.json")):
            document = json.loads(path.read_text())
            found.append((document.get("name", path.stem), _read(path)))
        return found

    def _path(self, name: str) -> Path:
        return self.folder / "images" / f"{quote(name, safe='')}.json"


def _read(path: Path) -> Image:
    document = json.loads(path.read_text())
    layers = tuple(Layer(**layer) for layer in document["layers"])
    return Image(document["config"], layers, tuple(document["digests"]))
