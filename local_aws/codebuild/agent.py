"""The process in which a build's commands run, one after another; started by its path, with the standard library only.

It reads its end mark, then a JSON document a line, with ``argv``, ``cwd`` and ``env``; it runs the program and writes
the mark with the exit status. When its input ends, because the build has or the local AWS was killed, it kills all that
it has started. As process 1 of a namespace it ends what left its process group, too.
"""

import json
import os
import pathlib
import resource
import signal
import subprocess
import sys
import threading
import time

_QUEUE: list[str] = []
_READY = threading.Condition()
_PR_SET_CHILD_SUBREAPER = 36
_LOOK_SECONDS = 0.1
# Written instead of a status when there are too many processes.
TOO_MANY = "too-many"


def main(memory_bytes: int, file_bytes: int, processes: int) -> None:
    """Run commands until the input ends.

    :param memory_bytes: of each process
    :param file_bytes: of each file
    :param processes: of the build at once; of the user, where the build has no process ids of its own
    """
    _adopt_orphans()
    # Not an argument, which the commands could read.
    mark = sys.stdin.readline().strip()
    threading.Thread(target=_read, daemon=True).start()
    if os.getpid() == 1:
        # The superuser's processes have no limit that the system keeps.
        threading.Thread(target=_count, args=(mark, processes), daemon=True).start()
    limits = {resource.RLIMIT_DATA: memory_bytes, resource.RLIMIT_FSIZE: file_bytes, resource.RLIMIT_CORE: 0}
    if os.getuid() != 0:
        limits[resource.RLIMIT_NPROC] = processes
    while True:
        with _READY:
            _READY.wait_for(lambda: _QUEUE)
            command = json.loads(_QUEUE.pop(0))
        status = _run(command, limits)
        sys.stdout.write(f"{mark} {status}\n")
        sys.stdout.flush()


def _run(command: dict, limits: dict[int, int]) -> int:
    try:
        process = subprocess.Popen(
            command["argv"],
            cwd=command["cwd"],
            env=command["env"],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
            preexec_fn=lambda: _limit(limits),
            start_new_session=True,
        )
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        sys.stdout.write(f"The command cannot be started: {error}\n")
        return 127
    while True:
        pid, status = os.waitpid(-1, 0)
        if pid == process.pid:
            process.returncode = os.waitstatus_to_exitcode(status)
            return process.returncode


def _limit(limits: dict[int, int]) -> None:
    for kind, value in limits.items():
        _, hard = resource.getrlimit(kind)
        most = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (most, most))


def _read() -> None:
    for line in sys.stdin:
        with _READY:
            _QUEUE.append(line)
            _READY.notify()
    _end()


def _count(mark: str, most: int) -> None:
    """End all processes of this namespace when there are too many."""
    while sum(entry.name.isdigit() for entry in pathlib.Path("/proc").iterdir()) <= most:
        time.sleep(_LOOK_SECONDS)
    os.write(sys.stdout.fileno(), f"{mark} {TOO_MANY}\n".encode())
    os._exit(1)


def _end() -> None:
    """Kill all processes that this one has, and end."""
    if os.getpid() != 1:
        while children := _children():
            for pid in children:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            try:
                os.waitpid(-1, 0)
            except ChildProcessError:
                break
    os._exit(0)


def _children() -> list[int]:
    """Return the processes of which this one is the parent, those of dead children among them."""
    found = subprocess.run(["/bin/ps", "-A", "-o", "pid=,ppid=,stat="], capture_output=True, text=True, check=False)
    rows = (line.split() for line in found.stdout.splitlines())
    own = str(os.getpid())
    return [int(row[0]) for row in rows if len(row) == 3 and row[1] == own and not row[2].startswith("Z")]


def _adopt_orphans() -> None:
    """Become the parent of descendants whose own parent ends; Linux only."""
    if sys.platform != "linux" or os.getpid() == 1:
        return
    import ctypes

    # https://man7.org/linux/man-pages/man2/PR_SET_CHILD_SUBREAPER.2const.html
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:4]))
