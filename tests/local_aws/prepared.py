"""Programs in the local AWS's environment, forked from one process that has imported what each of them needs.

Two thirds of a start of the local AWS are imports, and a run of all tests has some hundred starts. The process has one
thread, so that a fork is safe. https://docs.python.org/3/library/os.html#os.fork
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
# With what the local AWS imports late. ministack is not among it, because it reads its settings when it is imported.
_IMPORTS = ("local_aws.__main__", "local_aws.compute.engine.engine", "local_aws.server")


class Forked:
    """One of them, as `subprocess.Popen` would show it."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Return the exit status, below zero for a signal's; None while it runs."""
        if self.returncode is None:
            self.returncode = _ask(ended=self.pid)
        return self.returncode

    def wait(self, timeout: float) -> int:
        """Wait for its end.

        :param timeout: at most, in seconds
        :raises subprocess.TimeoutExpired: it still runs
        """
        deadline = time.monotonic() + timeout
        while (code := self.poll()) is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired("a forked program", timeout)
            time.sleep(0.02)
        return code

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended: until somebody has seen the end, no other process gets its pid."""
        if self.poll() is None:
            os.kill(self.pid, number)


def start(
    program: str, arguments: list[str], environment: dict[str, str], *, output: Path, errors: Path | None = None
) -> Forked:
    """Start a program.

    :param program: Python
    :param arguments: `sys.argv` of it, from the second on
    :param environment: all of its variables; those that Python reads when it starts are as the parent's
    :param output: the file to which it adds what it prints
    :param errors: the file for the errors; that of the output when None
    """
    files = [str(output), str(errors or output)]
    return Forked(_ask(program=program, arguments=arguments, environment=environment, files=files))


_one_at_a_time = threading.Lock()


def _ask(**request: Any) -> Any:
    with _one_at_a_time:
        parent = _parent()
        assert parent.stdin is not None and parent.stdout is not None
        parent.stdin.write(json.dumps(request) + "\n")
        parent.stdin.flush()
        answer = parent.stdout.readline()
        assert answer, f"the process that programs are forked from has ended with {parent.wait()}"
        return json.loads(answer)


@cache
def _parent() -> subprocess.Popen[str]:
    command = [str(ROOT / ".venv-aws/bin/python"), "-m", "tests.local_aws.prepared"]
    parent = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    # It ends with its input.
    atexit.register(parent.communicate)
    return parent


def _serve() -> dict[str, Any]:
    """Answer requests until the input ends; return in a child only, with the request that it is made for."""
    for line in sys.stdin:
        request = json.loads(line)
        if "ended" in request:
            pid, status = os.waitpid(request["ended"], os.WNOHANG)
            answer = os.waitstatus_to_exitcode(status) if pid else None
        else:
            answer = os.fork()
            if not answer:
                return request
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
    sys.exit()


def _become(request: dict[str, Any]) -> None:
    opened = [os.open(os.devnull, os.O_RDONLY)]
    opened += [os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600) for file in request["files"]]
    for number, descriptor in enumerate(opened):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.environ.clear()
    os.environ.update(request["environment"])
    time.tzset()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv[1:] = request["arguments"]


def main() -> None:
    """Import, serve, and go on in each child as its program."""
    for name in _IMPORTS:
        importlib.import_module(name)
    # Ctrl-C reaches the programs themselves, and somebody has to see their ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Without collection the memory stays shared.
    gc.freeze()
    request = _serve()
    _become(request)
    exec(compile(request["program"], "program", "exec"), {"__name__": "__main__"})  # noqa: S102 - as `python -c`


if __name__ == "__main__":
    main()
