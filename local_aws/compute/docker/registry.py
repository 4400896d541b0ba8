"""Images in ECR: pushed and pulled by its API.

https://docs.aws.amazon.com/AmazonECR/latest/APIReference/Welcome.html
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import re
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from local_aws.compute.docker.store import Image, ImageStore

# https://distribution.github.io/distribution/spec/manifest-v2-2/
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG = "application/vnd.docker.container.image.v1+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
# And the same in https://github.com/opencontainers/image-spec/blob/main/manifest.md
MANIFESTS = (MANIFEST, "application/vnd.oci.image.manifest.v1+json")
_URI = re.compile(
    r"(?P<registry>(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(?:\.cn)?)/"
    r"(?P<repository>[a-z0-9]+(?:[._/-][a-z0-9]+)*)(?::(?P<tag>\w[\w.-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?",
    re.ASCII,
)
# https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_UploadLayerPart.html
_PART_BYTES = 10 * 1024**2
_DOWNLOAD_SECONDS = 60
_PIECE_BYTES = 1024**2


class NotInRegistry(Exception):
    """An image is not there, or not as it should be."""


@dataclass(frozen=True)
class Reference:
    """An image's name in ECR.

    :param tag: empty where a digest alone is given
    """

    registry: str
    account: str
    region: str
    repository: str
    tag: str
    digest: str

    @property
    def image_id(self) -> dict[str, str]:
        """As ECR's API has it; a digest counts more than a tag."""
        return {"imageDigest": self.digest} if self.digest else {"imageTag": self.tag}

    def at(self, digest: str) -> str:
        """Return the URI of the same repository's image with a digest."""
        return f"{self.registry}/{self.repository}@{digest}"


def reference(uri: str) -> Reference | None:
    """Read an image URI; None where it is not one of ECR's."""
    match = _URI.fullmatch(uri)
    if match is None:
        return None
    tag = match["tag"] or ("" if match["digest"] else "latest")
    return Reference(
        match["registry"], match["account"], match["region"], match["repository"], tag, match["digest"] or ""
    )


@dataclass(frozen=True)
class LayerFile:
    """A layer as it is uploaded.

    :param digest: of the file, a .tar.gz
    :param size: in bytes
    """

    digest: str
    size: int
    path: Path


def manifest_of(image: Image) -> bytes:
    """Return an image's manifest, whose SHA-256 is the image's digest."""
    return _manifest(image.config_bytes, [(layer.digest, layer.size) for layer in image.layers])


def _manifest(config: bytes, layers: Sequence[tuple[str, int]]) -> bytes:
    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": CONFIG, "size": len(config), "digest": _sha256(config)},
        "layers": [{"mediaType": LAYER, "size": size, "digest": digest} for digest, size in layers],
    }
    return json.dumps(document, indent=3).encode()


