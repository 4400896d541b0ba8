"""Images that were pulled: one directory for each digest, which containers only read."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from local_aws.compute.base import ContainerFailed, UnknownImage
from local_aws.compute.docker import layers, registry
from local_aws.compute.docker.build import BASE_LABEL
from local_aws.compute.docker.registry import NotInRegistry, Reference
from local_aws.compute.docker.store import ImageStore, Layer
from local_aws.compute.sandbox import box
from local_aws.compute.sandbox.spec import owned_by_sandbox
from local_aws.settings import DISK_RESERVE_BYTES

MAX_CONFIG_BYTES = 1024**2
# https://docs.aws.amazon.com/AmazonECR/latest/userguide/service-quotas.html allows more; a disk here does not.
MAX_BYTES = 10 * 1024**3
# What a manifest or a configuration raises that is other JSON than it should be.
_NO_JSON = (ValueError, KeyError, TypeError, AttributeError, RecursionError)
_TEXTS, _LISTS = ("User", "WorkingDir"), ("Entrypoint", "Cmd", "Env")


@dataclass(frozen=True)
class PulledImage:
    """An image that containers can be started from.

    :param lower: its files: the directories of its layers, the topmost first
    :param config: Entrypoint, Cmd, Env, User and WorkingDir
    """

    lower: tuple[Path, ...]
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

        def is_here(digest: str) -> bool:
            return self._load(digest) is not None

        return pulled(self.store, client, uri, is_here, self._fill, (layers.LayerError,))

    def get(self, uri: str) -> PulledImage:
        """Return an image that `pull` has brought.

        :param uri: with the digest
        :raises UnknownImage: it is not here
        """
        name = registry.reference(uri)
        found = self._load(name.digest) if name and name.digest else None
        if found is None:
            raise cannot_pull(uri, "it has not been pulled")
        return found

    def _load(self, digest: str) -> PulledImage | None:
        """Return an image if all its layers are here."""
        text = self.store.pulled(digest)
        if text is None:
            return None
        document = json.loads(text)
        # Two instructions may give one layer. The kernel takes a directory once, and the upper one hides the lower.
        keys = dict.fromkeys(reversed(document["layers"]))
        lower = tuple(self.store.layer_folder(key) / "diff" for key in keys)
        return PulledImage(lower, document["config"])

    def _fill(self, client: Any, name: Reference, found: registry.Manifest, work: Path) -> None:
        """Bring the layers that are not here, and note the image."""
        document = json.loads((work / "config.json").read_text())
        config = _checked(document.get("config") or {})
        if BASE_LABEL not in (config.get("Labels") or {}):
            raise ContainerFailed(
                f"ClientError: the image {name.at(found.digest)} was not built by the local AWS. Only such images "
                "run here, because they stand on this machine's Python."
            )
        if reason := box.why_not():
            raise ContainerFailed(f"ClientError: {reason}")
        self.store.base.require()
        diff_ids = document["rootfs"]["diff_ids"]
        if len(diff_ids) != len(found.layers):
            raise NotInRegistry("its configuration names other layers than its manifest")
        left = min(MAX_BYTES, shutil.disk_usage(work).free - DISK_RESERVE_BYTES)
        keys = []
        for (digest, size), diff_id in zip(found.layers, diff_ids, strict=True):
            layer = self.store.layer_of(digest) or self._layer(
                client, name, digest, min(size, left), diff_id, work, left
            )
            keys.append(layer.key)
        self.store.save_pulled(found.digest, json.dumps({"config": config, "layers": keys}))

    def _layer(
        self, client: Any, name: Reference, digest: str, size: int, diff_id: str, work: Path, most_bytes: int
    ) -> Layer:
        folder = work / digest.removeprefix("sha256:")
        diff = folder / "diff"
        diff.mkdir(parents=True)
        owned_by_sandbox(diff)
        archive = folder / "layer.tar.gz"
        registry.download(client, name, digest, archive, size)
        with archive.open("rb") as stream:
            unpacked = layers.unpack(stream, diff, most_bytes)
        if unpacked != diff_id:
            raise NotInRegistry(f"the layer {digest} is not the one that the configuration names")
        return self.store.add_layer(folder, Layer(folder.name[:32], digest, diff_id, size))


def _checked(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a configuration whose members are what containers take them for.

    :raises NotInRegistry: they are not
    """
    for name in (*_TEXTS, *_LISTS):
        found = config.get(name) or ("" if name in _TEXTS else [])
        right = isinstance(found, str if name in _TEXTS else list)
        if not right or any(not isinstance(one, str) or "\0" in one for one in found):
            raise NotInRegistry(f"its configuration's {name} is not what a container has")
    return config


# Brings an image that is not here: with the client, its name, its manifest and the folder for work.
Bring = Callable[[Any, Reference, registry.Manifest, Path], None]


def pulled(
    store: ImageStore,
    client: Any,
    uri: str,
    is_here: Callable[[str], bool],
    bring: Bring,
    wrong: tuple[type[Exception], ...],
) -> str:
    """Pull an image, as far as it is not here already.

    :param store: whose folder for work is used; `bring` finds the image's configuration there, as config.json
    :param client: boto3's of ECR, as the role that pulls
    :param uri: of the image
    :param is_here: tells by its digest whether an image is here
    :param bring: brings one that is not: with the client, its name, its manifest and the folder
    :param wrong: what `bring` raises for an image that cannot be brought
    :returns: the URI with the digest
    :raises UnknownImage: it cannot be pulled
    :raises ContainerFailed: it cannot run here
    """
    name = registry.reference(uri)
    if name is None:
        raise cannot_pull(uri, "it is not in ECR")
    failures: tuple[type[Exception], ...] = (ClientError, BotoCoreError, NotInRegistry, OSError, *_NO_JSON, *wrong)
    try:
        found = registry.manifest(client, name)
        with store.work_folder() as work:
            # The configuration is fetched even if the image is here: so every pull needs the same permissions.
            registry.download(client, name, found.config, work / "config.json", MAX_CONFIG_BYTES)
            if not is_here(found.digest):
                bring(client, name, found, work)
    except failures as error:
        raise cannot_pull(uri, str(error) or type(error).__name__) from error
    return name.at(found.digest)


def cannot_pull(uri: str, why: str) -> UnknownImage:
    """Return the error for an image that cannot be pulled, in SageMaker's words."""
    return UnknownImage(
        "ClientError: Cannot pull algorithm container. Either the image does not exist or its permissions are "
        f"incorrect: {uri} ({why})"
    )
