"""What runs in a sandbox, as the launcher reads it."""

from __future__ import annotations

import json
import os
import stat
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

# Users 0 to 65535 of every sandbox are these of the machine, which no person and no service has.
HOST_ID = 1_879_048_192
ID_COUNT = 65_536


@dataclass(frozen=True)
class Limits:
    """The bounds of one sandbox.

    :param memory_bytes: of all its processes, where the machine has control groups; else of each
    :param processes: and threads
    :param file_bytes: of one file
    :param tmp_bytes: of /tmp, which is in memory
    """

    memory_bytes: int = 4 * 1024**3
    processes: int = 512
    file_bytes: int = 4 * 1024**3
    tmp_bytes: int = 1024**3


@dataclass(frozen=True)
class Bind:
    """A directory or file of the machine that the sandbox sees.

    :param keeps: whether it also sees, read-only, what the image has at the target under other names
    """

    source: str
    target: str
    writable: bool = False
    keeps: bool = False


@dataclass(frozen=True)
class Proxy:
    """The only way out of a sandbox: HTTP and HTTPS to some hosts.

    :param hosts: `name:port` of each; None for every address that is not the machine's own or private
    :param upstream: the machine's own proxy as `name:port`, empty without one
    """

    hosts: tuple[str, ...] | None = ()
    upstream: str = ""


@dataclass(frozen=True)
class SandboxSpec:
    """One program in a sandbox.

    :param lower: directories that make its root, the topmost first
    :param scratch: an empty directory for the launcher alone
    :param upper: where what it changes is kept, None for a root that cannot be written
    :param user: `user[:group]` as names of the sandbox or numbers
    :param proxy: the way out, None for no network
    :param serve_port: the machine's port that leads to the sandbox's port 8080, None for none
    :param with_parent: whether it ends with the process that started it
    """

    argv: tuple[str, ...]
    environment: dict[str, str]
    lower: tuple[str, ...]
    scratch: str
    upper: str | None = None
    binds: tuple[Bind, ...] = ()
    cwd: str = "/"
    user: str = "0"
    hostname: str = "container"
    proxy: Proxy | None = None
    serve_port: int | None = None
    limits: Limits = field(default_factory=Limits)
    cgroups: tuple[str, ...] = ()
    with_parent: bool = False

    def to_json(self) -> str:
        """Write it for the launcher."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` has written."""
        found = json.loads(text)
        proxy = found["proxy"]
        if proxy:
            proxy = Proxy(None if proxy["hosts"] is None else tuple(proxy["hosts"]), proxy["upstream"])
        return cls(
            **found
            | {
                "argv": tuple(found["argv"]),
                "lower": tuple(found["lower"]),
                "binds": tuple(Bind(**bind) for bind in found["binds"]),
                "cgroups": tuple(found["cgroups"]),
                "limits": Limits(**found["limits"]),
                "proxy": proxy,
            }
        )


def owned_by_sandbox(path: Path) -> None:
    """Give a directory and all in it to the sandbox's user 0, and let its other users read it.

    Links are not followed. This process's umask may be that of a service, which lets nobody else read.
    """
    _give(path)
    for folder, folders, files in os.walk(path):
        for name in (*folders, *files):
            _give(Path(folder, name))


def _give(path: Path) -> None:
    os.chown(path, HOST_ID, HOST_ID, follow_symlinks=False)
    mode = path.lstat().st_mode
    if not stat.S_ISLNK(mode):
        path.chmod(stat.S_IMODE(mode) | 0o444 | (0o111 if stat.S_ISDIR(mode) or mode & 0o100 else 0))
