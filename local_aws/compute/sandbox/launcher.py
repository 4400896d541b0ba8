"""Starts one program in a sandbox, leads its connections in and out, and ends as it ends.

`python -m local_aws.compute.sandbox.launcher FD`, as root; FD has the specification. This process stays outside. Its
child is the sandbox's process 1: when it ends, the kernel kills every process that it has left.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import socket
import sys
from pathlib import Path

from local_aws.compute.sandbox import kernel, network, root, users
from local_aws.compute.sandbox.spec import HOST_ID, ID_COUNT, SandboxSpec

# Those that docker leaves to a container, without the making of devices:
# https://docs.docker.com/engine/security/#linux-kernel-capabilities (numbers: linux/capability.h)
_CAPABILITIES = frozenset({0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 31})
_LAST_CAPABILITY = 40
_MEMORY_FILES = ("memory.max", "memory.limit_in_bytes")
# As docker and shells have them: https://docs.docker.com/engine/containers/run/#exit-status
_CANNOT_EXECUTE, _NOT_FOUND, _NO_SANDBOX = 126, 127, 125


def main(descriptor: int) -> int:
    """Run the program.

    :param descriptor: an open file with the specification
    :returns: its exit status, 128 and the number for a signal
    """
    with os.fdopen(descriptor) as file:
        spec = SandboxSpec.from_json(file.read())
    if spec.with_parent:
        kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() == 1:
            return _NO_SANDBOX
    ours, theirs = socket.socketpair()
    before = os.open("/proc/self/ns/pid", os.O_RDONLY)
    kernel.unshare(kernel.CLONE_NEWPID)
    child = os.fork()
    if child == 0:
        ours.close()
        os.close(before)
        _become(spec, theirs)
    theirs.close()
    # The relays' threads need the process namespace in which this process is.
    kernel.setns(before, kernel.CLONE_NEWPID)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda received, _: _forward(child, received))
    with ours:
        _let_in(spec, child, ours)
    while True:
        with contextlib.suppress(InterruptedError):
            _, status = os.waitpid(child, 0)
            return _as_status(status)


def _as_status(status: int) -> int:
    code = os.waitstatus_to_exitcode(status)
    return 128 - code if code < 0 else code


def _forward(child: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, number)


def _let_in(spec: SandboxSpec, child: int, channel: socket.socket) -> None:
    """Give the child its users when it asks, and take the sockets that it has opened in its network."""
    try:
        message, descriptors, _, _ = socket.recv_fds(channel, 1, 1)
    except OSError:
        return
    if not message:
        return
    for name in ("uid_map", "gid_map"):
        Path(f"/proc/{child}/{name}").write_text(f"0 {HOST_ID} {ID_COUNT}")
    network.relay(spec, descriptors[0])
    channel.sendall(b"g")


def _become(spec: SandboxSpec, channel: socket.socket) -> None:
    """Turn this process into the sandbox's first one; never returns."""
    try:
        # Asked before the machine's files are out of sight.
        grouped = any(Path(group, file).exists() for group in spec.cgroups for file in _MEMORY_FILES)
        _isolate(spec, channel)
        account = users.find(spec.user)
        _drop(spec, account, grouped)
        os.chdir(spec.cwd)
    except BaseException as error:
        _end(_NO_SANDBOX, f"the sandbox could not be made: {error}")
    # Docker's words: https://docs.docker.com/engine/containers/run/#exit-status
    try:
        variables = {"HOME": account.home, "HOSTNAME": spec.hostname, **spec.environment}
        os.execvpe(spec.argv[0], spec.argv, variables)  # noqa: S606 - the program of the sandbox
    except FileNotFoundError:
        where = "" if "/" in spec.argv[0] else " in $PATH"
        _end(_NOT_FOUND, f'exec: "{spec.argv[0]}": executable file not found{where}')
    except OSError as error:
        _end(_CANNOT_EXECUTE, f'exec: "{spec.argv[0]}": {(error.strerror or "").lower()}')


def _end(status: int, text: str) -> None:
    with contextlib.suppress(OSError):
        os.write(2, f"{text}\n".encode())
    os._exit(status)


def _isolate(spec: SandboxSpec, channel: socket.socket) -> None:
    os.setsid()
    kernel.unshare(kernel.CLONE_NEWNS | kernel.CLONE_NEWIPC | kernel.CLONE_NEWUTS | kernel.CLONE_NEWNET)
    for group in spec.cgroups:
        Path(group, "cgroup.procs").write_text("0")
    kernel.unshare(kernel.CLONE_NEWCGROUP)
    kernel.set_hostname(spec.hostname)
    namespace = network.start_loopback()
    root.enter(spec)
    kernel.unshare(kernel.CLONE_NEWUSER)
    socket.send_fds(channel, [b"m"], [namespace])
    if channel.recv(1) != b"g":
        raise OSError("the launcher has ended")


def _drop(spec: SandboxSpec, account: users.Account, memory_grouped: bool) -> None:
    """Become the sandbox's user, with no more rights than a container's.

    :param memory_grouped: whether a control group bounds its memory
    """
    limits = spec.limits
    # No user namespace within, in which it would have all rights again.
    Path("/proc/sys/user/max_user_namespaces").write_text("0")
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, limits.file_bytes)
    _limit(resource.RLIMIT_NPROC, limits.processes)
    _limit(resource.RLIMIT_NOFILE, 65_536)
    if not memory_grouped:
        _limit(resource.RLIMIT_DATA, limits.memory_bytes)
    for number in range(_LAST_CAPABILITY + 1):
        if number not in _CAPABILITIES:
            kernel.prctl(kernel.PR_CAPBSET_DROP, number)
    os.setgroups(account.groups)
    os.setresgid(account.group, account.group, account.group)
    os.setresuid(account.user, account.user, account.user)
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    # Last, because a change of the user takes it back: the launcher's end is this one's.
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    os.umask(0o022)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    os.closerange(3, 1024)


def _limit(what: int, most: int) -> None:
    hard = resource.getrlimit(what)[1]
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(what, (most, most))


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
