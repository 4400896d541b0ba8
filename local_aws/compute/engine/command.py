"""`docker`, as far as the shell of an image's build uses it, with the engine of this machine."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import NoReturn

import boto3

from local_aws.compute.docker import tools
from local_aws.compute.docker.arguments import build_arguments, dockerfile_of, fail, full, in_ecr, perform, say
from local_aws.compute.docker.store import ImageStore
from local_aws.compute.engine import command_lines
from local_aws.compute.engine.archive import ArchiveError
from local_aws.compute.engine.command_lines import BuildOptions
from local_aws.compute.engine.engine import Engine, EngineError
from local_aws.compute.engine.images import EngineImages
from local_aws.compute.sandbox.spec import Limits

_DIGEST = "{{index .RepoDigests 0}}"


class _Images:
    """What the commands work with.

    :param folder: where the compute keeps its images
    """

    def __init__(self, folder: Path) -> None:
        self.store = ImageStore(folder)
        self.engine = Engine.kept(folder)
        self.owner = command_lines.owner_of(folder.parent)
        self._pushed = folder / "pushed"
        self._pushed.mkdir(exist_ok=True)

    def require(self, name: str, otherwise: str) -> str:
        """Return an image's id, or end the program."""
        return self.engine.image_id(name) or fail(otherwise)

    def note(self, identity: str, digest: str) -> None:
        """Note `repository@digest` of an image, which the engine itself has not pushed."""
        (self._pushed / identity).write_text(json.dumps([digest, *self.digests(identity)]))

    def digests(self, identity: str) -> list[str]:
        """Return what was noted, the newest first."""
        path = self._pushed / identity
        found: list[str] = json.loads(path.read_text()) if path.exists() else []
        return found


def _build(images: _Images, options: argparse.Namespace) -> NoReturn:
    file = dockerfile_of(options)
    given = (("--platform", options.platform), ("--progress", options.progress))
    # podman has no output but the plain one.
    flags = [
        word
        for flag, value in given
        if value and not (flag == "--progress" and images.engine.is_podman)
        for word in (flag, value)
    ]
    flags += ["--network", "none"] if options.network == "none" else []
    flags += [flag for flag in ("--no-cache", "--pull", "--quiet") if getattr(options, flag[2:].replace("-", "_"))]
    index = None if options.network == "none" else tools.index_of(images.store.folder)
    with images.store.work_folder() as work:
        config = work / "pip.conf"
        config.write_text(index.config if index else "")
        config.chmod(0o644)
        build = BuildOptions(Path(options.path), file, [*map(full, options.tag)], build_arguments(options), flags)
        status = images.engine.call(*command_lines.build(build, images.engine.is_podman, index, config))
    sys.exit(status)


def _push(images: _Images, options: argparse.Namespace) -> None:
    image = full(options.image)
    identity = images.require(image, f"An image does not exist locally with the tag: {options.image}")
    name = in_ecr(image)
    say(f"The push refers to repository [{name.registry}/{name.repository}]")
    client = boto3.client("ecr", region_name=name.region)
    digest = EngineImages(images.engine, images.store).push(client, image, name, say)
    images.note(identity, name.at(digest))


def _run(images: _Images, options: argparse.Namespace) -> NoReturn:
    image = full(options.image)
    images.require(image, f"Unable to find image '{image}' locally, and nothing is pulled here")
    words = command_lines.run(image, options.words, options.entrypoint, images.owner, Limits())
    sys.exit(images.engine.call(*words))


def _tag(images: _Images, options: argparse.Namespace) -> None:
    images.engine.run("tag", options.source, full(options.target))


def _images(images: _Images, options: argparse.Namespace) -> NoReturn:
    sys.exit(images.engine.call("images", *(("--quiet",) if options.quiet else ())))


def _inspect(images: _Images, options: argparse.Namespace) -> None:
    identity = images.require(options.image, f"No such object: {options.image}")
    if options.format == _DIGEST:
        found = images.digests(identity)
        say(
            found[0]
            if found
            else fail("template: :1:2: error calling index: index out of range: 0: push the image first")
        )
        return
    words = ("--format", options.format) if options.format else ()
    sys.exit(images.engine.call("image", "inspect", *words, options.image))


_COMMANDS = {"build": _build, "images": _images, "inspect": _inspect, "push": _push, "run": _run, "tag": _tag}


def main(folder: Path, words: list[str]) -> None:
    """Run one command.

    :param folder: where the images are
    :param words: the command line behind `docker`
    """
    perform(_Images(folder), _COMMANDS, words, (EngineError, ArchiveError, OSError))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
