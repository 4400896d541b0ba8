"""Unused images are removed while builds go on and containers run."""

import json
import os
import time

import pytest

from local_aws.compute.base import ContainerSpec
from local_aws.compute.docker.build import Build
from local_aws.compute.docker.context import Context
from local_aws.compute.docker.dockerfile import parse
from local_aws.compute.docker.index import Index
from local_aws.compute.docker.step import Step
from local_aws.compute.docker.store import ImageStore
from local_aws.compute.docker.tools import images_folder
from local_aws.compute.process import ProcessCompute
from tests.local_aws.compute.docker.images import LIMITS, Builder, needs_sandbox

pytestmark = needs_sandbox
FROM = "FROM python:3.11-slim\n"
DAY_SECONDS = 86400
DIGEST = "a" * 64
IMAGE = f"123456789012.dkr.ecr.us-west-2.amazonaws.com/own@sha256:{DIGEST}"


def age(store, days):
    """Have nothing used for some days."""
    then = time.time() - days * DAY_SECONDS
    for path in (*store.folder.glob("layers/*/layer.json"), *store.folder.glob("pulled/*.json")):
        os.utime(path, (then, then))


def keys(store):
    return {folder.name for folder in (store.folder / "layers").iterdir()}


def test_a_build_that_goes_on_keeps_what_it_has_found(builder, context):
    unused = builder(context, f"{FROM}RUN echo unused > /unused\n")
    shared = builder(context, f"{FROM}RUN echo shared > /shared\n")
    age(builder.store, days=31)
    rounds = []

    def say(line):
        # As the local AWS does in its own process; the next instruction needs what was found.
        if line.startswith(" ---> Using cache") or line == "in the step":
            ImageStore(builder.store.folder).remove_unused(30 * DAY_SECONDS)
            rounds.append(line)

    step = Step(builder.store, Index(config="", hosts=()), LIMITS, say)
    text = f"{FROM}RUN echo shared > /shared\nRUN echo in the step; sleep 1; cat /shared > /copy\n"
    built = Build(builder.store, Context(context), {}, step, say).run(parse(text.encode()))
    assert rounds == [" ---> Using cache", "in the step"]
    assert keys(builder.store) == {layer.key for layer in built.layers}
    assert shared.layers == built.layers[:1]
    assert unused.layers[0].key not in keys(builder.store)
    copy = builder.store.layer_folder(built.layers[1].key) / "diff" / "copy"
    assert copy.read_text() == "shared\n"


@pytest.fixture
def compute(tmp_path, base_folder, context):
    """A compute that has pulled an image of one layer."""
    builder = Builder(images_folder(tmp_path / "compute"), base_folder)
    image = builder(context, f'{FROM}RUN echo "sleep 600" > /wait\n')
    config = {"Entrypoint": ["/bin/sh", "/wait"]}
    layers = [layer.key for layer in image.layers]
    builder.store.save_pulled(f"sha256:{DIGEST}", json.dumps({"config": config, "layers": layers}))
    (tmp_path / "ml").mkdir()
    found = ProcessCompute(tmp_path / "compute")
    found.reap_orphans()
    return found, builder.store


def test_a_container_keeps_its_image_for_as_long_as_it_runs(compute, tmp_path):
    compute, store = compute
    container = compute.start(ContainerSpec("it", IMAGE, "train", tmp_path / "ml"))
    try:
        for _ in range(2):
            age(store, days=31)
            compute.remove_unused()
            assert len(keys(store)) == 1
        assert container.wait(0) is None
    finally:
        container.stop(0)
    compute.remove_unused()
    assert len(keys(store)) == 1
    age(store, days=31)
    compute.remove_unused()
    assert keys(store) == set()
    assert list((store.folder / "pulled").iterdir()) == []
