"""The images of repositories: their manifests, their tags and the layers that they need."""

import time
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Any

from local_aws.ecr import manifests
from local_aws.ecr.blobs import Blobs
from local_aws.ecr.errors import no_image
from local_aws.ecr.layers import Layers
from local_aws.ecr.names import family
from local_aws.ecr.pages import page_of
from local_aws.ecr.repositories import Repositories
from local_aws.framework.api import ServiceError
from local_aws.framework.store import Conditions, Document, Scope, Store

_TAGS = "imageTags"
_NO_TAGS = "json_array_length(json_extract(body, '$.imageTags')) = 0"
_FILTERS: dict[str, Conditions] = {
    "TAGGED": [(f"NOT ({_NO_TAGS}) AND ?", 1)],
    "UNTAGGED": [(f"{_NO_TAGS} AND ?", 1)],
    "ANY": [],
}
# Scope, repository, digest.
OnImage = Callable[[Scope, str, str], None]


class Images:
    """The images of all repositories.

    :param store: where they are kept
    :param repositories: those that exist
    :param layers: what images need
    :param blobs: the files of layers
    """

    def __init__(self, store: Store, repositories: Repositories, layers: Layers, blobs: Blobs) -> None:
        self._store = store
        self._images = store.collection("ecr_images")
        self._tags = store.collection("ecr_tags")
        self._repositories = repositories
        self._layers = layers
        self._blobs = blobs
        # Called with an image's write and its deletion, all or none of which are on disk.
        self.on_write: list[OnImage] = []
        self.on_delete: list[OnImage] = []

    def has_any(self, scope: Scope, repository: str) -> bool:
        """Tell whether a repository has an image."""
        return bool(page_of(self._images, scope, {"maxResults": 1}, under=family(repository))[0])

    def all_of(self, scope: Scope, repository: str) -> list[Document]:
        """Read all images of a repository.

        :param scope: account and region
        :param repository: its name
        """
        return list(self._all(scope, repository))

    def page(
        self, scope: Scope, repository: str, parameters: dict[str, Any], status: str = "ANY"
    ) -> tuple[list[Document], str | None]:
        """Read a page of the images of a repository.

        :param parameters: maxResults and nextToken
        :param status: TAGGED, UNTAGGED or ANY
        """
        rows, token = page_of(self._images, scope, parameters, under=family(repository), conditions=_FILTERS[status])
        return [image for _, image in rows], token

    def tags_page(
        self, scope: Scope, repository: str, parameters: dict[str, Any]
    ) -> tuple[list[dict[str, str]], str | None]:
        """Read a page of the tags of a repository, with the digest of each.

        :param parameters: maxResults and nextToken
        """
        rows, token = page_of(self._tags, scope, parameters, under=family(repository))
        start = len(family(repository))
        return [{"imageTag": name[start:], "imageDigest": tag["imageDigest"]} for name, tag in rows], token

    def find(self, scope: Scope, repository: str, identifier: dict[str, str]) -> Document | None:
        """Read one image.

        :param scope: account and region
        :param repository: its name
        :param identifier: imageDigest, imageTag or both
        :returns: None where there is none, or the tag is another image's
        """
        digest = identifier.get("imageDigest")
        if tag := identifier.get("imageTag"):
            tagged = (self._tags.get(scope, f"{family(repository)}{tag}") or {}).get("imageDigest")
            if tagged is None or digest not in (None, tagged):
                return None
            digest = tagged
        return self._images.get(scope, f"{family(repository)}{digest}") if digest else None

    def get(self, scope: Scope, repository: str, identifier: dict[str, str]) -> Document:
        """Read one image, as `find`.

        :raises ServiceError: there is none
        """
        found = self.find(scope, repository, identifier)
        if found is None:
            raise no_image(identifier, repository, scope.account_id)
        return found

    def pulled(self, scope: Scope, repository: str, digest: str) -> None:
        """Note that an image was pulled just now."""
        self._images.update(
            scope,
            f"{family(repository)}{digest}",
            lambda document: document.update(lastRecordedPullTime=time.time()),
        )

    def delete(self, scope: Scope, repository: str, digests: Sequence[str]) -> list[Document]:
        """Delete whole images with their tags, and the layers that no other image needs.

        :param scope: account and region
        :param repository: its name
        :param digests: of the images
        :returns: those that were there
        """
        with self._repositories.lock:
            gone, layers = self._store.together(lambda: self._forget(scope, repository, digests))
            for layer in layers:
                self._blobs.remove(scope, repository, layer)
        return gone

    def forget(self, scope: Scope, repository: str) -> None:
        """Delete the documents of all images of a repository."""
        self._forget(scope, repository, [image["imageDigest"] for image in self._all(scope, repository)])

    def clear(self, scope: Scope, repository: str) -> None:
        """Delete the files of a repository that does not exist any more."""
        self._blobs.remove_all(scope, repository)

    def _all(self, scope: Scope, repository: str) -> Iterator[Document]:
        token: str | None = ""
        while token is not None:
            parameters = {"maxResults": 1000, **({"nextToken": token} if token else {})}
            images, token = self.page(scope, repository, parameters)
            yield from images

    def _forget(self, scope: Scope, repository: str, digests: Sequence[str]) -> tuple[list[Document], list[str]]:
        gone, layers = [], []
        for digest in digests:
            image = self._images.get(scope, f"{family(repository)}{digest}")
            if image is None:
                continue
            self._images.delete(scope, f"{family(repository)}{digest}")
            for tag in image[_TAGS]:
                self._tags.delete(scope, f"{family(repository)}{tag}")
            layers += self._layers.release(scope, repository, tuple(image["blobs"]), digest)
            for act in self.on_delete:
                act(scope, repository, digest)
            gone.append(image)
        return gone, layers

    def write(
        self, scope: Scope, repository: Document, manifest: manifests.Manifest, text: str, tag: str | None
    ) -> None:
        """Write an image with its tag, or another tag of an image.

        :param repository: its document
        :param manifest: of the image
        :param text: of the manifest
        :param tag: None for none
        :raises ServiceError: the image is there, or the tag is another one's and immutable
        """
        name, digest = repository["repositoryName"], manifest.digest
        under = family(name)
        before = self._images.get(scope, f"{under}{digest}")
        tagged = (self._tags.get(scope, f"{under}{tag}") or {}).get("imageDigest") if tag else None
        if before is not None and (tag is None or tagged == digest):
            with_tag = f" and tag '{tag}'" if tag else ""
            raise ServiceError(
                "ImageAlreadyExistsException",
                f"Image with digest '{digest}'{with_tag} already exists in the repository with name '{name}' in"
                f" registry with id '{scope.account_id}'",
            )
        if tagged is not None:
            _refuse_moving(repository, str(tag))
            self._images.update(scope, f"{under}{tagged}", lambda image: image[_TAGS].remove(tag))
        if before is None:
            self._layers.use(scope, name, manifest.blobs, digest)
            before = _image(manifest, text)
        before[_TAGS] = sorted({*before[_TAGS], *([tag] if tag else [])})
        self._images.put(scope, f"{under}{digest}", before)
        if tag:
            self._tags.put(scope, f"{under}{tag}", {"imageDigest": digest})
        for act in self.on_write:
            act(scope, name, digest)

    def untag(self, scope: Scope, repository: str, digest: str, tag: str) -> None:
        """Take a tag from an image."""
        under = family(repository)

        def change() -> None:
            self._tags.delete(scope, f"{under}{tag}")
            self._images.update(scope, f"{under}{digest}", lambda image: image[_TAGS].remove(tag))

        self._store.together(change)

    def referring(self, scope: Scope, repository: str, digest: str) -> str:
        """Return the digest of an index that lists an image; empty where there is none."""
        lists = [("json_array_length(json_extract(body, '$.images')) > ?", 0)]
        rows = page_of(self._images, scope, {"maxResults": 1000}, under=family(repository), conditions=[*lists])[0]
        return next((image["imageDigest"] for _, image in rows if digest in image["images"]), "")


def _image(manifest: manifests.Manifest, text: str) -> Document:
    now = time.time()
    return {
        "imageDigest": manifest.digest,
        _TAGS: [],
        "imagePushedAt": now,
        "CreationTime": now,
        "imageSizeInBytes": manifest.size,
        "imageManifest": text,
        "imageManifestMediaType": manifest.media_type,
        "artifactMediaType": manifest.artifact_type or None,
        "blobs": list(manifest.blobs),
        "images": list(manifest.images),
    }


def _refuse_moving(repository: Document, tag: str) -> None:
    """Refuse to give a tag to another image where tags are immutable.

    https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-tag-mutability.html

    :raises ServiceError: they are
    """
    mutability = repository["imageTagMutability"]
    filters = repository.get("imageTagMutabilityExclusionFilters", [])
    excluded = any(fnmatchcase(tag, one["filter"]) for one in filters)
    if mutability.startswith("IMMUTABLE") != excluded:
        raise ServiceError(
            "ImageTagAlreadyExistsException",
            f"The image tag '{tag}' already exists in the '{repository['repositoryName']}' repository and cannot be"
            " overwritten because the tag is immutable.",
        )
