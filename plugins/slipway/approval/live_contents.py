"""Reads what is in the zip of the live model, to compare a release with it."""

from __future__ import annotations

import logging

from slipway import names
from slipway.aws.s3 import uri
from slipway.errors import SlipwayError
from slipway.formats.image_uri import EcrImage
from slipway.plan import ReleasePlan
from slipway.registry.artefact import image_of
from slipway.registry.hook import ModelRegistryHook
from slipway.registry.metadata import DIGEST, REVISION
from slipway.request.archive import MAX_BYTES
from slipway.request.contents import Contents, contents_of
from slipway.request.fence import RequestReader, check_digest

log = logging.getLogger(__name__)


def live_contents(
    arn: str | None, plan: ReleasePlan, registry: ModelRegistryHook, s3: RequestReader
) -> Contents | None:
    """Read the copy of the zip that the live model was made of.

    :param arn: the live model package; None if there is none
    :param plan: the release that is compared with it
    :param registry: the Model Registry
    :param s3: S3
    :returns: None if there is none, or it cannot be read
    """
    if arn is None:
        return None
    try:
        package = registry.describe_model_package(arn) or {}
        properties = package.get("CustomerMetadataProperties", {})
        key = names.request_key(plan.prefix, properties.get(REVISION, ""))
        data = s3.read_version(plan.home_bucket, key, max_bytes=MAX_BYTES)
        check_digest(data, properties.get(DIGEST, ""), uri(plan.home_bucket, key))
        image = EcrImage.parse(image_of(package) or "")
        return contents_of(data).with_image(str(image) if image and image.digest else None)
    except SlipwayError as error:
        # The question is worth asking without the comparison; the screen says that it is missing.
        log.warning("The zip of the live model cannot be read: %s", error.problem)
        return None
