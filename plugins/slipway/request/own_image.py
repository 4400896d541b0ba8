"""Which image a release uses where the model file has a section ``image``, and what a zip may say beside it."""

from __future__ import annotations

from slipway.aws.placeholders import AwsIdentity
from slipway.errors import PolicyViolation
from slipway.formats.image_uri import EcrImage, registry_domain
from slipway.model.config import ModelConfig
from slipway.validation import shown

# Zips say it where they mean whatever image is current, and the model file says which one that is.
_CURRENT = "latest"


def own_image(model: ModelConfig, aws: AwsIdentity) -> EcrImage | None:
    """Return the image that a model file names; None where it has no section ``image``.

    :param model: the model file
    :param aws: account and region of its registry
    """
    own = model.image
    if own is None:
        return None
    return EcrImage(aws.account, aws.region, registry_domain(aws.partition), own.repository, own.tag, own.digest)


def refusals(wanted: str, model: ModelConfig, aws: AwsIdentity, pinned: str | None = None) -> list[PolicyViolation]:
    """Return why a zip's image is not the model file's.

    :param wanted: the image that the zip asks for
    :param model: the model file
    :param aws: account and region of its registry
    :param pinned: the image that the release began with: then its repository counts, as the tag may have moved
    :returns: one error, or none
    """
    own = own_image(model, aws)
    if own is None:
        return []
    asked = EcrImage.parse(wanted)
    found = asked if pinned is None else EcrImage.parse(pinned)
    if asked and found and asked.address == found.address == own.address and (pinned or _agree(asked, own)):
        return []
    exact = f" or {own}" if own.tag or own.digest else ""
    return [
        PolicyViolation(
            "The zip asks for another image than its model file",
            resource="trainingjob.json in trainingjob.zip: AlgorithmSpecification.TrainingImage; model file of "
            f"{model.prefix}: image",
            why="trainingjob.json, field AlgorithmSpecification.TrainingImage: expected "
            f"{own.address}:{_CURRENT}{exact}, found {shown(pinned or wanted)}",
            fix="change the zip, or image in the model file",
        )
    ]


def chosen_image(wanted: str, own: EcrImage) -> EcrImage:
    """Return what a release uses: the model file's image, or the zip's where the file leaves it open.

    :param wanted: the image that the zip asks for, of the same repository
    :param own: the model file's
    :returns: with a tag or a digest; without both it is the newest build
    """
    asked = EcrImage.parse(wanted)
    open_to_zips = not (own.tag or own.digest)
    return asked if open_to_zips and asked and (asked.digest or asked.tag not in (None, _CURRENT)) else own


def _agree(asked: EcrImage, own: EcrImage) -> bool:
    """Tell whether a zip's image is the model file's, or leaves the choice to it."""
    if not (own.tag or own.digest):
        return True
    if asked.digest:
        return asked.digest == own.digest
    return asked.tag in (None, _CURRENT, own.tag)
