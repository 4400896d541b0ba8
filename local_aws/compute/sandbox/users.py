"""Users of a sandbox, by its own files; call this inside."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

_MAX_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Account:
    """Who runs a program.

    :param home: the directory
    :param groups: the further ones
    """

    user: int
    group: int
    home: str
    groups: tuple[int, ...] = ()


def find(text: str) -> Account:
    """Return the account of `user[:group]`. https://docs.docker.com/reference/dockerfile/#user

    :param text: names or numbers
    :raises OSError: the sandbox has no such user or group
    """
    name, _, group_name = text.partition(":")
    for entry in _entries("/etc/passwd", 7):
        if name in (entry[0], entry[2]):
            user, group, home = int(entry[2]), int(entry[3]), entry[5]
            groups = tuple(int(found[2]) for found in _entries("/etc/group", 4) if entry[0] in found[3].split(","))
            break
    else:
        if not name.isdigit():
            # Docker's words.
            raise OSError(f"unable to find user {name}: no matching entries in passwd file")
        user, group, home, groups = int(name), 0, "/", ()
    if group_name:
        group, groups = _group(group_name), ()
    return Account(user, group, home or "/", groups)


def _group(name: str) -> int:
    for entry in _entries("/etc/group", 4):
        if name == entry[0]:
            return int(entry[2])
    if name.isdigit():
        return int(name)
    raise OSError(f"unable to find group {name}: no matching entries in group file")


def _entries(path: str, count: int) -> list[list[str]]:
    try:
        with Path(path).open(errors="replace") as file:
            lines = file.read(_MAX_BYTES).splitlines()
    except OSError:
        return []
    entries = [line.split(":") for line in lines]
    return [
        entry for entry in entries if len(entry) == count and entry[2].isdigit() and (count == 4 or entry[3].isdigit())
    ]
