"""A model with a container image of its own, and sources of its image."""

import zipfile
from collections.abc import Mapping

from slipway.model.config import ModelConfig
from slipway.plan import Revision
from tests.unit.request_samples import BUCKET, iris, zip_of

PREFIX = "iris-forest"
KEY = f"image_builds/{PREFIX}/image.zip"
BASE = "public.ecr.aws/docker/library/python:3.11-slim"
DOCKERFILE = f"FROM {BASE}\nCOPY greeting.txt /opt/program/\n"


def forest_model(**build: object) -> ModelConfig:
    """The model file of the random forest: the shipped one with another name and an image of its own.

    :param build: its section image.build
    """
    content = iris()
    content |= {"prefix": PREFIX, "image": {"build": build}, "timeouts": {"poll_seconds": 0.5}}
    content["policy"] = {name: value for name, value in content["policy"].items() if name != "image"}
    content["policy"]["endpoint"] = {"endpoint_prefix": PREFIX}
    return ModelConfig.model_validate(content)


def source_zip(dockerfile: str = DOCKERFILE, files: Mapping[str, str | bytes] | None = None) -> bytes:
    """The source of an image; the same bytes for the same content."""
    members = {"Dockerfile": dockerfile, "greeting.txt": "hello", **(files or {})}
    return zip_of(*((zipfile.ZipInfo(name), content) for name, content in members.items()))


def image_revision(data: bytes, version_id: str = "v1") -> Revision:
    """A pinned upload of a source."""
    return Revision(
        BUCKET, KEY, version_id, "etag", len(data), "2026-05-01T12:00:00+00:00", sequence="2026-05-01T12:00:00+00:00"
    )
