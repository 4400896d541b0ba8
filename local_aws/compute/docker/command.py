"""`docker`, as far as the shell of an image's build uses it, without a docker engine."""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import replace
from pathlib import Path

import boto3

from local_aws.compute.base import ContainerFailed
from local_aws.compute.docker import tools
from local_aws.compute.docker.arguments import build_arguments, dockerfile_of, fail, full, in_ecr, perform, say
from local_aws.compute.docker.build import Build
from local_aws.compute.docker.context import Context, ContextError
from local_aws.compute.docker.dockerfile import DockerfileError, parse
from local_aws.compute.docker.registry import push
from local_aws.compute.docker.step import Step, StepFailed, StepLimits
from local_aws.compute.docker.store import ImageStore
from local_aws.compute.sandbox import box


def _build(store: ImageStore, options: argparse.Namespace) -> None:
    reason = box.why_not()
    if reason:
        fail(reason)
    file = dockerfile_of(options)
    if options.network == "none":
        index = replace(tools.index_of(store.folder), hosts=(), paths=(), config="")
    else:
        index = tools.index_of(store.folder)
    tell = (lambda _line: None) if options.quiet else say
    context = Context(Path(options.path), os.path.relpath(file, options.path))
    step = Step(store, index, StepLimits(), tell)
    build = Build(store, context, build_arguments(options), step, tell, cached=not options.no_cache)
    image = build.run(parse(file.read_bytes()))
    for tag in options.tag:
        store.save(full(tag), image)
    if not options.tag:
        store.save(image.identity, image)
    tell(f"Successfully built {image.identity.removeprefix('sha256:')[:12]}")
    for tag in options.tag:
        tell(f"Successfully tagged {full(tag)}")
    if options.quiet:
        say(image.identity)


def _push(store: ImageStore, options: argparse.Namespace) -> None:
    image = store.load(full(options.image))
    if image is None:
        fail(f"An image does not exist locally with the tag: {options.image}")
    name = in_ecr(full(options.image))
    say(f"The push refers to repository [{name.registry}/{name.repository}]")
    client = boto3.client("ecr", region_name=name.region)
    digest = push(client, store, image, name, say)
    store.save(full(options.image), replace(image, digests=tuple({*image.digests, name.at(digest)})))


def _run(store: ImageStore, options: argparse.Namespace) -> None:
    """Run a program in an image until it ends; what it writes to files is lost, and it has no network."""
    image = store.load(full(options.image))
    if image is None:
        fail(f"Unable to find image '{full(options.image)}' locally, and nothing is pulled here")
    config = image.config["config"]
    entrypoint = [options.entrypoint] if options.entrypoint else config.get("Entrypoint") or []
    argv = [*entrypoint, *(options.words or ([] if options.entrypoint else config.get("Cmd") or []))]
    if not argv:
        fail("no command specified")
    environment = dict(one.split("=", 1) for one in config.get("Env", []))
    step = Step(store, tools.index_of(store.folder), StepLimits(), say)
    with store.work_folder() as work:
        step.run(
            image.layers,
            work,
            argv,
            environment,
            cwd=config.get("WorkingDir") or "/",
            user=config.get("User") or "0",
            network=False,
        )


def _tag(store: ImageStore, options: argparse.Namespace) -> None:
    image = store.load(full(options.source)) or store.load(options.source)
    if image is None:
        fail(f"No such image: {options.source}")
    store.save(full(options.target), image)


def _images(store: ImageStore, options: argparse.Namespace) -> None:
    for name, image in store.all():
        short = image.identity.removeprefix("sha256:")[:12]
        say(short if options.quiet else f"{name}\t{short}\t{sum(layer.size for layer in image.layers)}")


def _inspect(store: ImageStore, options: argparse.Namespace) -> None:
    image = store.load(full(options.image)) or store.load(options.image)
    if image is None:
        fail(f"No such object: {options.image}")
    values = {
        "{{index .RepoDigests 0}}": image.digests[0] if image.digests else None,
        "{{.Id}}": image.identity,
        "{{.ID}}": image.identity,
    }
    if not options.format:
        say(
            json.dumps(
                [{"Id": image.identity, "RepoDigests": list(image.digests), "Config": image.config["config"]}], indent=4
            )
        )
        return
    if options.format not in values:
        fail(f"--format {options.format} is not supported; there are {', '.join(values)}")
    value = values[options.format]
    if value is None:
        fail("template: :1:2: error calling index: index out of range: 0: push the image first")
    say(value)


_COMMANDS = {"build": _build, "images": _images, "inspect": _inspect, "push": _push, "run": _run, "tag": _tag}


def main(folder: Path, words: list[str]) -> None:
    """Run one command.

    :param folder: where the images are
    :param words: the command line behind `docker`
    """
    perform(ImageStore(folder), _COMMANDS, words, (DockerfileError, ContextError, StepFailed, ContainerFailed))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
