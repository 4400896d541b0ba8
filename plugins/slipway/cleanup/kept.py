"""What a teardown keeps, each with the command that removes it."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from slipway import image_names, names
from slipway.aws.s3 import StoredObject, uri
from slipway.errors import SlipwayError
from slipway.model.config import ModelConfig

# How a key prefix or one object is removed. In a versioned bucket objects become noncurrent versions.
# https://docs.aws.amazon.com/cli/latest/reference/s3/rm.html
_REMOVE = "aws s3 rm"
_REMOVE_ALL = "aws s3 rm --recursive"
# https://docs.aws.amazon.com/cli/latest/reference/ecr/delete-repository.html
_REMOVE_IMAGES = "aws ecr delete-repository --force --repository-name"
# So many objects are counted; of more only that is said, because releases leave their claims for good.
_COUNTED = 100
# Lists at most so many objects of a bucket below a prefix.
Objects = Callable[[str, str, int], list[StoredObject]]


@dataclass(frozen=True)
class Kept:
    """Something of a model that a teardown keeps.

    :param what: what it is
    :param where: its name or S3 URI
    :param size: how much there is; empty where that was not looked up
    :param removal: how to remove it
    """

    what: str
    where: str
    size: str
    removal: str

    def __str__(self) -> str:
        size = f" ({self.size})" if self.size else ""
        return f"{self.what}, {self.where}{size}. To remove it: {self.removal}"


def kept_objects(model: ModelConfig, resolve: Callable[[str], str], objects: Objects) -> Iterator[Kept]:
    """List what stays of a model in S3; places without objects are left out.

    :param model: the model file's content
    :param resolve: fills in account and region
    :param objects: lists objects
    """
    bucket, key = resolve(model.source.bucket), model.source.key
    for what, prefix, command in (
        ("the upload", key, _REMOVE),
        (
            "the releases' documents, copies of zips, and models, which the record refers to",
            f"releases/{model.prefix}/",
            _REMOVE_ALL,
        ),
        ("reports of stress tests", f"stress/{model.prefix}/", _REMOVE_ALL),
    ):
        size = _size(objects, bucket, prefix)
        if size:
            yield Kept(what, uri(bucket, prefix), size, f"{command} {shlex.quote(uri(bucket, prefix))}")
    if model.image:
        sources = f"{image_names.SOURCE_PREFIX}{model.prefix}/"
        for what, prefix in (
            ("the sources of its images", sources),
            ("lists of what is in its images", image_names.packages_folder(model.prefix)),
        ):
            if size := _size(objects, bucket, prefix):
                place = uri(bucket, prefix)
                yield Kept(what, place, size, f"{_REMOVE_ALL} {shlex.quote(place)}")
        repository = model.image.repository
        yield Kept("the container images, which the record refers to", repository, "", f"{_REMOVE_IMAGES} {repository}")
    for place in map(resolve, model.policy.s3_prefixes):
        # Not counted: captured traffic may be millions of objects, and the bucket may be another one.
        yield Kept(
            "training data, what training jobs wrote, and captured traffic",
            place,
            "",
            f"{_REMOVE_ALL} {shlex.quote(place)}",
        )


def kept_registry(prefix: str, newest: int) -> Kept:
    """Describe the Model Registry's record of a model that was kept.

    :param prefix: the model's prefix
    :param newest: the version of the newest model package
    """
    return Kept(
        "the record of releases and decisions in the Model Registry",
        names.model_package_group(prefix),
        f"model packages up to version {newest}",
        'trigger the teardown again with "Remove the record too"',
    )


def _size(objects: Objects, bucket: str, prefix: str) -> str:
    try:
        found = objects(bucket, prefix, _COUNTED)
    except SlipwayError as error:
        # Everything else has been removed, so this only makes the list less exact.
        return f"not counted: {error.problem}"
    if len(found) == _COUNTED:
        return f"{_COUNTED} objects or more"
    return f"{len(found)} objects, {sum(one.size_bytes for one in found)} bytes" if found else ""
