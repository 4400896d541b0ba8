"""The shell of a build: runs commands in a process of its own, within limits, and kills all of them at the end."""

import contextlib
import functools
import json
import os
import secrets
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from local_aws.codebuild.agent import TOO_MANY

_AGENT = Path(__file__).with_name("agent.py")
_READ_BYTES = 64 * 1024
_LOOK_SECONDS = 0.5
_END_SECONDS = 10.0
_MAX_ENVIRONMENT_BYTES = 1024 * 1024
# Runs the command; then keeps the environment and the folder for the next one, as one shell would.
_WRAPPED = """\
trap 'status=$?; /usr/bin/env -0 > "{env}"; pwd > "{cwd}"; exit $status' EXIT
{command}
"""


@dataclass(frozen=True)
class Limits:
    """What a build may use.

    https://docs.aws.amazon.com/codebuild/latest/userguide/build-env-ref-compute-types.html

    :param memory_bytes: of each process
    :param file_bytes: of each file
    :param folder_bytes: of all files of the build
    :param processes: of the build at once; of the user, where it has no process ids of its own
    """

    memory_bytes: int
    file_bytes: int = 8 * 1024**3
    folder_bytes: int = 16 * 1024**3
    processes: int = 1024


class TooManyProcesses(Exception):
    """A build had too many processes, and all of them were killed."""


@functools.cache
def can_isolate() -> bool:
    """Tell whether this process may give a build process ids of its own, so that none survives."""
    if sys.platform != "linux" or not shutil.which("unshare"):
        return False
    attempt = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child", "true"]
    return subprocess.run(attempt, capture_output=True, check=False).returncode == 0


class Shell:
    """A started shell; one thread uses it.

    :param folder: of the build; the shell keeps its own files in ``state``
    :param limits: what its commands may use
    :param on_line: gets each line of output
    :param check: called some times a second while a command runs; what it raises ends the command
    """

    def __init__(self, folder: Path, limits: Limits, on_line: Callable[[str], None], check: Callable[[], None]) -> None:
        self._state = folder / "state"
        self._state.mkdir(parents=True, exist_ok=True)
        self._limits = limits
        self._on_line = on_line
        self._check = check
        # A command cannot know it, so that it cannot write the end of itself.
        self._mark = secrets.token_hex(16)
        agent = [sys.executable, "-I", "-S", str(_AGENT)]
        agent += [str(limits.memory_bytes), str(limits.file_bytes), str(limits.processes)]
        isolated = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"] if can_isolate() else []
        self.process = subprocess.Popen(
            [*isolated, *agent],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={"PATH": os.defpath, "LANG": "C.UTF-8"},
            start_new_session=True,
        )
        self._send(self._mark)

    def run(self, shell: str, command: str, cwd: str, environment: Mapping[str, str]) -> int:
        """Run a command to its end.

        :param shell: its path
        :param command: one line or several
        :param cwd: the folder to begin in
        :returns: its exit status, negative for a signal
        """
        for name in ("env", "cwd"):
            (self._state / name).unlink(missing_ok=True)
        script = self._state / "command.sh"
        script.write_text(_WRAPPED.format(command=command, env=self._state / "env", cwd=self._state / "cwd"))
        request = {"argv": [shell, str(script)], "cwd": cwd, "env": dict(environment)}
        self._send(json.dumps(request))
        return self._until_end()

    def left(self, cwd: str, environment: Mapping[str, str]) -> tuple[str, dict[str, str]]:
        """Return the folder and the environment that the last command has left, as far as it has left any.

        :param cwd: the folder that it began in
        :param environment: that it began with
        """
        found = dict(environment)
        with contextlib.suppress(OSError):
            text = (self._state / "env").open("rb").read(_MAX_ENVIRONMENT_BYTES).decode(errors="surrogateescape")
            pairs = (one.partition("=") for one in text.split("\0"))
            found = {name: value for name, separator, value in pairs if separator and name}
        with contextlib.suppress(OSError):
            last = (self._state / "cwd").read_text(errors="surrogateescape").rstrip("\n")
            cwd = last if Path(last).is_dir() else cwd
        return cwd, found or dict(environment)

    def close(self) -> None:
        """Kill all processes of the build, and return when they are gone."""
        assert self.process.stdin is not None  # noqa: S101 (opened above)
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        try:
            self.process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()

    def _send(self, line: str) -> None:
        assert self.process.stdin is not None  # noqa: S101 (opened above)
        self.process.stdin.write(f"{line}\n".encode())
        self.process.stdin.flush()

    def _until_end(self) -> int:
        """Pass output on until the mark of the command's end."""
        assert self.process.stdout is not None  # noqa: S101 (opened above)
        output, mark = self.process.stdout.fileno(), f"{self._mark} ".encode()
        pending = b""
        next_check = time.monotonic()
        while True:
            if time.monotonic() >= next_check:
                self._check()
                next_check = time.monotonic() + _LOOK_SECONDS
            if not select.select([output], [], [], _LOOK_SECONDS)[0]:
                if self.process.poll() is not None:
                    raise ChildProcessError("The process that runs the commands has ended.")
                continue
            block = os.read(output, _READ_BYTES)
            if not block:
                raise ChildProcessError("The process that runs the commands has ended.")
            pending += block
            *lines, pending = pending.split(b"\n")
            for line in lines:
                text, separator, status = line.partition(mark)
                if text or not separator:
                    self._on_line(text.decode(errors="replace"))
                if status == TOO_MANY.encode():
                    raise TooManyProcesses(f"The build had more than {self._limits.processes} processes at once.")
                if separator:
                    return int(status)
            if len(pending) > _READ_BYTES and mark not in pending:
                # The mark may have come in part.
                line, pending = pending[: -len(mark)], pending[-len(mark) :]
                self._on_line(line.decode(errors="replace"))
