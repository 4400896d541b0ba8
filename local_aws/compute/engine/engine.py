"""The container engine of this machine, and the command lines that docker and podman understand."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

PROGRAMS = ("docker", "podman")
_FILE = "engine.json"
# Where the engine is and how it is set up; above all no credentials of AWS.
# https://docs.docker.com/reference/cli/docker/#environment-variables and
# https://github.com/containers/common/blob/main/docs/containers.conf.5.md
_PASSED = frozenset({"PATH", "HOME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "BUILDAH_ISOLATION"})
_PASSED_BEGINNINGS = ("DOCKER_", "CONTAINERS_", "CONTAINER_")
_PROXIES = frozenset({"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"})
_ANSWER_SECONDS = 60.0
_MAX_REASON = 1000


class EngineError(Exception):
    """No engine answers, or it refused a command; the text is its own."""


@dataclass(frozen=True)
class Engine:
    """An engine's program.

    :param program: `docker` or `podman`
    :param environment: of each of its commands
    """

    program: str
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def kept(cls, folder: Path) -> Self:
        """Return the engine that `keep` has noted in a folder."""
        return cls(**json.loads((folder / _FILE).read_text()))

    def keep(self, folder: Path) -> None:
        """Note the engine for the programs of a build's shell."""
        path = folder / _FILE
        path.touch(0o600)
        path.write_text(json.dumps(asdict(self)))

    @property
    def is_podman(self) -> bool:
        """Whether the few options that differ are podman's."""
        return self.program == "podman"

    def command(self, *arguments: str) -> list[str]:
        """Return a command line."""
        return [self.program, *arguments]

    def run(self, *arguments: str) -> str:
        """Run a command and return what it prints.

        :raises EngineError: it failed
        """
        done = subprocess.run(
            self.command(*arguments),
            env=dict(self.environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        if done.returncode:
            said = (done.stderr.strip() or done.stdout.strip())[-_MAX_REASON:]
            raise EngineError(f"{self.program} {arguments[0]}: {said or f'exit code {done.returncode}'}")
        return done.stdout

    def call(self, *arguments: str) -> int:
        """Run a command whose output is this process's, and return its exit status."""
        command = self.command(*arguments)
        return subprocess.run(command, env=dict(self.environment), stdin=subprocess.DEVNULL, check=False).returncode

    def image_id(self, name: str) -> str | None:
        """Return the id of an image that the engine has; None if it has none by this name."""
        try:
            return self.run("image", "inspect", "--format", "{{.Id}}", name).strip().removeprefix("sha256:")
        except EngineError:
            return None

    def inspect(self, containers: Sequence[str]) -> list[dict[str, Any]]:
        """Return what the engine knows of containers.

        :raises EngineError: one is not there
        """
        found: list[dict[str, Any]] = json.loads(self.run("container", "inspect", *containers)) if containers else []
        return found

    def remove(self, containers: Sequence[str]) -> None:
        """Kill and remove containers; one that is not there is fine.

        :raises EngineError: one cannot be removed
        """
        # podman would wait ten seconds for an end by SIGTERM. https://docs.podman.io/en/v4.3/markdown/podman-rm.1.html
        at_once = ("--time", "0") if self.is_podman else ()
        for container in containers:
            try:
                self.run("rm", "--force", "--volumes", *at_once, container)
            except EngineError as error:
                if "no such container" not in str(error).lower():
                    raise


def find(environment: Mapping[str, str]) -> Engine:
    """Return docker where it answers, else podman.

    :param environment: of this process
    :raises EngineError: neither answers; the text says what each said
    """
    passed = {
        name: value
        for name, value in environment.items()
        if name in _PASSED or name.startswith(_PASSED_BEGINNINGS) or name.upper() in _PROXIES
    }
    said = []
    for program in PROGRAMS:
        engine = Engine(program, {"PATH": os.defpath, **passed})
        try:
            done = subprocess.run(
                engine.command("info"),
                env=dict(engine.environment),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
                timeout=_ANSWER_SECONDS,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            said.append(f"{program}: {error}")
            continue
        if done.returncode == 0:
            return engine
        said.append(f"{program} info: {done.stderr.strip()[-_MAX_REASON:]}")
    raise EngineError(
        "No container engine answers, which --compute container needs: start docker, or install podman, or leave the "
        f"option out. {'; '.join(said)}"
    )
