"""Pin a release's container image: a tag may move, a digest names the same bytes for good."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from slipway import image_names
from slipway.aws.placeholders import AwsIdentity
from slipway.errors import ImageMissing
from slipway.formats.image_uri import EcrImage
from slipway.model.config import ModelConfig
from slipway.plan import PinnedImage

# What an URI without a tag and a digest means, as for docker.
_DEFAULT_TAG = "latest"


class Images(Protocol):
    """The part of ECR that is needed to find an image."""

    def tagged_image(self, repository: str, tag: str) -> Any:
        """Return the image of a tag, with its ``digest``; None where the repository has no such tag."""

    def image(self, repository: str, digest: str) -> Any:
        """Return an image by its digest; None where the repository no longer has it."""


def pin_image(
    image: str, model: ModelConfig, aws: AwsIdentity, ecr: Images, newest: Callable[[], PinnedImage | None]
) -> PinnedImage | None:
    """Find the digest of the image that a release uses.

    :param image: its URI, see FencedRequest
    :param model: the model file
    :param aws: account and region of the registry that is asked
    :param ecr: that registry
    :param newest: returns the newest image that Slipway has built for the model
    :returns: None for an image of another account or region, such as AWS's own, which is used by the name it has
    :raises ImageMissing: when there is no such image
    :raises slipway.errors.AwsError: when a call fails
    """
    wanted = own_registry(image, aws)
    if wanted is None:
        return None
    if wanted.digest:
        require_image(image, aws, ecr)
        return PinnedImage(str(wanted.at(digest=wanted.digest)), wanted.tag)
    if model.image and wanted.tag is None:
        return _newest(model, wanted, newest(), aws, ecr)
    tag = wanted.tag or _DEFAULT_TAG
    found = ecr.tagged_image(wanted.repository, tag)
    if found is None:
        raise ImageMissing(
            "The container image does not exist",
            resource=str(wanted.at(tag=tag)),
            why=f"the repository {wanted.repository} has no image with the tag {tag}",
            fix="push it, or name another image in the model file or the zip",
        )
    return PinnedImage(str(wanted.at(digest=found.digest)), tag)


def require_image(image: str, aws: AwsIdentity, ecr: Images) -> None:
    """Refuse an image that is gone; one of another account or region is not looked for.

    :param image: its URI
    :param aws: account and region of the registry that is asked
    :param ecr: that registry
    :raises ImageMissing: when the repository does not have it
    :raises slipway.errors.AwsError: when a call fails
    """
    wanted = own_registry(image, aws)
    if wanted is None:
        return
    if wanted.digest:
        found, named = ecr.image(wanted.repository, wanted.digest), f"the digest {wanted.digest}"
    else:
        tag = wanted.tag or _DEFAULT_TAG
        found, named = ecr.tagged_image(wanted.repository, tag), f"the tag {tag}"
    if found is None:
        raise ImageMissing(
            "The container image is gone",
            resource=image,
            why=f"the repository {wanted.repository} has no image with {named}: somebody, or its lifecycle policy, has "
            "removed it",
            fix="push the same image again; where that is impossible, release the zip again with an image that exists",
        )


def own_registry(image: str, aws: AwsIdentity) -> EcrImage | None:
    """Take an image's URI apart if its registry is that of an account and a region; else None."""
    found = EcrImage.parse(image)
    return found if found and (found.account, found.region) == (aws.account, aws.region) else None


def _newest(
    model: ModelConfig, wanted: EcrImage, built: PinnedImage | None, aws: AwsIdentity, ecr: Images
) -> PinnedImage:
    found = EcrImage.parse(built.uri) if built else None
    if built is None or found is None or found.address != wanted.address:
        made = (
            f"the newest that was built is {built.uri}, none of this repository" if built else "no build has made one"
        )
        raise ImageMissing(
            "The model has no container image yet",
            resource=str(wanted),
            why=f"its model file names neither a tag nor a digest, and {made}",
            fix=f"build it: slipway build, or an upload to {image_names.source_key(model.prefix)}; where a build has "
            f"failed, the DAG {image_names.build_dag_id(model.prefix)} says why. Then release the zip again",
        )
    require_image(built.uri, aws, ecr)
    return built
