"""Shared by the tests of images: where they can be built, and the builds."""

import json

import pytest

from local_aws.compute.docker.build import Build
from local_aws.compute.docker.context import Context
from local_aws.compute.docker.dockerfile import parse
from local_aws.compute.docker.index import Index
from local_aws.compute.docker.registry import manifest_of
from local_aws.compute.docker.step import Step, StepLimits
from local_aws.compute.docker.store import ImageStore
from local_aws.compute.sandbox import box
from local_aws.compute.sandbox.spec import Limits

needs_sandbox = pytest.mark.skipif(bool(box.why_not()), reason=box.why_not() or "it can")
# Enough for a shell, and little enough to be reached at once.
LIMITS = StepLimits(
    layer_bytes=64 * 1024**2,
    seconds=120,
    sandbox=Limits(memory_bytes=512 * 1024**2, processes=64, file_bytes=256 * 1024**2, tmp_bytes=16 * 1024**2),
)


def store_on(base, folder):
    """Make a store of images.

    :param base: a directory with the base image, which tests share because it takes seconds to make
    :param folder: for the store
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "base").symlink_to(base)
    return ImageStore(folder)


class Builder:
    """Builds images of one store.

    :param folder: for the store
    :param base: as for `store_on`; a store that is there already has one
    """

    def __init__(self, folder, base=None):
        self.store = store_on(base, folder) if base else ImageStore(folder)
        self.lines = []

    def __call__(self, context, dockerfile, *, arguments=None, limits=LIMITS):
        """Build, and return the image; `lines` has the output."""
        self.lines = []
        step = Step(self.store, Index(config="", hosts=()), limits, self.lines.append)
        build = Build(self.store, Context(context), arguments or {}, step, self.lines.append)
        return build.run(parse(dockerfile.encode()))

    def digest(self, image):
        """Return the digest that a registry will know the image by."""
        return json.loads(manifest_of(image))
