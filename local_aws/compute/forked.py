"""Containers of a built-in algorithm as forks of one process that has loaded it; each starts in tenths of a second.

Loading xgboost takes seconds of CPU, which an endpoint of ten instances would spend ten times. Every container is still
its own process, with its own group, /opt/ml, environment and end.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from local_aws.compute.base import ContainerFailed
from local_aws.compute.fork_parent import MAX_MESSAGE_BYTES
from local_aws.compute.usage import Usage, usage_of

# Libraries read their variables when they are loaded, which the parent has done. So a container with variables beside
# those of SageMaker's contract is not forked.
_READ_BY_THE_PROGRAM = ("SAGEMAKER_", "SM_", "TRAINING_JOB_", "AWS_REGION")
# OpenMP's threads, xgboost's for instance, otherwise wait for each other by spinning. Where several programs share the
# cores, that turns tenths of a second of training into seconds.
# https://gcc.gnu.org/onlinedocs/libgomp/OMP_005fWAIT_005fPOLICY.html
IDLE_THREADS = {"OMP_WAIT_POLICY": "PASSIVE"}


def forkable(environment: Mapping[str, str]) -> bool:
    """Tell whether a container may be forked.

    :param environment: the container's own
    :returns: False where forking is not safe (on macOS), or a library would miss a variable
    """
    return sys.platform == "linux" and all(name.startswith(_READ_BY_THE_PROGRAM) for name in environment)


@dataclass(frozen=True)
class Fork:
    """The description of a new process.

    :param module: the module whose `main` gets the arguments
    :param environment: all of its variables
    """

    module: str
    arguments: Sequence[str]
    environment: Mapping[str, str]
    opt_ml: Path
    private_opt_ml: bool


class ForkedContainer:
    """A running fork; every method may be called by any thread."""

    def __init__(self, parent: ForkParent, output: int) -> None:
        self.pid = 0
        self._parent = parent
        self._output = output
        self._started = threading.Event()
        self._ended = threading.Event()
        self._code = -signal.SIGKILL
        # Guards the record file, which exists only while the process may exist.
        self._recording = threading.Lock()
        self._record_path: Path | None = None

    def record(self, path: Path, text: str) -> None:
        """Keep a file for as long as the process runs."""
        with self._recording:
            if not self._ended.is_set():
                path.write_text(text)
                self._record_path = path

    def wait_started(self) -> None:
        """Return when the process exists.

        :raises ContainerFailed: it could not be started
        """
        self._started.wait()
        if not self.pid:
            os.close(self._output)
            raise ContainerFailed("InternalServerError: the process that containers are forked from has ended")

    def has_started(self, pid: int) -> None:
        """Accept the process's id; called by the parent's reader only."""
        self.pid = pid
        self._started.set()

    def has_ended(self, code: int) -> None:
        """Accept the exit status; called by the parent's reader only."""
        with self._recording:
            self._code = code
            if self._record_path:
                self._record_path.unlink(missing_ok=True)
            self._ended.set()
        self._started.set()

    def logs(self) -> Iterator[str]:
        """Yield the lines of stdout and stderr as they are written, until the process ends; one reader only."""
        with os.fdopen(self._output, errors="replace") as lines:
            for line in lines:
                yield line.rstrip("\r\n")

    def wait(self, timeout_seconds: float | None = None) -> int | None:
        """Return the exit status, negative for a signal; None when it still runs after the timeout."""
        return self._code if self._ended.wait(timeout_seconds) else None

    def stop(self, grace_seconds: float) -> None:
        """Send SIGTERM, after the grace period SIGKILL, to the process and its children; return when they are gone."""
        self._parent.signal(self.pid, signal.SIGTERM)
        if self.wait(grace_seconds) is None:
            self._parent.signal(self.pid, signal.SIGKILL)
            self.wait()

    def usage(self) -> Usage | None:
        """Return what the process has used; None when that is not known."""
        return usage_of(self.pid)


class ForkParent:
    """The process that forks; it is started when it is first needed, and again if it has ended.

    :param modules: what it loads first
    :param source_root: where Python finds them
    """

    def __init__(self, modules: Sequence[str], source_root: Path) -> None:
        self._modules = modules
        self._source_root = source_root
        # Guards all below.
        self._lock = threading.Lock()
        self._connection: socket.socket | None = None
        self._starting: dict[int, ForkedContainer] = {}
        self._running: dict[int, ForkedContainer] = {}
        self._last_id = 0

    def fork(self, fork: Fork) -> ForkedContainer:
        """Start a container.

        :param fork: the new process
        :returns: the running container
        :raises ContainerFailed: the parent cannot be run
        """
        reading, writing = os.pipe()
        container = ForkedContainer(self, reading)
        message = {
            "module": fork.module,
            "arguments": list(fork.arguments),
            "environment": dict(fork.environment),
            "opt_ml": str(fork.opt_ml),
            "private_opt_ml": fork.private_opt_ml,
        }
        try:
            with self._lock:
                connection = self._connection or self._launch()
                self._last_id += 1
                self._starting[self._last_id] = container
                # If it has ended just now, the reader, which waits for the lock, ends all its containers.
                with contextlib.suppress(OSError):
                    socket.send_fds(connection, [json.dumps({**message, "id": self._last_id}).encode()], [writing])
        finally:
            os.close(writing)
        container.wait_started()
        return container

    def signal(self, pid: int, number: int) -> None:
        """Send a signal to a container's process and its children; one that has ended is left alone."""
        with self._lock:
            if pid in self._running and self._connection:
                # If it has ended, its children have ended with it.
                with contextlib.suppress(OSError):
                    self._connection.send(json.dumps({"pid": pid, "signal": number}).encode())

    def _launch(self) -> socket.socket:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            process = subprocess.Popen(
                [sys.executable, "-m", "local_aws.compute.fork_parent", str(theirs.fileno()), *self._modules],
                stdin=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                # One thread each, because other threads do not survive a fork.
                env={
                    "PATH": os.environ.get("PATH", os.defpath),
                    "LANG": "C.UTF-8",
                    "PYTHONPATH": str(self._source_root),
                    "PYTHONUNBUFFERED": "1",
                    "OPENBLAS_NUM_THREADS": "1",
                    **IDLE_THREADS,
                },
                start_new_session=True,
            )
        self._connection = ours
        threading.Thread(target=self._read, args=(ours, process), name="fork-parent", daemon=True).start()
        return ours

    def _read(self, connection: socket.socket, process: subprocess.Popen[bytes]) -> None:
        while body := _received(connection):
            message = json.loads(body)
            with self._lock:
                if "pid" in message:
                    container = self._starting.pop(message["id"])
                    self._running[message["pid"]] = container
                    container.has_started(message["pid"])
                    continue
                ended = self._running.pop(message["ended"])
            ended.has_ended(message["code"])
        with self._lock:
            lost = [*self._starting.values(), *self._running.values()]
            self._starting.clear()
            self._running.clear()
            self._connection = None
        connection.close()
        process.wait()
        for container in lost:
            container.has_ended(-signal.SIGKILL)


def _received(connection: socket.socket) -> bytes:
    try:
        return connection.recv(MAX_MESSAGE_BYTES)
    except OSError:
        return b""
