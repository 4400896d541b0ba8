"""Builds an image from a Dockerfile, instruction by instruction, without a docker engine.

https://docs.docker.com/reference/dockerfile/
"""

from __future__ import annotations

import hashlib
import json
import posixpath
import re
from collections.abc import Callable, Mapping
from typing import Any

from local_aws.compute.docker import base
from local_aws.compute.docker.context import Context, ContextError
from local_aws.compute.docker.dockerfile import Instruction
from local_aws.compute.docker.image_state import EPOCH, ImageState
from local_aws.compute.docker.step import Step, StepFailed
from local_aws.compute.docker.store import Image, ImageStore, Layer
from local_aws.compute.docker.supported import ENGINE, check

# Changes when the same instruction makes another layer than before.
_FORMAT = 3
# The label by which an image that was built here is known: its base layers are this machine's.
BASE_LABEL = "slipway.local-aws.base"
_ARCHIVES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".txz")
# Set for every RUN: nothing that a time is in, nothing that a second build would not have.
_RUN_ENVIRONMENT = {
    "PYTHONDONTWRITEBYTECODE": "1",
    # Set by a false value: https://pip.pypa.io/en/stable/topics/configuration/#boolean-options
    "PIP_NO_COMPILE": "0",
    "PIP_NO_CACHE_DIR": "1",
    "PIP_ROOT_USER_ACTION": "ignore",
}


