"""Containers as processes of this machine, each in its own process group.

Where mount namespaces are permitted (root), a process sees a private /opt/ml as in SageMaker. Elsewhere it finds the
same directories through the SM_* variables of the SageMaker training toolkit
(https://github.com/aws/sagemaker-training-toolkit/blob/master/ENVIRONMENT_VARIABLES.md).
"""

from __future__ import annotations

import functools
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from local_aws import trees
from local_aws.compute.base import Container, ContainerSpec
from local_aws.compute.built_in_environment import environment_of
from local_aws.compute.docker.containers import ImageContainers
from local_aws.compute.docker.store import ImageStore
from local_aws.compute.docker.tools import images_folder
from local_aws.compute.forked import Fork, ForkParent, forkable
from local_aws.compute.images import ALGORITHMS, algorithm, image_tag
from local_aws.compute.sandbox.disk import too_much
from local_aws.compute.sandbox.spec import Limits
from local_aws.compute.usage import Usage, usage_of_tree

_log = logging.getLogger(__name__)

_SOURCE_ROOT = Path(__file__).resolve().parents[2]
_OPT_ML = Path("/opt/ml")
_MAX_LINE = 256 * 1024
_CHECK_SECONDS = 1.0
# Of a training job's /opt/ml, and of a model server's.
MAX_WRITTEN_BYTES = 10 * 1024**3
# The shell mounts first and then executes the program, which keeps the recorded pid.
_MOUNT_AND_RUN = 'mount --bind "$1" /opt/ml && shift && exec "$@"'


@dataclass(frozen=True)
class ProcessRecord:
    """What the next start needs to know about a process, because another process may get its pid."""

    name: str
    pid: int
    start_time: str
    opt_ml: str


