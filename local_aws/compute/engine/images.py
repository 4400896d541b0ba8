"""The engine's images and those in ECR."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from local_aws.compute.base import ContainerFailed
from local_aws.compute.docker import registry
from local_aws.compute.docker.build import BASE_LABEL
from local_aws.compute.docker.cache import MAX_BYTES, pulled
from local_aws.compute.docker.registry import Reference
from local_aws.compute.docker.store import ImageStore
from local_aws.compute.engine import archive
from local_aws.compute.engine.engine import Engine, EngineError
from local_aws.settings import DISK_RESERVE_BYTES

# The engine's name for what was pulled: it has a host in it, so that no registry is asked for it.
_PULLED = "localhost/slipway-local-aws"


def name_of(digest: str) -> str:
    """Return the engine's name for a pulled image.

    :param digest: of its manifest
    """
    return f"{_PULLED}:{digest.removeprefix('sha256:')}"


class EngineImages:
    """Brings images to the engine and from it; every method may be called by any thread.

    :param engine: which has the images
    :param store: whose folder for work is used
    """

    def __init__(self, engine: Engine, store: ImageStore) -> None:
        self._engine, self._store = engine, store

    def push(self, client: Any, image: str, name: Reference, say: Callable[[str], None]) -> str:
        """Upload an image of the engine's.

        :param client: boto3's of ECR
        :param image: the engine's name for it
        :param name: ECR's
        :param say: writes a line about the progress
        :returns: the image's digest
        :raises EngineError: the engine does not give it
        :raises ArchiveError: it gives something else
        """
        with self._store.work_folder() as work:
            self._engine.run("save", "--output", str(work / "image.tar"), image)
            saved = archive.read(work / "image.tar", work)
            (work / "image.tar").unlink()
            digest = registry.push_files(client, saved.config, saved.layers, name, say)
        # A job on this machine need not bring it back.
        self._engine.run("tag", image, name_of(digest))
        return digest

    def pull(self, client: Any, uri: str) -> str:
        """Pull an image, as far as the engine does not have it.

        The registry is asked each time, so that an image that has gone, or that the role may not pull, is an error.

        :param client: boto3's of ECR, as the role that pulls
        :param uri: of the image
        :returns: the URI with the digest
        :raises UnknownImage: it cannot be pulled
        :raises ContainerFailed: it cannot run here
        """

        def is_here(digest: str) -> bool:
            return self._engine.image_id(name_of(digest)) is not None

        return pulled(self._store, client, uri, is_here, self._load, (EngineError, ValueError))

    def _load(self, client: Any, name: Reference, found: registry.Manifest, work: Path) -> None:
        config = (work / "config.json").read_bytes()
        if BASE_LABEL in (json.loads(config).get("config", {}).get("Labels") or {}):
            raise ContainerFailed(
                f"ClientError: the image {name.at(found.digest)} was built without a container engine and stands on a "
                "machine's own Python. Build it again."
            )
        left = min(MAX_BYTES, shutil.disk_usage(work).free - DISK_RESERVE_BYTES)
        layers = []
        for number, (digest, size) in enumerate(found.layers):
            layers.append(work / f"{number}.tar.gz")
            registry.download(client, name, digest, layers[-1], min(size, left))
            left -= size
        archive.write(work / "image.tar", name_of(found.digest), config, layers)
        self._engine.run("load", "--input", str(work / "image.tar"))
