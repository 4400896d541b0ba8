"""Containers of the engine: `docker run IMAGE train` and `docker run IMAGE serve`.

https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-dockerfile.html
https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import stat
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from local_aws import trees
from local_aws.compute.base import Container, ContainerFailed, ContainerSpec
from local_aws.compute.docker import registry
from local_aws.compute.docker.cache import cannot_pull
from local_aws.compute.docker.store import ImageStore
from local_aws.compute.docker.tools import images_folder
from local_aws.compute.engine import command_lines
from local_aws.compute.engine.engine import Engine, EngineError
from local_aws.compute.engine.images import EngineImages, name_of
from local_aws.compute.images import algorithm
from local_aws.compute.process import MAX_WRITTEN_BYTES, ProcessCompute, ProcessContainer
from local_aws.compute.sandbox.disk import too_much
from local_aws.compute.sandbox.spec import Limits
from local_aws.compute.usage import Usage, usage_of_tree

_log = logging.getLogger(__name__)
_SOURCE_ROOT = Path(__file__).resolve().parents[3]
_LOOK_SECONDS = 0.2


class EngineContainer(ProcessContainer):
    """A container of the engine; the process is the engine's program that reads its output.

    :param engine: which runs it
    :param name: of the container
    :param process: ends as the container does, and with its exit status
    :param on_end: called when the container is removed
    :param check: called while it runs; tells why it must be stopped, nothing while it may go on
    :param port: of this machine that leads to its server, where the engine does not do that; None where it does
    """

    def __init__(
        self,
        engine: Engine,
        name: str,
        process: subprocess.Popen[str],
        on_end: Callable[[], None],
        check: Callable[[], str],
        port: int | None,
    ) -> None:
        self._engine, self._name = engine, name
        self._pid = 0
        self._lead_in: subprocess.Popen[bytes] | None = None
        super().__init__(process, lambda: self._clean(on_end), check)
        threading.Thread(target=self._find, args=(port,), name=f"find-{name}", daemon=True).start()

    def _find(self, port: int | None) -> None:
        """Wait until the container runs, and note its first process."""
        while not self._ended.wait(_LOOK_SECONDS):
            with contextlib.suppress(EngineError):
                self._pid = self._engine.inspect([self._name])[0]["State"]["Pid"]
            if self._pid:
                break
        with self._reaping:
            if port and self._pid and not self._ended.is_set():
                module = "local_aws.compute.engine.lead_in"
                self._lead_in = subprocess.Popen(
                    [sys.executable, "-S", "-m", module, str(self._pid), str(port)],
                    env={"PYTHONPATH": str(_SOURCE_ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
                    stdin=subprocess.DEVNULL,
                )
        if self._lead_in:
            # It would end with the thread that has started it: https://man7.org/linux/man-pages/man2/pr_set_pdeathsig.2const.html
            self._lead_in.wait()

    def _signal(self, number: int) -> None:
        if self._ended.is_set():
            return
        try:
            self._engine.run("kill", "--signal", signal.Signals(number).name, self._name)
        except EngineError as error:
            _log.debug("container %s gets no signal: %s", self._name, error)
            if number == signal.SIGKILL:
                # It may not run yet. Its removal also ends the program that reads from it.
                self._remove()
                super()._signal(number)

    def _clean(self, on_end: Callable[[], None]) -> None:
        if self._lead_in:
            self._lead_in.kill()
            self._lead_in.wait()
        self._remove()
        on_end()

    def _remove(self) -> None:
        try:
            self._engine.remove([self._name])
        except EngineError:
            _log.exception("container %s is left", self._name)

    def usage(self) -> Usage | None:
        """Return what the container has used; None where its processes are not this machine's."""
        return usage_of_tree(self._pid) if self._pid else None


