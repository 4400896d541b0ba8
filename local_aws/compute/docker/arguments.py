"""The command line of `docker` in a build's shell, whoever builds.

https://docs.docker.com/reference/cli/docker/
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from botocore.exceptions import BotoCoreError, ClientError

from local_aws.compute.docker.registry import Reference, reference

_SUPPORTED = "build, images, inspect, login, logout, push, run, tag and version"


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        fail(f"{self.prog}: {message}. The local AWS's docker has {_SUPPORTED}: see `{self.prog} --help`.")


def fail(text: str) -> NoReturn:
    """End the program with an error."""
    sys.exit(f"ERROR: {text}")


def say(line: str) -> None:
    """Write a line of the program's output."""
    print(line, flush=True)  # noqa: T201


def perform(
    images: Any,
    commands: Mapping[str, Callable[[Any, argparse.Namespace], None]],
    words: Sequence[str],
    errors: tuple[type[Exception], ...],
) -> None:
    """Run one command.

    :param images: what commands get first
    :param commands: build, images, inspect, push, run and tag
    :param words: the command line behind `docker`
    :param errors: whose text ends the program
    """
    options = _parser(commands).parse_args(words)
    try:
        options.run(images, options)
    except errors as error:
        fail(str(error))
    except (ClientError, BotoCoreError) as error:
        # As docker says what a registry refuses.
        fail(f"denied: {error}")


def _parser(commands: Mapping[str, Callable[[Any, argparse.Namespace], None]]) -> argparse.ArgumentParser:
    parser = _Parser(prog="docker", allow_abbrev=False)
    parsers = parser.add_subparsers(dest="command", required=True)

    def command(name: str, run: Callable[[Any, argparse.Namespace], None] | None = None) -> argparse.ArgumentParser:
        found = parsers.add_parser(name, allow_abbrev=False)
        found.set_defaults(run=run or commands[name])
        return found

    _add_build(command("build"))
    found = command("login", _login)
    found.add_argument("--username", "-u", required=True)
    found.add_argument("--password-stdin", action="store_true", required=True)
    found.add_argument("server")
    command("logout", lambda _images, _options: None).add_argument("server", nargs="?")
    command("push").add_argument("image")
    found = command("run")
    found.add_argument("--rm", action="store_true", required=True)
    found.add_argument("--network", choices=["none"], required=True)
    found.add_argument("--entrypoint")
    found.add_argument("image")
    found.add_argument("words", nargs=argparse.REMAINDER)
    found = command("tag")
    found.add_argument("source")
    found.add_argument("target")
    found = command("images")
    found.add_argument("--quiet", "-q", action="store_true")
    found = command("inspect")
    found.add_argument("--format", "-f", default="")
    found.add_argument("image")
    command("version", lambda _images, _options: say("docker of the local AWS"))
    return parser


def _add_build(found: argparse.ArgumentParser) -> None:
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


def dockerfile_of(options: argparse.Namespace) -> Path:
    """Return the Dockerfile that a build's options name, or end the program."""
    folder = Path(options.path)
    if not folder.is_dir():
        fail(f"{options.path} is no directory; other contexts are not supported")
    file = Path(options.file or folder / "Dockerfile")
    if not file.is_file():
        fail(f"failed to read dockerfile: open {file}: no such file or directory")
    return file


def build_arguments(options: argparse.Namespace) -> dict[str, str]:
    """Return the build arguments; one without a value has that of the environment's variable, or is left out."""
    arguments = {}
    for text in options.build_arg:
        name, given, value = text.partition("=")
        if given or name in os.environ:
            arguments[name] = value if given else os.environ[name]
    return arguments


def full(name: str) -> str:
    """Return a name with its tag."""
    return name if ":" in name.rpartition("/")[2] or name.startswith("sha256:") else f"{name}:latest"


def in_ecr(name: str) -> Reference:
    """Read an image's name for a push, or end the program."""
    found = reference(name)
    if found is None or not found.tag:
        fail(f"{name} is not ACCOUNT.dkr.ecr.REGION.amazonaws.com/REPOSITORY:TAG, and there is no other registry here")
    return found


def _login(_images: Any, options: argparse.Namespace) -> None:
    # The token is not kept: pushes are signed with the build's own credentials, of which it was made.
    if not sys.stdin.read().strip():
        fail("the password on standard input is empty: did `aws ecr get-login-password` fail?")
    if reference(f"{options.server.removeprefix('https://').rstrip('/')}/x") is None:
        fail(f"{options.server} is no registry of ECR, and there is no other here")
    if options.username != "AWS":
        fail("ECR's user is AWS")
    say("Login Succeeded")
