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

    @contextmanager
    def _locked(self, how: int) -> Iterator[None]:
        """Hold the lock of what is kept: shared to add or use something, exclusive to look for what nothing uses.

        Builds are other processes, so the lock is a file's.

        :param how: as flock takes it
        """
        lock = os.open(self.folder / "layers", os.O_RDONLY)
        try:
            fcntl.flock(lock, how)
            yield
        finally:
            os.close(lock)

    def layer(self, key: str) -> Layer | None:
        """Return the layer that was made by the same instruction on the same files; None if there is none."""
        with self._locked(fcntl.LOCK_SH):
            return self._used(key)

    def _used(self, key: str) -> Layer | None:
        path = self.layer_folder(key) / "layer.json"
        try:
            found = Layer(**json.loads(path.read_text()))
            # Its time says when it was last used.
            os.utime(path)
        except (OSError, ValueError, TypeError):
            return None
        return found

    def layer_folder(self, key: str) -> Path:
        """Return where a layer is: its files in `diff`, and `layer.tar.gz`."""
        return self.folder / "layers" / key

    def add_layer(self, work: Path, layer: Layer) -> Layer:
        """Keep a layer.

        :param work: a directory with `diff` and `layer.tar.gz`, which becomes the layer's
        :returns: the layer that is there now, which may be another build's of the same key
        """
        (work / "layer.json").write_text(json.dumps(asdict(layer)))
        with self._locked(fcntl.LOCK_SH):
            try:
                work.rename(self.layer_folder(layer.key))
            except OSError:
                found = self._used(layer.key)
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
        with self._locked(fcntl.LOCK_SH):
            return self._used(link.readlink().name) if link.is_symlink() else None

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
        self._note(self._path(name), json.dumps(document))

    def save_pulled(self, digest: str, text: str) -> None:
        """Note an image that was pulled, whose layers are here.

        :param text: what `pulled` is to return
        """
        self._note(self._pulled_path(digest), text)

    def _note(self, path: Path, text: str) -> None:
        with self._locked(fcntl.LOCK_SH):
            new = path.with_name(f"{path.name}.{uuid.uuid4().hex[:12]}")
            new.write_text(text)
            new.replace(path)

    def load(self, name: str) -> Image | None:
        """Return the image of a name or an id; None if there is none, or not all of it is here any more."""
        path = self._path(name)
        with self._locked(fcntl.LOCK_SH):
            if not path.is_file():
                ids = ((found, _read(found).identity.removeprefix("sha256:")) for found in self._names())
                path = next((found for found, identity in ids if identity.startswith(name)), path)
            return _read(path) if self._use(path) else None

    def all(self) -> list[tuple[str, Image]]:
        """Return every name with its image."""
        with self._locked(fcntl.LOCK_SH):
            return [(path.stem, _read(path)) for path in self._names()]

    def pulled(self, digest: str) -> str | None:
        """Return what was noted of a pulled image; None if there is none, or not all of it is here any more."""
        path = self._pulled_path(digest)
        with self._locked(fcntl.LOCK_SH):
            return path.read_text() if self._use(path) else None

    def _use(self, path: Path) -> bool:
        """Tell whether an image is here with all its layers, and note that they are used."""
        if not path.is_file() or not all(self._used(key) for key in _keys(path)):
            return False
        os.utime(path)
        return True

    def _names(self) -> list[Path]:
        return sorted((self.folder / "images").glob("*.json"))

    def _path(self, name: str) -> Path:
        return self.folder / "images" / f"{quote(name, safe='')}.json"

    def _pulled_path(self, digest: str) -> Path:
        return self.folder / "pulled" / f"{digest.removeprefix('sha256:')}.json"

    # --- what nothing uses ---------------------------------------------------------------------------------------

    def remove_unused(self, seconds: float) -> None:
        """Remove the layers and names that nothing has used for a time; builds and pulls may go on meanwhile.

        What one of them has found counts as used from then on, so the lock is held for one look and what follows from
        it. Layers are moved away, and deleted together afterwards.

        :param seconds: more than any build or pull takes
        """
        before = time.time() - seconds
        with self.work_folder() as work:
            for folder in (self.folder / "layers").iterdir():
                with self._locked(fcntl.LOCK_EX):
                    if _last_used(folder / "layer.json") < before:
                        folder.rename(work / folder.name)
        for link in (self.folder / "digests").iterdir():
            with self._locked(fcntl.LOCK_EX):
                if not link.exists():
                    link.unlink(missing_ok=True)
        for path in (*(self.folder / "images").iterdir(), *(self.folder / "pulled").iterdir()):
            with self._locked(fcntl.LOCK_EX):
                if _last_used(path) < before or not self._is_whole(path):
                    path.unlink(missing_ok=True)

    def _is_whole(self, path: Path) -> bool:
        """Tell whether a name's layers are here; what a killed process has half written is no name."""
        try:
            return path.suffix == ".json" and all(self.layer_folder(key).exists() for key in _keys(path))
        except (ValueError, KeyError, TypeError):
            return False


def _last_used(path: Path) -> float:
    return path.stat().st_mtime if path.is_file() else 0.0


def _keys(path: Path) -> list[str]:
    """Return the keys of the layers that a name stands for, of an image that was built or pulled."""
    layers = json.loads(path.read_text())["layers"]
    return [layer if isinstance(layer, str) else layer["key"] for layer in layers]


def _read(path: Path) -> Image:
    document = json.loads(path.read_text())
    layers = tuple(Layer(**layer) for layer in document["layers"])
    return Image(document["config"], layers, tuple(document["digests"]))
