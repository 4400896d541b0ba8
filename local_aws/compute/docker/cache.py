"""Images that were pulled: one directory for each digest, which containers only read."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from local_aws.compute.base import ContainerFailed, UnknownImage
from local_aws.compute.docker import layers, registry
from local_aws.compute.docker.build import BASE_LABEL
from local_aws.compute.docker.registry import NotInRegistry, Reference
from local_aws.compute.docker.store import ImageStore
from local_aws.compute.sandbox import box
from local_aws.compute.sandbox.spec import HOST_ID
from local_aws.settings import DISK_RESERVE_BYTES

_MAX_CONFIG_BYTES = 1024**2
# https://docs.aws.amazon.com/AmazonECR/latest/userguide/service-quotas.html allows more; a disk here does not.
_MAX_BYTES = 10 * 1024**3


@dataclass(frozen=True)
class PulledImage:
    """An image that containers can be started from.

    :param root: its files
    :param config: Entrypoint, Cmd, Env, User and WorkingDir
    """

    root: Path
    config: Mapping[str, Any]


class PulledImages:
    """The pulled images of one compute; every method may be called by any thread.

    :param store: where they are kept
    """

    def __init__(self, store: ImageStore) -> None:
        self.store = store

    def pull(self, client: Any, uri: str) -> str:
        """Pull an image, as far as it is not here already.

        The registry is asked each time, so that an image that has gone, or that the role may not pull, is an error.

        :param client: boto3's of ECR, as the role that pulls
        :param uri: of the image
        :returns: the URI with the digest, by which `get` knows it
        :raises UnknownImage: it cannot be pulled
        :raises ContainerFailed: it cannot run here
        """
        name = registry.reference(uri)
        if name is None:
            raise _cannot_pull(uri, "it is not in ECR")
        try:
            found = registry.manifest(client, name)
            new = self.store.folder / "pulled" / f"new-{uuid.uuid4().hex[:12]}"
            new.mkdir()
            try:
                # The configuration is fetched even if the image is here: so every pull needs the same permissions.
                registry.download(client, name, found.config, new / "config.json", _MAX_CONFIG_BYTES)
                if not self._folder(found.digest).is_dir():
                    self._fill(client, name, found, new)
                    self._keep(new, self._folder(found.digest))
            finally:
                shutil.rmtree(new, ignore_errors=True)
        except (ClientError, BotoCoreError, NotInRegistry, layers.LayerError, OSError) as error:
            raise _cannot_pull(uri, str(error)) from error
        return name.at(found.digest)

    def get(self, uri: str) -> PulledImage:
        """Return an image that `pull` has brought.

        :param uri: with the digest
        :raises UnknownImage: it is not here
        """
        name = registry.reference(uri)
        folder = self._folder(name.digest) if name and name.digest else None
        if folder is None or not folder.is_dir():
            raise _cannot_pull(uri, "it has not been pulled")
        return PulledImage(folder / "root", json.loads((folder / "config.json").read_text()).get("config") or {})

    def _folder(self, digest: str) -> Path:
        return self.store.folder / "pulled" / digest.removeprefix("sha256:")

    def _fill(self, client: Any, name: Reference, found: registry.Manifest, new: Path) -> None:
        document = json.loads((new / "config.json").read_text())
        if BASE_LABEL not in ((document.get("config") or {}).get("Labels") or {}):
            raise ContainerFailed(
                f"ClientError: the image {name.at(found.digest)} was not built by the local AWS. In process mode only such "
                "images run, because they stand on this machine's Python; use --compute container for others."
            )
        if reason := box.why_not():
            raise ContainerFailed(f"ClientError: {reason}")
        self.store.base.require()
        root = new / "root"
        root.mkdir()
        shutil.chown(root, HOST_ID, HOST_ID)
        diff_ids = document["rootfs"]["diff_ids"]
        left = min(_MAX_BYTES, shutil.disk_usage(root).free - DISK_RESERVE_BYTES)
        for (digest, size), diff_id in zip(found.layers, diff_ids, strict=True):
            archive = new / "layer.tar.gz"
            registry.download(client, name, digest, archive, min(size, left))
            with archive.open("rb") as stream:
                unpacked = layers.unpack(stream, root, left)
            if unpacked != diff_id:
                raise NotInRegistry(f"the layer {digest} is not the one that the configuration names")
            archive.unlink()

    def _keep(self, new: Path, place: Path) -> None:
        try:
            new.rename(place)
        except OSError:
            # Another thread was faster.
            if not place.is_dir():
                raise


def _cannot_pull(uri: str, why: str) -> UnknownImage:
    return UnknownImage(
        "ClientError: Cannot pull algorithm container. Either the image does not exist or its permissions are "
        f"incorrect: {uri} ({why})"
    )
