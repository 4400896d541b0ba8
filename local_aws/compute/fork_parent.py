"""A process that loads the algorithms once and then forks a container for each request.

`local_aws.compute.forked` starts it and talks to it by a socket. It has one thread, so that a fork is safe.
https://docs.python.org/3/library/os.html#os.fork
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
import traceback
from pathlib import Path
from typing import Any, NoReturn

MAX_MESSAGE_BYTES = 1024 * 1024

# https://man7.org/linux/man-pages/man2/mount.2.html and unshare(2), prctl(2)
_CLONE_NEWNS = 0x00020000
_MS_BIND = 0x1000
_MS_REC = 0x4000
_MS_PRIVATE = 1 << 18
_PR_SET_PDEATHSIG = 1
_OPT_ML = b"/opt/ml"


def main(arguments: list[str]) -> None:
    """Load modules, then serve the socket until its other end is closed.

    :param arguments: the socket's file descriptor and the modules' names
    """
    connection = socket.socket(fileno=int(arguments[0]))
    for name in arguments[1:]:
        # The container that needs a module reports that it cannot be loaded.
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    # Objects that exist now are never garbage. Without collection their memory stays shared with the children.
    gc.collect()
    gc.freeze()
    # The end of a child wakes the loop below.
    woken, waker = socket.socketpair()
    for end in (woken, waker):
        end.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
    with contextlib.suppress(ConnectionError):
        while True:
            ready, _, _ = select.select([connection, woken], [], [])
            if woken in ready:
                woken.recv(4096)
                _reap(connection)
            if connection in ready and not _serve(connection):
                return


def _serve(connection: socket.socket) -> bool:
    """Handle one message; return False when the socket is closed."""
    body, descriptors, _, _ = socket.recv_fds(connection, MAX_MESSAGE_BYTES, 1)
    if not body:
        return False
    message = json.loads(body) | {"parent": os.getpid()}
    if "signal" in message:
        # No child is reaped in between, so an unknown pid is not killed.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(message["pid"], message["signal"])
        return True
    pid = os.fork()
    if pid == 0:
        connection.close()
        _become(message, descriptors[0])
    os.close(descriptors[0])
    with contextlib.suppress(ProcessLookupError):
        # Both sides do this, so that the group exists for a signal, whichever is first.
        os.setpgid(pid, pid)
    connection.send(json.dumps({"id": message["id"], "pid": pid}).encode())
    return True


def _reap(connection: socket.socket) -> None:
    """Report the children that have ended, and end the processes that they left running."""
    while True:
        try:
            found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return
        if found is None:
            return
        # No other process gets the pid before the dead leader is reaped, so its group is killed first.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(found.si_pid, signal.SIGKILL)
        _, status = os.waitpid(found.si_pid, 0)
        code = os.waitstatus_to_exitcode(status)
        connection.send(json.dumps({"ended": found.si_pid, "code": code}).encode())


def _become(message: dict[str, Any], output: int) -> NoReturn:
    """Run the container that a message describes, in the child."""
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setpgid(0, 0)
        _prepare(message, output)
        code = importlib.import_module(message["module"]).main(message["arguments"])
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _prepare(message: dict[str, Any], output: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    # Without the parent nothing else would end it, or notice its end.
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != message["parent"]:
        os._exit(1)
    with Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(output)
    os.environ.clear()
    os.environ.update(message["environment"])
    if message["private_opt_ml"]:
        if libc.unshare(_CLONE_NEWNS):
            _fail("unshare")
        if libc.mount(b"none", b"/", None, _MS_REC | _MS_PRIVATE, None):
            _fail("mount /")
        if libc.mount(os.fsencode(message["opt_ml"]), _OPT_ML, None, _MS_BIND, None):
            _fail("mount /opt/ml")
    os.chdir(message["opt_ml"])


def _fail(what: str) -> NoReturn:
    number = ctypes.get_errno()
    raise OSError(number, f"{what}: {os.strerror(number)}")


if __name__ == "__main__":
    main(sys.argv[1:])