def _sha256(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def push(client: Any, store: ImageStore, image: Image, name: Reference, say: Callable[[str], None]) -> str:
    """Upload an image that was built here.

    :param client: boto3's of ECR
    :param say: writes a line about the progress
    :returns: the image's digest
    """
    files = [
        LayerFile(layer.digest, layer.size, store.layer_folder(layer.key) / "layer.tar.gz") for layer in image.layers
    ]
    return push_files(client, image.config_bytes, files, name, say)


def push_files(
    client: Any, config: bytes, layers: Sequence[LayerFile], name: Reference, say: Callable[[str], None]
) -> str:
    """Upload an image: what the repository lacks of its layers, then its manifest.

    https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-push-iam.html

    :param client: boto3's of ECR
    :param config: the image's configuration
    :param layers: the first layer first
    :param say: writes a line about the progress
    :returns: the image's digest
    """
    blobs: dict[str, Callable[[], IO[bytes]]] = {layer.digest: _opener(layer.path) for layer in layers}
    blobs[_sha256(config)] = lambda: io.BytesIO(config)
    registry = {"registryId": name.account, "repositoryName": name.repository}
    there = client.batch_check_layer_availability(**registry, layerDigests=list(blobs))
    present = {found["layerDigest"] for found in there["layers"] if found["layerAvailability"] == "AVAILABLE"}
    for digest, open_blob in blobs.items():
        short = digest.removeprefix("sha256:")[:12]
        if digest in present:
            say(f"{short}: Layer already exists")
            continue
        with open_blob() as stream:
            _upload(client, registry, digest, stream)
        say(f"{short}: Pushed")
    manifest = _manifest(config, [(layer.digest, layer.size) for layer in layers])
    digest = _sha256(manifest)
    with contextlib.suppress(client.exceptions.ImageAlreadyExistsException):
        # The same image under the same tag is no error for docker.
        client.put_image(
            **registry,
            imageManifest=manifest.decode(),
            imageManifestMediaType=MANIFEST,
            imageTag=name.tag,
            imageDigest=digest,
        )
    say(f"{name.tag}: digest: {digest} size: {len(manifest)}")
    return digest


def _opener(path: Path) -> Callable[[], IO[bytes]]:
    return lambda: path.open("rb")


def _upload(client: Any, registry: dict[str, str], digest: str, stream: IO[bytes]) -> None:
    started = client.initiate_layer_upload(**registry)
    size = min(started.get("partSize", _PART_BYTES), _PART_BYTES)
    first = 0
    while part := stream.read(size):
        client.upload_layer_part(
            **registry,
            uploadId=started["uploadId"],
            partFirstByte=first,
            partLastByte=first + len(part) - 1,
            layerPartBlob=part,
        )
        first += len(part)
    client.complete_layer_upload(**registry, uploadId=started["uploadId"], layerDigests=[digest])


@dataclass(frozen=True)
class Manifest:
    """What a registry says of an image.

    :param digest: of the manifest
    :param config: digest of the configuration
    :param layers: digests and sizes in bytes, the first layer first
    """

    digest: str
    config: str
    layers: tuple[tuple[str, int], ...]


def manifest(client: Any, name: Reference) -> Manifest:
    """Ask for an image's manifest.

    https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_BatchGetImage.html

    :raises NotInRegistry: there is no such image, or none that can be run
    """
    answer = client.batch_get_image(
        registryId=name.account,
        repositoryName=name.repository,
        imageIds=[name.image_id],
        acceptedMediaTypes=list(MANIFESTS),
    )
    if not answer.get("images"):
        failures = answer.get("failures", [])
        raise NotInRegistry(failures[0].get("failureReason", "") if failures else "Requested image not found")
    text = answer["images"][0]["imageManifest"]
    digest = f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
    if name.digest and digest != name.digest:
        raise NotInRegistry(f"the manifest has the digest {digest}")
    try:
        document = json.loads(text)
        layers = tuple((str(layer["digest"]), int(layer["size"])) for layer in document["layers"])
        return Manifest(digest, str(document["config"]["digest"]), layers)
    except (ValueError, KeyError, TypeError) as error:
        raise NotInRegistry("its manifest is none of an image for one platform") from error


def download(client: Any, name: Reference, digest: str, path: Path, most_bytes: int) -> None:
    """Download a layer or a configuration, and check that it is what its digest says.

    https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_GetDownloadUrlForLayer.html

    :param path: the file to write
    :raises NotInRegistry: it is not there, too large or another one
    """
    try:
        url = client.get_download_url_for_layer(
            registryId=name.account, repositoryName=name.repository, layerDigest=digest
        )["downloadUrl"]
    except (client.exceptions.LayersNotFoundException, client.exceptions.LayerInaccessibleException) as error:
        raise NotInRegistry(str(error)) from error
    total = hashlib.sha256()
    size = 0
    with urllib.request.urlopen(url, timeout=_DOWNLOAD_SECONDS) as stream, path.open("wb") as file:  # noqa: S310 - the local AWS's
        while piece := stream.read(_PIECE_BYTES):
            size += len(piece)
            if size > most_bytes:
                raise NotInRegistry(f"{digest} has more than {most_bytes} bytes")
            total.update(piece)
            file.write(piece)
    if f"sha256:{total.hexdigest()}" != digest:
        raise NotInRegistry(f"{digest} is another file")
