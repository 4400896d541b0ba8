"""Runs the instructions of a build that change files, each in a sandbox whose changes become a layer."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import IO

from local_aws import trees
from local_aws.compute.docker import base, layers
from local_aws.compute.docker.context import Context
from local_aws.compute.docker.index import Index
from local_aws.compute.docker.store import ImageStore, Layer
from local_aws.compute.sandbox import box
from local_aws.compute.sandbox.disk import too_much
from local_aws.compute.sandbox.network import PROXY_PORT
from local_aws.compute.sandbox.spec import Bind, Limits, SandboxSpec, owned_by_sandbox

_LOOK_SECONDS = 0.5
_MAX_LINE = 256 * 1024
_CONFIG = "/run/build/pip.conf"
_PROXY = f"http://127.0.0.1:{PROXY_PORT}"
_PROXY_ENVIRONMENT = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), _PROXY)


class StepFailed(Exception):
    """An instruction has failed, or was stopped at a limit."""


@dataclass(frozen=True)
class StepLimits:
    """The bounds of one instruction.

    :param layer_bytes: that it may write
    :param seconds: that it may take
    :param sandbox: of its processes
    """

    layer_bytes: int = 4 * 1024**3
    seconds: float = 3600.0
    sandbox: Limits = field(default_factory=Limits)


class Step:
    """Runs instructions.

    :param store: where layers are kept
    :param index: how pip reaches the package index
    :param limits: the bounds of each instruction
    :param output: gets what programs write
    """

    def __init__(self, store: ImageStore, index: Index, limits: StepLimits, output: Callable[[str], None]) -> None:
        self._store, self._index, self._limits, self._output = store, index, limits, output

    def run(
        self,
        below: Sequence[Layer],
        work: Path,
        argv: Sequence[str],
        environment: Mapping[str, str],
        *,
        cwd: str,
        user: str,
        network: bool,
    ) -> None:
        """Run a program on the image so far.

        :param below: the image's layers, the first first
        :param work: gets the changes
        :raises StepFailed: it ended with an error, or was stopped at a limit
        """
        binds: tuple[Bind, ...] = ()
        if network:
            config = work / "pip.conf"
            config.write_text(self._index.config)
            config.chmod(0o644)
            binds = (Bind(str(config), _CONFIG), *self._index.binds())
            environment = {**_PROXY_ENVIRONMENT, "PIP_CONFIG_FILE": _CONFIG, **environment}
        spec = self._spec(below, work, argv, environment, binds)
        spec = replace(spec, cwd=cwd, user=user, proxy=self._index.proxy() if network else None)
        self._execute(spec, None)

    def copy(
        self,
        below: Sequence[Layer],
        work: Path,
        context: Context,
        sources: Sequence[str],
        destination: str,
        owner: str,
        many: bool,
        mode: str = "",
    ) -> None:
        """Copy files of the context into the image.

        :param below: the image's layers, the first first
        :param work: gets the changes
        :raises StepFailed: they cannot be put there
        """
        program = resources.files("local_aws.compute.docker").joinpath("copy_in.py").read_text()
        argv = [base.interpreter(), "-I", "-S", "-c", program, destination, owner, "many" if many else "one", mode]
        spec = self._spec(below, work, argv, {"LANG": "C.UTF-8"}, ())
        self._execute(spec, lambda stream: context.write(sources, stream))

    def _spec(
        self,
        below: Sequence[Layer],
        work: Path,
        argv: Sequence[str],
        environment: Mapping[str, str],
        binds: tuple[Bind, ...],
    ) -> SandboxSpec:
        for name in ("diff", "scratch"):
            (work / name).mkdir()
        owned_by_sandbox(work / "diff")
        lower = tuple(self._store.layer_folder(layer.key) / "diff" for layer in reversed(below) if layer.digest)
        return SandboxSpec(
            argv=tuple(argv),
            environment=dict(environment),
            lower=self._store.base.lower(lower),
            scratch=str(work / "scratch"),
            upper=str(work / "diff"),
            binds=(*self._store.base.binds(), *binds),
            hostname="build",
            limits=self._limits.sandbox,
            with_parent=True,
        )

    def _execute(self, spec: SandboxSpec, feed: Callable[[IO[bytes]], None] | None) -> None:
        """Run a sandbox to its end and pass its output on."""
        started = box.start(spec, stdin=subprocess.PIPE if feed else subprocess.DEVNULL)
        process = started.process
        watch = _Watch(process, Path(spec.upper or ""), self._limits)
        reader = threading.Thread(target=self._read, args=(process,), daemon=True)
        reader.start()
        try:
            if feed and process.stdin:
                with contextlib.suppress(BrokenPipeError), process.stdin as stream:
                    feed(stream.buffer)  # type: ignore[attr-defined]  # of a text stream
            watch.until_end()
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            reader.join()
            started.clean()
        if process.returncode:
            what = " ".join(spec.argv) if feed is None else "its files"
            raise StepFailed(f"{what[:200]!r} returned a non-zero code: {process.returncode}")

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None  # noqa: S101 - box.start opens it
        # A line without an end is passed on in pieces, so that it fills no memory.
        while line := process.stdout.readline(_MAX_LINE):
            self._output(line.rstrip("\r\n"))

    def keep(self, key: str, work: Path) -> Layer:
        """Make a layer of what the last program has changed.

        :param key: of what made it
        :param work: the directory that `run` or `copy` was given
        :raises StepFailed: there is no space
        """
        kept = work / "layer"
        kept.mkdir()
        try:
            packed = layers.pack(work / "diff", kept / "layer.tar.gz")
        except OSError as error:
            raise StepFailed(f"the layer cannot be written: {error}") from error
        (work / "diff").rename(kept / "diff")
        trees.remove(work / "scratch")
        digest, diff_id, size = packed or ("", "", 0)
        return self._store.add_layer(kept, Layer(key, digest, diff_id, size))


class _Watch:
    """Waits for a program's end, and ends it at a limit."""

    def __init__(self, process: subprocess.Popen[str], folder: Path, limits: StepLimits) -> None:
        self._process, self._folder, self._limits = process, folder, limits
        self._deadline = time.monotonic() + limits.seconds

    def until_end(self) -> None:
        """Return when it has ended by itself, within its limits.

        :raises StepFailed: it has reached a limit
        """
        ended = False
        while not ended:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_LOOK_SECONDS)
                ended = True
            if not ended and time.monotonic() > self._deadline:
                raise StepFailed(f"it was stopped after {self._limits.seconds:.0f} seconds")
            # Also after its end, for it may have been faster than the first look.
            if reason := too_much(self._folder, self._limits.layer_bytes):
                raise StepFailed(f"it was stopped: {reason}")
