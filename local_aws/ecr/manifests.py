"""Manifests of images, in Docker's and in OCI's form.

https://distribution.github.io/distribution/spec/manifest-v2-2/
https://github.com/opencontainers/image-spec/blob/main/manifest.md
"""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from local_aws.ecr.errors import invalid

DOCKER_IMAGE = "application/vnd.docker.distribution.manifest.v2+json"
OCI_IMAGE = "application/vnd.oci.image.manifest.v1+json"
# They list the images of several platforms.
INDEXES = (
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.index.v1+json",
)
# Layers that are not in the registry.
_FOREIGN = ("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",)


@dataclass(frozen=True)
class Manifest:
    """What a manifest says.

    :param digest: of its text
    :param config: the digest of the image's configuration; empty for an index
    :param layers: the digests of its layers, the lowest first, of those that are in the registry
    :param images: the digests of the images that an index lists
    :param size: of configuration and layers, in bytes
    """

    digest: str
    media_type: str
    config: str
    layers: tuple[str, ...]
    images: tuple[str, ...]
    size: int
    artifact_type: str

    @property
    def blobs(self) -> tuple[str, ...]:
        """The digests of all that must have been uploaded before, each once."""
        return tuple(dict.fromkeys((self.config, *self.layers) if self.config else ()))


def read(text: str, media_type: str | None = None) -> Manifest:
    """Read a manifest.

    :param text: as it was sent
    :param media_type: what the request says it is; None where it says nothing
    :raises ServiceError: it is none, or of another type
    """
    try:
        return _read(text, media_type)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise invalid(
            "Invalid parameter at 'ImageManifest' failed to satisfy constraint: 'Invalid JSON syntax or no image"
            " manifest'"
        ) from error


def _read(text: str, media_type: str | None) -> Manifest:
    found: dict[str, Any] = json.loads(text)
    own = found.get("mediaType")
    if media_type and own and media_type != own:
        raise invalid("Invalid parameter at 'imageManifestMediaType': it differs from the mediaType of the manifest")
    kind = own or media_type or (OCI_IMAGE if "config" in found else INDEXES[1])
    digest = f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
    if kind in INDEXES:
        images = tuple(str(one["digest"]) for one in found["manifests"])
        return Manifest(digest, kind, "", (), images, sum(int(one["size"]) for one in found["manifests"]), "")
    if kind not in (DOCKER_IMAGE, OCI_IMAGE) or found["schemaVersion"] != 2:
        raise invalid(f"Invalid parameter at 'ImageManifest': a manifest of the type {kind} is not supported")
    layers = [one for one in found["layers"] if one.get("mediaType") not in _FOREIGN]
    config = found["config"]
    size = int(config["size"]) + sum(int(one["size"]) for one in layers)
    artifact = str(found.get("artifactType") or config.get("mediaType") or "")
    return Manifest(
        digest, kind, str(config["digest"]), tuple(str(one["digest"]) for one in layers), (), size, artifact
    )
