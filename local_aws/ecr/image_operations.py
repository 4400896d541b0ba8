"""The operations on images that change them or give their manifests.

https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_PutImage.html
"""

import contextlib
from collections.abc import Callable
from typing import Any

from local_aws.ecr import manifests
from local_aws.ecr.blobs import Blobs
from local_aws.ecr.images import Images
from local_aws.ecr.repositories import Repositories
from local_aws.framework.api import Operation, RequestContext, ServiceError
from local_aws.framework.disk import DiskFull
from local_aws.framework.store import Scope, Store


class ImageOperations:
    """PutImage, BatchGetImage and BatchDeleteImage.

    :param store: where images are kept
    :param repositories: those that exist
    :param images: those that exist
    :param blobs: the files of layers
    :param on_put: called after an image was put
    """

    def __init__(
        self, store: Store, repositories: Repositories, images: Images, blobs: Blobs, on_put: Callable[[], None]
    ) -> None:
        self._store = store
        self._repositories = repositories
        self._images = images
        self._blobs = blobs
        self._on_put = on_put

    def operations(self) -> dict[str, Operation]:
        """Return the API's operations by name."""
        return {
            "PutImage": self._put,
            "BatchGetImage": self._batch_get,
            "BatchDeleteImage": self._batch_delete,
        }

    def _put(self, context: RequestContext, parameters: dict[str, Any]) -> dict[str, Any]:
        text, tag = parameters["imageManifest"], parameters.get("imageTag")
        manifest = manifests.read(text, parameters.get("imageManifestMediaType"))
        wanted = parameters.get("imageDigest", manifest.digest)
        if wanted != manifest.digest:
            raise ServiceError(
                "ImageDigestDoesNotMatchException",
                f"The calculated image digest '{manifest.digest}' does not match the digest '{wanted}' that the request"
                " names.",
            )
        with self._repositories.lock:
            repository = self._repositories.get(context, parameters)
            name = repository["repositoryName"]
            self._require_parts(context, name, manifest, tag)
            self._store.together(lambda: self._images.write(context, repository, manifest, text, tag))
        self._on_put()
        identifier = {"imageDigest": manifest.digest, **({"imageTag": tag} if tag else {})}
        return {
            "image": {
                "registryId": context.account_id,
                "repositoryName": name,
                "imageId": identifier,
                "imageManifest": text,
                "imageManifestMediaType": manifest.media_type,
            }
        }

    def _require_parts(self, scope: Scope, repository: str, manifest: manifests.Manifest, tag: str | None) -> None:
        """Refuse an image whose layers, or an index whose images, were not pushed before."""
        missing = [digest for digest in manifest.blobs if self._blobs.find(scope, repository, digest) is None]
        if missing:
            raise ServiceError(
                "LayersNotFoundException",
                f"Layers with digests '[{', '.join(missing)}]' required for pushing image with image name"
                f" '{repository}:{tag or manifest.digest}' into the repository with name '{repository}' in the registry"
                f" with id '{scope.account_id}' do not exist",
            )
        missing = [one for one in manifest.images if self._images.find(scope, repository, {"imageDigest": one}) is None]
        if missing:
            raise ServiceError(
                "ReferencedImagesNotFoundException",
                f"Images with digests '[{', '.join(missing)}]' required for pushing image into the repository with name"
                f" '{repository}' in the registry with id '{scope.account_id}' do not exist",
            )

    # --- BatchGetImage and BatchDeleteImage -----------------------------------------------------------------------

    def _batch_get(self, context: RequestContext, parameters: dict[str, Any]) -> dict[str, Any]:
        name = self._repositories.get(context, parameters)["repositoryName"]
        found, failures = [], []
        for identifier in parameters["imageIds"]:
            image = self._images.find(context, name, identifier)
            if image is None:
                failures.append(self._failure(context, name, identifier))
                continue
            tag = identifier.get("imageTag")
            found.append(
                {
                    "registryId": context.account_id,
                    "repositoryName": name,
                    "imageId": {"imageDigest": image["imageDigest"], **({"imageTag": tag} if tag else {})},
                    "imageManifest": image["imageManifest"],
                    "imageManifestMediaType": image["imageManifestMediaType"],
                }
            )
            with contextlib.suppress(DiskFull):
                # A pull goes on when nothing can be written.
                self._images.pulled(context, name, image["imageDigest"])
        return {"images": found, "failures": failures}

    def _batch_delete(self, context: RequestContext, parameters: dict[str, Any]) -> dict[str, Any]:
        name = self._repositories.get(context, parameters)["repositoryName"]
        deleted: list[dict[str, str]] = []
        failures: list[dict[str, Any]] = []
        for identifier in parameters["imageIds"]:
            with self._repositories.lock:
                image = self._images.find(context, name, identifier)
                if image is None:
                    failures.append(self._failure(context, name, identifier))
                    continue
                digest, tag = image["imageDigest"], identifier.get("imageTag")
                if tag and "imageDigest" not in identifier and len(image["imageTags"]) > 1:
                    self._images.untag(context, name, digest, tag)
                    deleted.append({"imageDigest": digest, "imageTag": tag})
                elif index := self._images.referring(context, name, digest):
                    reason = f"Requested image referenced by manifest list: [{index}]"
                    failures.append(_failed(identifier, "ImageReferencedByManifestList", reason))
                else:
                    self._images.delete(context, name, [digest])
                    deleted += [{"imageDigest": digest, "imageTag": one} for one in image["imageTags"]] or [
                        {"imageDigest": digest}
                    ]
        return {"imageIds": deleted, "failures": failures}

    def _failure(self, scope: Scope, repository: str, identifier: dict[str, str]) -> dict[str, Any]:
        if not identifier:
            return _failed(identifier, "MissingDigestAndTag", "Invalid request parameters: both tag and digest missing")
        if len(identifier) == 2 and self._images.find(scope, repository, {"imageTag": identifier["imageTag"]}):
            return _failed(identifier, "ImageTagDoesNotMatchDigest", "The tag is not the image's with this digest")
        return _failed(identifier, "ImageNotFound", "Requested image not found")


def _failed(identifier: dict[str, str], code: str, reason: str) -> dict[str, Any]:
    return {"imageId": identifier, "failureCode": code, "failureReason": reason}