def process_start_time(pid: int) -> str | None:
    """Return a text that no other process with this pid ever has; None if there is no such process."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
        # https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html: the name may hold blanks and parentheses; state
        # is the first field behind it and the start, in ticks since the boot, the twentieth.
        state, *fields = status.rpartition(")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return None if state == "Z" else f"{boot}/{fields[18]}"
    except (FileNotFoundError, ProcessLookupError):
        if Path("/proc/self/stat").exists():
            return None
    found = subprocess.run(
        ["ps", "-o", "lstart=", "-p", str(pid)],  # noqa: S607
        capture_output=True,
        text=True,
        check=False,
    )
    return found.stdout.strip() or None


@functools.cache
def can_mount() -> bool:
    """Tell whether this process may mount a private /opt/ml for its children."""
    if os.geteuid() != 0 or not shutil.which("unshare"):
        return False
    try:
        _OPT_ML.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    attempt = ["unshare", "--mount", "--propagation", "private", "mount", "--bind", str(_OPT_ML), str(_OPT_ML)]
    return subprocess.run(attempt, capture_output=True, check=False).returncode == 0


def _kill_group(pid: int, number: int) -> None:
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        _log.debug("process group %d is gone", pid)


class ProcessContainer:
    """A running process; its own thread waits for its end.

    :param on_end: called when no process of it is left
    :param check: called while it runs; tells why it must be stopped, nothing while it may go on
    """

    def __init__(
        self,
        process: subprocess.Popen[str],
        on_end: Callable[[], None],
        check: Callable[[], str] | None = None,
    ) -> None:
        self._process = process
        self._on_end = on_end
        self._check = check
        self._stopped_because = ""
        self._ended = threading.Event()
        # Guards signals, so that none is sent after the system has got the pid back.
        self._reaping = threading.Lock()
        threading.Thread(target=self._reap, name=f"reap-{process.pid}", daemon=True).start()
        if check:
            threading.Thread(target=self._watch, args=(check,), name=f"watch-{process.pid}", daemon=True).start()

    def _watch(self, check: Callable[[], str]) -> None:
        while not self._ended.wait(_CHECK_SECONDS):
            if reason := check():
                self._stopped_because = reason
                self._signal(signal.SIGKILL)
                return

    def _reap(self) -> None:
        # The dead leader is not reaped before its group is killed, so that no other process gets the pid.
        if hasattr(os, "waitid"):
            os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)
        else:
            # macOS before Python 3.13.
            self._process.wait()
        with self._reaping:
            _kill_group(self._process.pid, signal.SIGKILL)
            self._process.wait()
            # It may have been faster than the first look.
            self._stopped_because = self._stopped_because or (self._check() if self._check else "")
            self._on_end()
            self._ended.set()

    def logs(self) -> Iterator[str]:
        """Yield the lines of stdout and stderr as they are written, until the process ends; one reader only."""
        assert self._process.stdout is not None  # noqa: S101 - opened by ProcessCompute.start
        with self._process.stdout as lines:
            # A line without an end is passed on in pieces, so that it fills no memory.
            while line := lines.readline(_MAX_LINE):
                yield line.rstrip("\r\n")
        self._ended.wait()
        if self._stopped_because:
            yield f"The container was stopped: {self._stopped_because}"

    def wait(self, timeout_seconds: float | None = None) -> int | None:
        """Return the exit status, negative for a signal; None when it still runs after the timeout.

        A process that has written too much has been killed, or ended before it could be.
        """
        if not self._ended.wait(timeout_seconds):
            return None
        return -signal.SIGKILL if self._stopped_because else self._process.returncode

    def _signal(self, number: int) -> None:
        with self._reaping:
            if not self._ended.is_set():
                _kill_group(self._process.pid, number)

    def stop(self, grace_seconds: float) -> None:
        """Send SIGTERM, after the grace period SIGKILL, to the process and its children; return when they are gone."""
        self._signal(signal.SIGTERM)
        if self.wait(grace_seconds) is None:
            self._signal(signal.SIGKILL)
            self.wait()

    def usage(self) -> Usage | None:
        """Return what the process has used; None when that is not known."""
        return usage_of_tree(self._process.pid)


class ProcessCompute:
    """The back end `process`; every method may be called by any thread.

    :param private_opt_ml: whether each process gets a private /opt/ml; by default where that is permitted
    :param limits: of containers of images
    :param most_bytes: that a container of an image may write
    """

    def __init__(
        self,
        state_dir: Path,
        *,
        private_opt_ml: bool | None = None,
        limits: Limits | None = None,
        most_bytes: int = MAX_WRITTEN_BYTES,
    ) -> None:
        self._most_bytes = most_bytes
        self._private_opt_ml = can_mount() if private_opt_ml is None else private_opt_ml
        self._records = state_dir / "processes"
        self._records.mkdir(parents=True, exist_ok=True)
        modules = {name for found in ALGORITHMS.values() for name in (found.train_module, found.serve_module)}
        self._fork_parent = ForkParent(sorted(modules), _SOURCE_ROOT)
        self._containers = ImageContainers(ImageStore(images_folder(state_dir)), state_dir / "sandboxes", limits)

    def pull(self, client: Any, image: str) -> str:
        """Bring an image of one's own to this machine; a built-in algorithm is here already.

        :param client: boto3's of ECR, as the role that pulls
        :param image: its URI
        :returns: the URI with its digest; that of a built-in algorithm as it is
        :raises UnknownImage: it cannot be pulled
        """
        return image if algorithm(image) else self._containers.images.pull(client, image)

    def start(self, spec: ContainerSpec) -> Container:
        """Start an algorithm's program with this interpreter, or an image's in a sandbox.

        :raises UnknownImage: nothing is registered for the image, and it has not been pulled
        :raises ContainerFailed: this machine can run no images
        """
        program = algorithm(spec.image)
        if program is None:
            return self._start_image(spec)
        module = program.train_module if spec.command == "train" else program.serve_module
        arguments = [spec.command, "--version", image_tag(spec.image)]
        environment = environment_of(spec, _SOURCE_ROOT, _OPT_ML if self._private_opt_ml else spec.opt_ml)
        record_path = self._records / f"{uuid.uuid4().hex}.json"
        if forkable(spec.environment):
            fork = Fork(module, arguments, environment, spec.opt_ml, self._private_opt_ml)
            container = self._fork_parent.fork(fork)
            container.record(record_path, _record(spec, container.pid))
            return container
        command = [sys.executable, "-m", module, *arguments]
        if self._private_opt_ml:
            shell = ["sh", "-c", _MOUNT_AND_RUN, "sh", str(spec.opt_ml)]
            command = ["unshare", "--mount", "--propagation", "private", *shell, *command]
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            cwd=spec.opt_ml,
            env=environment,
            start_new_session=True,
        )
        record_path.write_text(_record(spec, process.pid))
        return ProcessContainer(process, lambda: record_path.unlink(missing_ok=True))

    def _start_image(self, spec: ContainerSpec) -> Container:
        sandbox, folder = self._containers.start(spec)
        record_path = self._records / f"{uuid.uuid4().hex}.json"
        record_path.write_text(_record(spec, sandbox.process.pid))

        def clean() -> None:
            sandbox.clean()
            trees.remove(folder)
            record_path.unlink(missing_ok=True)

        written = spec.opt_ml if spec.command == "train" else folder
        return ProcessContainer(sandbox.process, clean, lambda: too_much(written, self._most_bytes))

    def reap_orphans(self) -> list[str]:
        """Kill the processes of a host that was killed itself and delete their files; return the containers' names.

        A later process with the pid of one that has ended is not killed.
        """
        reaped = []
        for path in self._records.glob("*.json"):
            try:
                record = ProcessRecord(**json.loads(path.read_text()))
            except (ValueError, TypeError):
                # The host was killed while it wrote the record.
                path.unlink()
                continue
            if process_start_time(record.pid) == record.start_time:
                _kill_group(record.pid, signal.SIGKILL)
                reaped.append(record.name)
            trees.remove(Path(record.opt_ml))
            path.unlink()
        self._containers.reset()
        return reaped

    def remove_unused(self) -> None:
        """Remove the images that nothing has used for long; containers, pulls and builds may go on."""
        self._containers.remove_unused()


def _record(spec: ContainerSpec, pid: int) -> str:
    return json.dumps(asdict(ProcessRecord(spec.name, pid, process_start_time(pid) or "ended", str(spec.opt_ml))))
