"""make test-postgres: end-to-end tests on their own Postgres server, with several API server processes."""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools import e2e

# Where Debian and Ubuntu install the programs of each version; they are not in PATH.
DEBIAN_BINARIES = "/usr/lib/postgresql"
USER = "airflow"
START_TIMEOUT_SECONDS = 60.0
STOP_TIMEOUT_SECONDS = 30.0
API_WORKERS = 2


class PostgresError(Exception):
    """The server cannot be started; the message says why and what to do."""


def find_binaries() -> Path | None:
    """Return the folder with initdb and postgres of the newest installed version, or None."""
    found = [path.parent for path in Path(DEBIAN_BINARIES).glob("*/bin/initdb")]
    if found:
        return max(found, key=lambda path: float(path.parent.name))
    in_path = shutil.which("initdb")
    return Path(in_path).resolve().parent if in_path else None


def binaries() -> Path:
    """Return the folder with initdb and postgres; root on Debian or Ubuntu installs them.

    :raises PostgresError: when they are missing and cannot be installed.
    """
    folder = find_binaries()
    apt = shutil.which("apt-get")
    if folder is None and os.getuid() == 0 and apt:
        print("Installing Postgres by apt-get …", flush=True)
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for step in (["update"], ["install", "-y", "--no-install-recommends", "postgresql"]):
            subprocess.run([apt, "-qq", *step], env=environment, stdin=subprocess.DEVNULL, check=False)
        folder = find_binaries()
    if folder is None:
        raise PostgresError(
            "Postgres is not installed: neither /usr/lib/postgresql/*/bin/initdb nor initdb in PATH. "
            "On Debian or Ubuntu: apt-get install postgresql"
        )
    return folder


@dataclass
class Server:
    """One Postgres server on the loopback, with a data folder that is removed when it stops."""

    programs: Path
    folder: Path
    port: int
    password: str
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"postgresql+psycopg2://{USER}:{self.password}@127.0.0.1:{self.port}/postgres"

    @property
    def log(self) -> Path:
        return self.folder / "server.log"

    def start(self) -> None:
        """Create the data folder and start the server.

        :raises PostgresError: when either fails, with the end of the server's log.
        """
        password_file = self.folder / "password"
        password_file.write_text(self.password)
        owner = _server_user()
        for path in (self.folder, password_file):
            shutil.chown(path, owner)
        data = self.folder / "data"
        create = ["initdb", "-D", str(data), "-U", USER, "-A", "scram-sha-256", "--pwfile", str(password_file)]
        create += ["-E", "UTF8", "--no-locale", "--no-sync"]
        with self.log.open("ab") as log:
            if subprocess.run(self._command(create), stdout=log, stderr=log, check=False, **_as(owner)).returncode:
                raise PostgresError(f"initdb failed:\n{self._tail()}")
            options = ["listen_addresses=127.0.0.1", "unix_socket_directories=", "max_connections=200"]
            # The data are removed afterwards, so they need no protection from a crash.
            options += ["fsync=off", "full_page_writes=off"]
            run = ["postgres", "-D", str(data), "-p", str(self.port), *(f"-c{option}" for option in options)]
            # In its own session, so that Ctrl-C does not end the server before the tests.
            self.process = subprocess.Popen(
                self._command(run), stdout=log, stderr=log, start_new_session=True, **_as(owner)
            )
        self._wait_ready()

    def _command(self, command: Sequence[str]) -> list[str]:
        return [str(self.programs / command[0]), *command[1:]]

    def _wait_ready(self) -> None:
        ready = self._command(["pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)])
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while subprocess.run(ready, check=False).returncode != 0:
            ended = self.process is None or self.process.poll() is not None
            if ended or time.monotonic() > deadline:
                raise PostgresError(f"Postgres did not start:\n{self._tail()}")
            time.sleep(0.2)

    def _tail(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])

    def stop(self) -> None:
        """Stop the server, even with open connections."""
        if self.process is None:
            return
        # Fast shutdown: https://www.postgresql.org/docs/current/server-shutdown.html
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(STOP_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait()


def _server_user() -> str:
    """Return the user to run the server as: Postgres refuses root.

    :raises PostgresError: when there is no other user.
    """
    if os.getuid() != 0:
        return pwd.getpwuid(os.getuid()).pw_name
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name).pw_name
    raise PostgresError("Postgres refuses to run as root, and there is neither a user postgres nor nobody.")


def _as(user: str) -> dict[str, Any]:
    """Return arguments for subprocess to run a program as another user, without root's groups."""
    if os.getuid() != 0:
        return {}
    entry = pwd.getpwnam(user)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": [], "cwd": "/"}


@contextlib.contextmanager
def server() -> Iterator[Server]:
    """Run a server on a free port.

    :raises PostgresError: when there is no Postgres, or it does not start.
    """
    programs = binaries()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    with tempfile.TemporaryDirectory(prefix="slipway-postgres-") as folder:
        made = Server(programs, Path(folder), port, secrets.token_urlsafe(24))
        try:
            made.start()
            yield made
        finally:
            made.stop()


def main() -> int:
    """Run pytest with this program's arguments against a Postgres server that stops afterwards."""
    # So that the server is stopped too when this program is told to end before the tests have started.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        with server() as postgres:
            print(f"Postgres {postgres.programs.parent.name} on port {postgres.port}", flush=True)
            return e2e.run(
                sys.argv[1:], {"SLIPWAY_DATABASE_URL": postgres.url, "SLIPWAY_API_WORKERS": str(API_WORKERS)}
            )
    except PostgresError as error:
        print(f"make: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    raise SystemExit(main())