class ContainerCompute:
    """The back end `container`; every method may be called by any thread. Built-in algorithms are processes here, too.

    :param state_dir: the compute's
    :param engine: runs images of one's own
    :param limits: of each container
    """

    def __init__(self, state_dir: Path, engine: Engine, limits: Limits | None = None) -> None:
        self._engine = engine
        self._built_in = ProcessCompute(state_dir)
        store = ImageStore(images_folder(state_dir))
        engine.keep(store.folder)
        self._images = EngineImages(engine, store)
        self._folder = state_dir / "containers"
        self._limits = limits or Limits()
        self._owner = command_lines.owner_of(state_dir)

    def pull(self, client: Any, image: str) -> str:
        """Bring an image of one's own to the engine; a built-in algorithm is here already.

        :param client: boto3's of ECR, as the role that pulls
        :param image: its URI
        :returns: the URI with its digest; that of a built-in algorithm as it is
        :raises UnknownImage: it cannot be pulled
        """
        return image if algorithm(image) else self._images.pull(client, image)

    def start(self, spec: ContainerSpec) -> Container:
        """Start an algorithm's program with this interpreter, or a container of an image.

        :raises UnknownImage: the image has not been pulled
        :raises ContainerFailed: the engine refuses
        """
        if algorithm(spec.image):
            return self._built_in.start(spec)
        name = registry.reference(spec.image)
        if name is None or not name.digest:
            raise cannot_pull(spec.image, "it has not been pulled")
        if spec.port and not spec.network and os.geteuid() != 0:
            raise ContainerFailed(
                "ClientError: a model with EnableNetworkIsolation in a container needs the local AWS to be started as "
                "root, which leads requests into a container without network"
            )
        private = self._folder / uuid.uuid4().hex[:12]
        (private / "model").mkdir(parents=True)
        # Jobs of other accounts and of other local AWSes may have the same name.
        spec = replace(spec, name=f"{spec.name}-{private.name}")
        _make_readable(private)
        _make_readable(spec.opt_ml)
        # Of the machine's proxies, podman would give a container the variables.
        extra = ("--http-proxy=false",) if self._engine.is_podman else ()
        words = command_lines.create(spec, name_of(name.digest), self._owner, private, self._limits, extra)
        try:
            self._engine.run(*words)
            return self._attach(spec, private)
        except EngineError as error:
            trees.remove(private)
            raise ContainerFailed(f"ClientError: {error}") from error

    def _attach(self, spec: ContainerSpec, private: Path) -> Container:
        """Start the created container by a program that passes its output on."""
        process = subprocess.Popen(
            self._engine.command("start", "--attach", spec.name),
            env=dict(self._engine.environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        written = spec.opt_ml if spec.command == "train" else private
        return EngineContainer(
            self._engine,
            spec.name,
            process,
            lambda: trees.remove(private),
            lambda: too_much(written, MAX_WRITTEN_BYTES),
            None if spec.network else spec.port,
        )

    def reap_orphans(self) -> list[str]:
        """Remove what an earlier host has left when it was killed; return the names of the containers.

        :raises EngineError: the engine does not answer any more
        """
        label = f"label={command_lines.LABEL}={self._owner}"
        ids = self._engine.run("ps", "--all", "--quiet", "--no-trunc", "--filter", label).split()
        found = self._engine.inspect(ids)
        self._engine.remove(ids)
        for container in found:
            # A program of a build has no folder.
            if folder := container["Config"]["Labels"].get(command_lines.FOLDER_LABEL):
                trees.remove(Path(folder))
        trees.remove(self._folder)
        return [container["Name"].removeprefix("/") for container in found] + self._built_in.reap_orphans()

    def remove_unused(self) -> None:
        """Remove what is left of images that ran without the engine; the engine's own may be other programs'."""
        self._built_in.remove_unused()


def _make_readable(folder: Path) -> None:
    """Let the image's users read a directory; links are not followed. This process's umask lets nobody else read."""
    for place, _, files in os.walk(folder):
        for path in (Path(place), *(Path(place, name) for name in files)):
            mode = path.lstat().st_mode
            if not stat.S_ISLNK(mode):
                path.chmod(stat.S_IMODE(mode) | 0o444 | (0o111 if stat.S_ISDIR(mode) else 0))