class Build:
    """One build.

    :param store: where layers are kept
    :param context: the files that COPY means
    :param arguments: those of `--build-arg`
    :param step: runs what changes files
    :param say: writes a line of the build's output
    :param cached: whether layers of earlier builds are used
    """

    def __init__(
        self,
        store: ImageStore,
        context: Context,
        arguments: Mapping[str, str],
        step: Step,
        say: Callable[[str], None],
        *,
        cached: bool = True,
    ) -> None:
        self._store, self._context, self._step, self._say, self._cached = store, context, step, say, cached
        self._given = dict(arguments)
        self._state = ImageState()

    def run(self, instructions: list[Instruction]) -> Image:
        """Build.

        :param instructions: of the Dockerfile
        :returns: the image, not yet named
        :raises DockerfileError: an instruction is not supported, or wrong
        :raises StepFailed: an instruction has failed
        """
        first, rest = check(instructions)
        before: dict[str, str] = {}
        for argument in first[:-1]:
            self._declare(argument, before)
        self._from(first[-1], before, 1, len(rest) + 1)
        for number, instruction in enumerate(rest, start=2):
            self._say(f"Step {number}/{len(rest) + 1} : {instruction.name} {instruction.value}")
            getattr(self, f"_{instruction.name.lower()}")(instruction)
        unused = sorted(set(self._given) - set(before) - set(self._state.arguments))
        if unused:
            self._say(f"[Warning] One or more build-args {unused} were not consumed")
        return Image(self._state.config(), tuple(layer for layer in self._state.layers if layer.digest))

    def _from(self, instruction: Instruction, before: Mapping[str, str], number: int, count: int) -> None:
        name, *stage = instruction.expand(instruction.value, before).split()
        self._say(f"Step {number}/{count} : FROM {name}")
        if instruction.flags.keys() - {"platform"}:
            raise instruction.refuse(f"expected no flag but --platform, found --{min(instruction.flags)}: remove it")
        # The name of the only stage means nothing.
        if stage and (len(stage) != 2 or stage[0].upper() != "AS"):
            raise instruction.refuse("expected IMAGE or IMAGE AS NAME")
        if not base.is_base(name):
            raise instruction.refuse(
                f"{name} is no base image here: the local AWS has python:{base.VERSION}, "
                f"python:{base.VERSION}-slim and their like, of Docker Hub and of public.ecr.aws/docker/library, "
                f"which are this machine's Python; other images {ENGINE}"
            )
        self._store.base.require()
        self._state.labels[BASE_LABEL] = f"python:{base.VERSION}"
        self._state.key = _digest({"format": _FORMAT, "base": self._store.base.identity})
        self._note(instruction, empty=True)

    # --- instructions that change files ------------------------------------------------------------------------------

    def _run(self, instruction: Instruction) -> None:
        network = instruction.flags.get("network", "default")
        if instruction.flags.keys() - {"network"} or network not in ("default", "none"):
            raise instruction.refuse(f"its flags other than --network=default and --network=none {ENGINE}")
        argv = self._words(instruction)
        environment = self._state.arguments | self._state.environment
        asked = {"run": argv, "environment": environment, "cwd": self._state.workdir, "user": self._state.user}
        self._layer(
            instruction,
            asked | {"network": network},
            lambda layers, work: self._step.run(
                layers,
                work,
                argv,
                environment | _RUN_ENVIRONMENT,
                cwd=self._state.workdir,
                user=self._state.user or "0",
                network=network == "default",
            ),
        )

    def _copy(self, instruction: Instruction) -> None:
        if instruction.flags.keys() - {"chmod", "chown"}:
            raise instruction.refuse(f"its flags other than --chmod and --chown {ENGINE}")
        how = {flag: instruction.expand(value, self._state.values) for flag, value in instruction.flags.items()}
        owner, mode = how.get("chown", ""), _mode(instruction, how)
        words = list(instruction.exec_form() or instruction.words())
        words = [instruction.expand(word, self._state.values) for word in words]
        if len(words) < 2:
            raise instruction.refuse("it needs a source and a destination")
        try:
            sources = self._context.sources(words[:-1])
            files = self._context.digest(sources)
        except (ContextError, OSError) as error:
            raise instruction.refuse(str(error)) from error
        destination = self._absolute(words[-1])
        many = len(sources) > 1 or any(self._context.is_folder(source) for source in sources)
        if len(words) > 2 and not destination.endswith("/"):
            raise instruction.refuse("with several sources the destination must end with /")
        asked = {"copy": destination, "many": many, "owner": owner, "files": files} | ({"mode": mode} if mode else {})
        self._layer(
            instruction,
            asked,
            lambda layers, work: self._step.copy(layers, work, self._context, sources, destination, owner, many, mode),
        )

    def _add(self, instruction: Instruction) -> None:
        words = list(instruction.exec_form() or instruction.words())
        for word in words[:-1]:
            if "://" in word or word.startswith("git@"):
                raise instruction.refuse(f"{word} is not in the context: put the file into it, and COPY it")
            # What docker would unpack: https://docs.docker.com/reference/dockerfile/#adding-local-tar-archives
            if word.lower().endswith(_ARCHIVES):
                raise instruction.refuse(f"it would unpack {word}: COPY it, and RUN tar -xf")
        self._copy(instruction)

    def _workdir(self, instruction: Instruction) -> None:
        text = instruction.expand(instruction.value.strip("\"'"), self._state.values)
        self._state.workdir = posixpath.normpath(self._absolute(text))
        self._layer(
            instruction,
            {"workdir": self._state.workdir},
            lambda layers, work: self._step.copy(layers, work, self._context, [], self._state.workdir, "", True),
        )

    def _absolute(self, path: str) -> str:
        joined = posixpath.join(self._state.workdir, path)
        normal = posixpath.normpath(joined)
        return f"{normal.rstrip('/')}/" if joined.endswith(("/", "/.")) or normal == "/" else normal

    def _layer(
        self, instruction: Instruction, asked: Mapping[str, Any], make: Callable[[tuple[Layer, ...], Any], Any]
    ) -> None:
        """Find the layer of an instruction, or make it."""
        key = _digest({"parent": self._state.key, **asked})
        layer = self._store.layer(key) if self._cached else None
        if layer:
            self._say(" ---> Using cache")
        else:
            try:
                with self._store.work_folder() as work:
                    make(tuple(self._state.layers), work)
                    layer = self._step.keep(key, work)
            except StepFailed as error:
                raise StepFailed(f"Dockerfile:{instruction.line}: {instruction.name}: {error}") from error
        self._state.key = key
        self._state.layers.append(layer)
        self._note(instruction, empty=not layer.digest)

    # --- instructions that describe ----------------------------------------------------------------------------------

    def _arg(self, instruction: Instruction) -> None:
        self._declare(instruction, self._state.arguments)

    def _declare(self, instruction: Instruction, arguments: dict[str, str]) -> None:
        for word in instruction.words():
            name, given, default = word.partition("=")
            value = self._given.get(
                name, instruction.expand(default, self._state.values | arguments) if given else None
            )
            if value is not None:
                arguments[name] = value
        self._note(instruction, empty=True)

    def _env(self, instruction: Instruction) -> None:
        self._state.environment |= self._pairs(instruction)
        self._note(instruction, empty=True)

    def _label(self, instruction: Instruction) -> None:
        self._state.labels |= self._pairs(instruction)
        self._note(instruction, empty=True)

    def _pairs(self, instruction: Instruction) -> dict[str, str]:
        words = instruction.words()
        if "=" not in words[0]:
            name, _, value = instruction.value.partition(" ")
            return {name: instruction.expand(_unquoted(value.strip()), self._state.values)}
        if any("=" not in word for word in words):
            raise instruction.refuse("each must be NAME=value")
        pairs = (word.partition("=") for word in words)
        return {name: instruction.expand(value, self._state.values) for name, _, value in pairs}

    def _user(self, instruction: Instruction) -> None:
        self._state.user = instruction.expand(instruction.value, self._state.values)
        self._note(instruction, empty=True)

    def _expose(self, instruction: Instruction) -> None:
        for word in instruction.words():
            port = instruction.expand(word, self._state.values)
            self._state.exposed[port if "/" in port else f"{port}/tcp"] = {}
        self._note(instruction, empty=True)

    def _maintainer(self, instruction: Instruction) -> None:
        self._state.author = instruction.value
        self._note(instruction, empty=True)

    def _healthcheck(self, instruction: Instruction) -> None:
        # SageMaker asks /ping, whatever the image says.
        self._note(instruction, empty=True)

    def _stopsignal(self, instruction: Instruction) -> None:
        if instruction.value not in ("SIGTERM", "15"):
            raise instruction.refuse("SageMaker sends SIGTERM: remove the line, and have train and serve end at that")
        self._note(instruction, empty=True)

    def _shell(self, instruction: Instruction) -> None:
        words = instruction.exec_form()
        if not words:
            raise instruction.refuse('expected a list in the JSON form, such as ["/bin/bash", "-c"]')
        self._state.shell = words
        self._note(instruction, empty=True)

    def _entrypoint(self, instruction: Instruction) -> None:
        self._state.entrypoint = self._words(instruction)
        # As docker does it: a command of the base image is for its own entry point.
        self._state.command = None
        self._note(instruction, empty=True)

    def _cmd(self, instruction: Instruction) -> None:
        self._state.command = self._words(instruction)
        self._note(instruction, empty=True)

    def _words(self, instruction: Instruction) -> list[str]:
        return list(instruction.exec_form() or (*self._state.shell, instruction.value))

    # --- the image ---------------------------------------------------------------------------------------------------

    def _note(self, instruction: Instruction, *, empty: bool) -> None:
        text = f"{instruction.name} {instruction.value}"
        self._state.history.append({"created": EPOCH, "created_by": text} | ({"empty_layer": True} if empty else {}))


def _mode(instruction: Instruction, flags: Mapping[str, str]) -> str:
    """Return what `--chmod` says, in octal digits; empty without it."""
    mode = flags.get("chmod", "")
    if mode and not re.fullmatch("[0-7]{3,4}", mode):
        raise instruction.refuse(f"--chmod={mode} is no mode in octal digits, such as 755")
    return mode


def _unquoted(text: str) -> str:
    """Remove quotation marks, as docker does in `ENV NAME value`."""
    return re.sub(r"\\([\"'])|[\"']", lambda match: match[1] or "", text)


def _digest(document: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()[:32]
