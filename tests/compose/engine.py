"""The container engine of this machine: docker where it answers, else podman with podman-compose."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from tools.debian import ensure
from tools.settings import ROOT

# What podman needs on a bare Debian 12.
PACKAGES = "podman runc podman-compose debootstrap aardvark-dns iptables"
# crun fails on a machine with both kinds of cgroups, systemd is not there, and the usual limits need a capability.
# https://github.com/containers/common/blob/main/docs/containers.conf.5.md
CONFIGURATION = """[containers]
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
[engine]
cgroup_manager = "cgroupfs"
runtime = "runc"
"""
# The Dockerfile's steps run with the machine's own network, through which packages come.
BUILD = ("build", "--isolation", "chroot", "--network", "host", "--layers")
LOOK_SECONDS = 2.0
PATIENCE_SECONDS = 900.0


class EngineError(Exception):
    """A command failed, or something did not come about in time; the message says what."""


class Engine:
    """Runs one compose project.

    :param project: its name, which all its containers, networks and volumes carry
    :param folder: the project's folder: docker-compose.yaml, .env and what they name
    :param variables: what the engine's own process needs in its environment
    """

    program = "docker"

    def __init__(self, project: str, folder: Path, variables: Mapping[str, str] | None = None) -> None:
        self.project = project
        self.folder = folder
        self._environment = os.environ | (variables or {})

    def run(self, *arguments: str, check: bool = True) -> str:
        """Run the engine's program and return what it prints.

        :raises EngineError: it failed, unless `check` is off
        """
        return self._run([self.program, *arguments], check)

    def compose(self, *arguments: str, check: bool = True) -> str:
        """Run a command of compose for this project."""
        return self._run([self.program, "compose", "--project-name", self.project, *arguments], check)

    def up(self, services: Sequence[str]) -> None:
        """Start services and what they depend on, and wait until all are healthy."""
        self.compose("up", "--detach", "--wait", "--no-build", *services)

    def containers(self, service: str | None = None) -> list[str]:
        """Return the names of the project's containers, or of one service's, in the order of their numbers."""
        wanted = [f"label=com.docker.compose.project={self.project}"]
        wanted += [f"label=com.docker.compose.service={service}"] if service else []
        filters = [part for one in wanted for part in ("--filter", one)]
        return sorted(self.run("ps", "--all", *filters, "--format", "{{.Names}}").split())

    def inspect(self, container: str) -> dict[str, Any]:
        """Return what the engine knows of a container."""
        found: dict[str, Any] = json.loads(self.run("inspect", container))[0]
        return found

    def healthy(self, container: str) -> bool:
        """Tell whether a container runs and its health check passes, or it has none."""
        state = self.inspect(container)["State"]
        return bool(state["Running"] and state.get("Health", {}).get("Status", "healthy") == "healthy")

    def wait_healthy(self, containers: Sequence[str]) -> float:
        """Wait until containers are healthy.

        :returns: seconds
        """
        return self.wait(f"{', '.join(containers)} to be healthy", lambda: all(map(self.healthy, containers)))

    def wait(self, what: str, condition: Callable[[], Any]) -> float:
        """Ask until something is the case.

        :returns: seconds
        :raises EngineError: it was not the case in time
        """
        begun = time.monotonic()
        while not condition():
            if time.monotonic() - begun > PATIENCE_SECONDS:
                raise EngineError(f"waited {PATIENCE_SECONDS:.0f} s for {what}")
            time.sleep(LOOK_SECONDS)
        return time.monotonic() - begun

    def kill(self, container: str) -> None:
        """Kill a container's first process as a crash does: for `docker kill` no restart policy counts."""
        os.kill(int(self.inspect(container)["State"]["Pid"]), signal.SIGKILL)

    def remains(self) -> list[str]:
        """Return the project's containers, networks and volumes that are there."""
        label = f"label=com.docker.compose.project={self.project}"
        networks = self.run("network", "ls", "--filter", label, "--format", "{{.Name}}").split()
        volumes = self.run("volume", "ls", "--filter", label, "--format", "{{.Name}}").split()
        return [*self.containers(), *networks, *volumes]

    def down(self) -> None:
        """Stop and remove the containers; the volumes stay."""
        self.compose("--profile", "*", "down")

    def remove(self) -> None:
        """Remove everything of the project, however far it came."""
        self.compose("--profile", "*", "down", "--volumes", "--timeout", "5", check=False)

    def _run(self, command: list[str], check: bool) -> str:
        done = subprocess.run(
            command, cwd=self.folder, env=self._environment, capture_output=True, text=True, check=False
        )
        if check and done.returncode:
            raise EngineError(f"{' '.join(command)} → {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
        return done.stdout


class Podman(Engine):
    """podman with podman-compose 1.0.3 of Debian 12, which knows no profiles, no conditions and no timers of checks."""

    program = "podman"

    def __init__(self, project: str, folder: Path) -> None:
        configuration = folder / "containers.conf"
        configuration.write_text(CONFIGURATION)
        super().__init__(project, folder, {"CONTAINERS_CONF": str(configuration)})
        self._drop_dependencies()

    def _drop_dependencies(self) -> None:
        """Take `depends_on` out of the project's file: podman-compose would run `init` again for each part."""
        path = self.folder / "docker-compose.yaml"
        compose = yaml.safe_load(path.read_text())
        self.dependencies = {name: service.pop("depends_on", {}) for name, service in compose["services"].items()}
        path.write_text(yaml.safe_dump(compose, sort_keys=False))

    def compose(self, *arguments: str, check: bool = True) -> str:
        return self._run(["podman-compose", "--project-name", self.project, *arguments], check)

    def build(
        self, tag: str, folder: Path, target: str | None = None, arguments: Mapping[str, str] | None = None
    ) -> None:
        """Build a folder's Dockerfile, or one stage of it.

        :param arguments: its build arguments
        """
        given = [part for name, value in (arguments or {}).items() for part in ("--build-arg", f"{name}={value}")]
        # For the stand-in that comes with Airflow.
        given += ["--volume", f"{(ROOT / '.venv').resolve()}:/mnt/venv:ro"]
        given += ["--target", target] if target else []
        self.run(*BUILD, "--tag", tag, *given, str(folder))

    def up(self, services: Sequence[str]) -> None:
        """Start services in the order of `depends_on`, and wait for what each of them waits for."""
        started: set[str] = set()
        for service in services:
            self._start(service, started)
        self.wait_healthy([name for service in services for name in self.containers(service) if service != "init"])

    def _start(self, service: str, started: set[str]) -> None:
        if service in started:
            return
        started.add(service)
        for needed, terms in self.dependencies[service].items():
            self._start(needed, started)
            names = self.containers(needed)
            if terms["condition"] == "service_completed_successfully":
                if any(int(self.run("wait", name)) for name in names):
                    raise EngineError(f"{needed} failed:\n{self.run('logs', names[0])[-4000:]}")
            else:
                self.wait_healthy(names)
        if not all(map(self._runs, self.containers(service) or [""])):
            self.compose("up", "--detach", "--no-build", service)
        if not self.containers(service):
            raise EngineError(f"podman-compose made no container of {service}")

    def _runs(self, container: str) -> bool:
        return bool(container and self.inspect(container)["State"]["Running"])

    def healthy(self, container: str) -> bool:
        """Run the check now: podman's timers are systemd's, which a container or a bare machine may not have."""
        inspected = self.inspect(container)
        if not inspected["State"]["Running"]:
            return False
        if not inspected["Config"].get("Healthcheck"):
            return True
        command = [self.program, "healthcheck", "run", container]
        done = subprocess.run(command, env=self._environment, capture_output=True, check=False)
        return done.returncode == 0

    def down(self) -> None:
        # Its own `down` gives each container a second, whatever stop_grace_period says.
        self.run("stop", "--time", "30", *self.containers())
        self.run("rm", *self.containers())

    def remove(self) -> None:
        # A container that takes longer to stop is killed, and its removal fails: PostgreSQL, on a busy machine.
        for _ in range(2):
            if names := self.containers():
                self.run("rm", "--force", "--time", "10", *names, check=False)
        label = f"label=com.docker.compose.project={self.project}"
        for kind in ("volume", "network"):
            for name in self.run(kind, "ls", "--filter", label, "--format", "{{.Name}}", check=False).split():
                self.run(kind, "rm", name, check=False)


def found(project: str, folder: Path) -> Engine:
    """Return docker where it answers, else podman.

    :raises EngineError: no docker answers, and this is not root
    :raises PackageError: podman is missing; the message says what to install
    """
    if shutil.which("docker"):
        asked = subprocess.run(["docker", "info"], capture_output=True, check=False)  # noqa: S607
        if asked.returncode == 0:
            return Engine(project, folder)
    if os.getuid():
        raise EngineError("No docker answers here. podman is tried as root only: debootstrap needs it.")
    for program in ("podman", "podman-compose", "runc", "debootstrap"):
        ensure(program, package=PACKAGES, needed_by="make compose-test", otherwise="; or start docker")
    return Podman(project, folder)
