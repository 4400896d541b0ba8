"""The model's own container image: the section ``image`` of a model file."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from slipway.formats.image_uri import DIGEST_PATTERN, REPOSITORY_PATTERN, TAG_PATTERN
from slipway.model.image_build import ImageBuild
from slipway.validation import Strict, wrong


class OwnImage(Strict):
    """The image that trains and serves the model, in ECR in the account and region of the model's connection.

    With neither a tag nor a digest, each release takes the newest image that Slipway has built.

    :param repository: the repository's name
    :param tag: the image of this tag; each release pins the digest that the tag has then
    :param digest: exactly this image, with ``sha256:``
    :param build: how Slipway builds it from its source
    :param release_new: whether each new image that was built has the newest zip released again
    """

    repository: Annotated[str, Field(min_length=2, max_length=256, pattern=rf"^{REPOSITORY_PATTERN}$")]
    tag: Annotated[str, Field(pattern=rf"^{TAG_PATTERN}$")] | None = None
    digest: Annotated[str, Field(pattern=rf"^{DIGEST_PATTERN}$")] | None = None
    build: ImageBuild = ImageBuild()
    release_new: bool = False

    @model_validator(mode="after")
    def _names_at_most_one(self) -> Self:
        if self.tag is not None and self.digest is not None:
            raise wrong("either tag or digest", "remove one of them")
        if self.release_new and (self.tag or self.digest):
            raise wrong("release_new without tag and digest", "remove them: new images would not be used")
        return self
