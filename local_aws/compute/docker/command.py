"""`docker`, as far as the shell of an image's build uses it.

https://docs.docker.com/reference/cli/docker/
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from local_aws.compute.base import ContainerFailed
from local_aws.compute.docker import tools
from local_aws.compute.docker.build import Build
from local_aws.compute.docker.context import Context, ContextError
from local_aws.compute.docker.dockerfile import DockerfileError, parse
from local_aws.compute.docker.registry import Reference, push, reference
from local_aws.compute.docker.step import Step, StepFailed, StepLimits
from local_aws.compute.docker.store import ImageStore
from local_aws.compute.sandbox import box

_SUPPORTED = "build, images, inspect, login, logout, push, run, tag and version"


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        _fail(f"{self.prog}: {message}. The local AWS's docker has {_SUPPORTED}: see `{self.prog} --help`.")


def _fail(text: str) -> NoReturn:
    sys.exit(f"ERROR: {text}")


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - the program's output


def main(folder: Path, words: list[str]) -> None:
    """Run one command.

    :param folder: where the images are
    :param words: the command line behind `docker`
    """
    options = _parser().parse_args(words)
    try:
        options.run(ImageStore(folder), options)
    except (DockerfileError, ContextError, StepFailed, ContainerFailed) as error:
        _fail(str(error))
    except (ClientError, BotoCoreError) as error:
        # As docker says what a registry refuses.
        _fail(f"denied: {error}")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="docker", allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", required=True)

    def command(name: str, run: Any) -> argparse.ArgumentParser:
        found = commands.add_parser(name, allow_abbrev=False)
        found.set_defaults(run=run)
        return found

    found = command("build", _build)
    found.add_argument("--tag", "-t", action="append", default=[])
    found.add_argument("--file", "-f")
    found.add_argument("--build-arg", action="append", default=[])
    found.add_argument("--network", choices=["default", "none"], default="default")
    found.add_argument("--platform", choices=["linux/amd64", "linux/arm64"])
    found.add_argument("--progress", choices=["auto", "plain"])
    found.add_argument("--no-cache", action="store_true")
    found.add_argument("--pull", action="store_true")
    found.add_argument("--quiet", "-q", action="store_true")
    found.add_argument("path")
    found = command("login", _login)
    found.add_argument("--username", "-u", required=True)
    found.add_argument("--password-stdin", action="store_true", required=True)
    found.add_argument("server")
    command("logout", lambda _store, _options: None).add_argument("server", nargs="?")
    command("push", _push).add_argument("image")
    found = command("run", _run)
    found.add_argument("--rm", action="store_true", required=True)
    found.add_argument("--network", choices=["none"], required=True)
    found.add_argument("--entrypoint")
    found.add_argument("image")
    found.add_argument("words", nargs=argparse.REMAINDER)
    found = command("tag", _tag)
    found.add_argument("source")
    found.add_argument("target")
    found = command("images", _images)
    found.add_argument("--quiet", "-q", action="store_true")
    found = command("inspect", _inspect)
    found.add_argument("--format", "-f", default="")
    found.add_argument("image")
    command("version", lambda _store, _options: _say("docker of the local AWS"))
    return parser


def _build(store: ImageStore, options: argparse.Namespace) -> None:
    reason = box.why_not()
    if reason:
        _fail(reason)
    folder = Path(options.path)
    if not folder.is_dir():
        _fail(f"{options.path} is no directory; other contexts are not supported")
    file = Path(options.file or folder / "Dockerfile")
    if not file.is_file():
        _fail(f"failed to read dockerfile: open {file}: no such file or directory")
    arguments = {}
    for text in options.build_arg:
        name, given, value = text.partition("=")
        if given or name in os.environ:
            arguments[name] = value if given else os.environ[name]
    if options.network == "none":
        index = replace(tools.index_of(store.folder), hosts=(), paths=(), config="")
    else:
        index = tools.index_of(store.folder)
    say = (lambda _line: None) if options.quiet else _say
    context = Context(folder, os.path.relpath(file, folder))
    step = Step(store, index, StepLimits(), say)
    image = Build(store, context, arguments, step, say, cached=not options.no_cache).run(parse(file.read_bytes()))
    for tag in options.tag:
        store.save(_full(tag), image)
    if not options.tag:
        store.save(image.identity, image)
    say(f"Successfully built {image.identity.removeprefix('sha256:')[:12]}")
    for tag in options.tag:
        say(f"Successfully tagged {_full(tag)}")
    if options.quiet:
        _say(image.identity)


def _full(name: str) -> str:
    """Return a name with its tag."""
    return name if ":" in name.rpartition("/")[2] or name.startswith("sha256:") else f"{name}:latest"


def _login(_store: ImageStore, options: argparse.Namespace) -> None:
    # The token is not kept: pushes are signed with the build's own credentials, of which it was made.
    if not sys.stdin.read().strip():
        _fail("the password on standard input is empty: did `aws ecr get-login-password` fail?")
    if reference(f"{options.server.removeprefix('https://').rstrip('/')}/x") is None:
        _fail(f"{options.server} is no registry of ECR, and there is no other here")
    if options.username != "AWS":
        _fail("ECR's user is AWS")
    _say("Login Succeeded")


def _push(store: ImageStore, options: argparse.Namespace) -> None:
    image = store.load(_full(options.image))
    if image is None:
        _fail(f"An image does not exist locally with the tag: {options.image}")
    name = _in_ecr(_full(options.image))
    _say(f"The push refers to repository [{name.registry}/{name.repository}]")
    client = boto3.client("ecr", region_name=name.region)
    digest = push(client, store, image, name, _say)
    store.save(_full(options.image), replace(image, digests=tuple({*image.digests, name.at(digest)})))


def _run(store: ImageStore, options: argparse.Namespace) -> None:
    """Run a program in an image until it ends; what it writes to files is lost, and it has no network."""
    image = store.load(_full(options.image))
    if image is None:
        _fail(f"Unable to find image '{_full(options.image)}' locally, and nothing is pulled here")
    config = image.config["config"]
    entrypoint = [options.entrypoint] if options.entrypoint else config.get("Entrypoint") or []
    argv = [*entrypoint, *(options.words or ([] if options.entrypoint else config.get("Cmd") or []))]
    if not argv:
        _fail("no command specified")
    environment = dict(one.split("=", 1) for one in config.get("Env", []))
    step = Step(store, tools.index_of(store.folder), StepLimits(), _say)
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


def _in_ecr(name: str) -> Reference:
    found = reference(name)
    if found is None or not found.tag:
        _fail(f"{name} is not ACCOUNT.dkr.ecr.REGION.amazonaws.com/REPOSITORY:TAG, and there is no other registry here")
    return found


def _tag(store: ImageStore, options: argparse.Namespace) -> None:
    image = store.load(_full(options.source)) or store.load(options.source)
    if image is None:
        _fail(f"No such image: {options.source}")
    store.save(_full(options.target), image)


def _images(store: ImageStore, options: argparse.Namespace) -> None:
    for name, image in store.all():
        short = image.identity.removeprefix("sha256:")[:12]
        _say(short if options.quiet else f"{name}\t{short}\t{sum(layer.size for layer in image.layers)}")


def _inspect(store: ImageStore, options: argparse.Namespace) -> None:
    image = store.load(_full(options.image)) or store.load(options.image)
    if image is None:
        _fail(f"No such object: {options.image}")
    values = {
        "{{index .RepoDigests 0}}": image.digests[0] if image.digests else None,
        "{{.Id}}": image.identity,
        "{{.ID}}": image.identity,
    }
    if not options.format:
        _say(
            json.dumps(
                [{"Id": image.identity, "RepoDigests": list(image.digests), "Config": image.config["config"]}], indent=4
            )
        )
        return
    if options.format not in values:
        _fail(f"--format {options.format} is not supported; there are {', '.join(values)}")
    value = values[options.format]
    if value is None:
        _fail("template: :1:2: error calling index: index out of range: 0: push the image first")
    _say(value)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
