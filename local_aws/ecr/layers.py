"""Layers: uploaded in parts, found, downloaded, and deleted when no image needs them.

https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_InitiateLayerUpload.html
"""

import base64
import binascii
import time
import uuid
from pathlib import Path
from typing import Any

from local_aws.ecr.blobs import Blobs
from local_aws.ecr.downloads import Downloads
from local_aws.ecr.errors import invalid
from local_aws.ecr.names import family
from local_aws.ecr.repositories import Repositories
from local_aws.framework.api import Operation, RequestContext, ServiceError
from local_aws.framework.store import Document, Scope, Store

# What a request brings in base64 must be below the longest body that is let in.
PART_BYTES = 10 * 1024 * 1024
# https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CompleteLayerUpload.html, LayerPartTooSmallException
_SMALLEST_PART_BYTES = 5 * 1024 * 1024
# Of a layer that no image has needed yet, or an upload that nobody goes on with.
_KEPT_SECONDS = 24 * 3600.0
_LAYER_TYPE = "application/vnd.docker.image.rootfs.diff.tar.gzip"


class Layers:
    """The operations on layers.

    :param store: where uploads and the uses of layers are kept
    :param repositories: those that exist
    :param blobs: the files
    :param downloads: makes the addresses of layers
    """

    def __init__(self, store: Store, repositories: Repositories, blobs: Blobs, downloads: Downloads) -> None:
        self._uploads = store.collection("ecr_uploads")
        # LAYER@IMAGE for each layer that an image needs.
        self._uses = store.collection("ecr_layer_uses")
        self._repositories = repositories
        self._blobs = blobs
        self._downloads = downloads

    def operations(self) -> dict[str, Operation]:
        """Return the API's operations by name."""
        return {
            "BatchCheckLayerAvailability": self._check,
            "InitiateLayerUpload": self._initiate,
            "UploadLayerPart": self._upload_part,
            "CompleteLayerUpload": self._complete,
            "GetDownloadUrlForLayer": self._download_url,
        }

    # --- for images -----------------------------------------------------------------------------------------------

    def use(self, scope: Scope, repository: str, layers: tuple[str, ...], image: str) -> None:
        """Note that an image needs layers.

        :param layers: their digests
        :param image: its digest
        """
        for layer in layers:
            self._uses.put(scope, f"{family(repository)}{layer}@{image}", {})

    def release(self, scope: Scope, repository: str, layers: tuple[str, ...], image: str) -> list[str]:
        """Note that an image does not need its layers any more.

        :param layers: their digests
        :param image: its digest
        :returns: the layers that no other image needs, whose files may go once this is on disk
        """
        for layer in layers:
            self._uses.delete(scope, f"{family(repository)}{layer}@{image}")
        return [layer for layer in layers if not self._is_used(scope, family(repository), layer)]

    def _is_used(self, scope: Scope, of_repository: str, layer: str) -> bool:
        under = f"{of_repository}{layer}@"
        conditions: list[tuple[str, str | float]] = [("name >= ?", under), ("name < ?", f"{under[:-1]}A")]
        return bool(self._uses.page(scope, 1, None, by="name", descending=False, conditions=conditions))

    def sweep(self) -> None:
        """Delete layers and uploads that were left a day ago, and what a killed process left of repositories."""
        with self._repositories.lock:
            # Both before the repositories are read, so that nothing of a new one is taken for an old one's.
            uploads, folders = list(self._uploads.everywhere()), self._blobs.folders()
            existing = {(one.region, one.account_id, found["repositoryName"]) for one, found in self._existing()}
            self._blobs.keep_only(folders, existing)
            for scope, name, digest in self._blobs.old(_KEPT_SECONDS):
                if not self._is_used(scope, f"{name}/", digest):
                    self._blobs.remove(scope, name.replace(":", "/"), digest)
        until = time.time() - _KEPT_SECONDS
        for scope, upload_id, upload in uploads:
            lives = (scope.region, scope.account_id, upload["repositoryName"]) in existing
            if not lives or upload["CreationTime"] <= until:
                self._uploads.delete(scope, upload_id)
                self._file(scope, upload, upload_id).unlink(missing_ok=True)

    def _existing(self) -> list[tuple[Scope, Document]]:
        return list(self._repositories.everywhere())

    # --- operations -----------------------------------------------------------------------------------------------

    def _check(self, context: RequestContext, parameters: dict[str, Any]) -> dict[str, Any]:
        name = self._repositories.get(context, parameters)["repositoryName"]
        layers, failures = [], []
        for digest in parameters["layerDigests"]:
            path = self._blobs.find(context, name, digest)
            if path is not None:
                found = {"layerSize": path.stat().st_size, "mediaType": _LAYER_TYPE}
                layers.append({"layerDigest": digest, "layerAvailability": "AVAILABLE", **found})
            elif digest.startswith("sha256:"):
                layers.append({"layerDigest": digest, "layerAvailability": "UNAVAILABLE"})
            else:
                reason = "Invalid layer digest"
                failures.append({"layerDigest": digest, "failureCode": "InvalidLayerDigest", "failureReason": reason})
        return {"layers": layers, "failures": failures}

    def _initiate(self, context: RequestContext, parameters: dict[str, Any]) -> dict[str, Any]:
        name = self._repositories.get(context, parameters)["repositoryName"]
        upload_id = str(uuid.uuid4())
        upload = {"repositoryName": name, "received": 0, "small": False, "CreationTime": time.time()}
        self._uploads.put(context, upload_id, upload)
        return {"uploadId": upload_id, "partSize": PART_BYTES}

    def _upload_part(self, context: RequestContext, parameters: dict[str, Any]) -> dict[str, Any]:
        upload_id = parameters["uploadId"]
        upload = self._upload(context, parameters)
        part = _decoded(parameters["layerPartBlob"])
        first, last = parameters["partFirstByte"], parameters["partLastByte"]
        if first != upload["received"] or last - first + 1 != len(part):
            raise ServiceError(
                "InvalidLayerPartException",
                "The layer part size is not valid, or the first byte specified is not consecutive to the last byte of a"
                " previous layer part upload.",
                registryId=context.account_id,
                repositoryName=upload["repositoryName"],
                uploadId=upload_id,
                lastValidByteReceived=upload["received"] - 1,
            )
        self._blobs.append(self._file(context, upload, upload_id), first, part)

        def received(document: Document) -> None:
            # Only the last part may be small, and whether this is the last one shows later.
            document["small"] = document["small"] or document.get("lastWasSmall", False)
            document["lastWasSmall"] = len(part) < _SMALLEST_PART_BYTES
            document["received"] = last + 1

        self._uploads.update(context, upload_id, received)
        return {**_named(context, upload, upload_id), "lastByteReceived": last}

    def _complete(self, context: RequestContext, parameters: dict[str, Any]) -> dict[str, Any]:
        upload_id, wanted = parameters["uploadId"], parameters["layerDigests"]
        upload = self._upload(context, parameters)
        name = upload["repositoryName"]
        if not upload["received"]:
            raise ServiceError("EmptyUploadException", "The specified layer upload does not contain any layer parts.")
        if upload["small"]:
            raise ServiceError("LayerPartTooSmallException", "Layer parts must be at least 5 MiB in size.")
        path = self._file(context, upload, upload_id)
        self._blobs.append(path, upload["received"], b"")
        found = self._blobs.measure(path)
        if found not in wanted:
            raise ServiceError(
                "InvalidLayerException",
                f"The calculated digest '{found}' does not match the layer digest calculated by Amazon ECR: the upload"
                f" '{upload_id}' was said to be {', '.join(wanted)}.",
            )
        with self._repositories.lock:
            self._repositories.get(context, parameters)
            known = self._blobs.find(context, name, found) is not None
            self._blobs.complete(path, found)
        self._uploads.delete(context, upload_id)
        if known:
            raise ServiceError(
                "LayerAlreadyExistsException",
                f"Layer with digest '{found}' already exists in the repository with name '{name}' in registry with id"
                f" '{context.account_id}'",
            )
        return {**_named(context, upload, upload_id), "layerDigest": found}

    def _download_url(self, context: RequestContext, parameters: dict[str, Any]) -> dict[str, Any]:
        name, digest = self._repositories.get(context, parameters)["repositoryName"], parameters["layerDigest"]
        if self._blobs.find(context, name, digest) is None:
            raise ServiceError(
                "LayersNotFoundException",
                f"The layer with digest '{digest}' does not exist in the repository with name '{name}' in the registry"
                f" with id '{context.account_id}'",
            )
        return {"downloadUrl": self._downloads.url(context, name, digest), "layerDigest": digest}

    def _upload(self, context: RequestContext, parameters: dict[str, Any]) -> Document:
        name = self._repositories.get(context, parameters)["repositoryName"]
        found = self._uploads.get(context, parameters["uploadId"])
        if found is None or found["repositoryName"] != name:
            raise ServiceError(
                "UploadNotFoundException",
                f"The upload with id '{parameters['uploadId']}' does not exist in the repository with name '{name}' in"
                f" the registry with id '{context.account_id}'",
            )
        return found

    def _file(self, scope: Scope, upload: Document, upload_id: str) -> Path:
        return self._blobs.upload(scope, upload["repositoryName"], upload_id)


def _named(scope: Scope, upload: Document, upload_id: str) -> dict[str, Any]:
    return {"registryId": scope.account_id, "repositoryName": upload["repositoryName"], "uploadId": upload_id}


def _decoded(blob: str | bytes) -> bytes:
    try:
        return base64.b64decode(blob, validate=True)
    except (binascii.Error, ValueError) as error:
        raise invalid("Invalid parameter at 'layerPartBlob' failed to satisfy constraint: 'Must be base64'") from error
