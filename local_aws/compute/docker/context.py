"""The context of a build: which files a COPY means, what they contain, and no way out of the directory.

https://docs.docker.com/build/concepts/context/
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import stat
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import IO

_MAX_FILES = 100_000
_MAX_BYTES = 2 * 1024**3


class ContextError(Exception):
    """The context has not what an instruction asks for, or leads out of its directory."""


class Context:
    """The files of a directory that `.dockerignore` leaves; links are never followed.

    :param folder: the directory
    :param dockerfile: its Dockerfile, relative to it
    :raises ContextError: it is too large
    """

    def __init__(self, folder: Path, dockerfile: str = "Dockerfile") -> None:
        self._folder = folder
        rules = _rules(folder, dockerfile)
        self._paths: dict[str, os.stat_result] = {}
        size = 0
        for path, status in _walk(folder):
            if _ignored(path, rules):
                continue
            self._paths[path] = status
            size += status.st_size
            if len(self._paths) > _MAX_FILES or size > _MAX_BYTES:
                raise ContextError(f"the context has more than {_MAX_FILES} files or {_MAX_BYTES} bytes")

    def sources(self, patterns: Sequence[str]) -> list[str]:
        """Return what the patterns of a COPY name, each a path relative to the directory.

        :raises ContextError: a pattern leads out of the context or names nothing
        """
        found: list[str] = []
        for pattern in patterns:
            parts = PurePosixPath("/", pattern).parts[1:]
            if ".." in parts:
                raise ContextError(f"{pattern} leads out of the context")
            clean = "/".join(parts)
            if not clean:
                found.append("")
                continue
            matches = [path for path in self._paths if _matches(path, clean)]
            if not matches:
                raise ContextError(f'"/{clean}": not found in the context')
            found += sorted(matches)
        for path in found:
            self._require_inside(path)
        return found

    def _require_inside(self, path: str) -> None:
        """Refuse a source that is a link to what is not in the context."""
        status = self._paths.get(path)
        if status is not None and _is_link(status):
            raise ContextError(f"{path} is a symbolic link; copy the directory that it is in, or what it leads to")

    def below(self, source: str) -> Iterator[tuple[str, str]]:
        """Yield what a source consists of, as (path in the context, path relative to the source), in order."""
        if not self.is_folder(source):
            yield source, ""
            return
        prefix = f"{source}/" if source else ""
        for path in sorted(self._paths):
            if path.startswith(prefix):
                yield path, path[len(prefix) :]

    def _named(self, source: str) -> Iterator[tuple[str, str]]:
        """Yield what a source consists of, each with its name at the destination: a file has its own."""
        return ((path, name or PurePosixPath(source).name) for path, name in self.below(source))

    def is_folder(self, path: str) -> bool:
        """Tell whether a source is a directory."""
        return not path or stat.S_ISDIR(self._paths[path].st_mode)

    def digest(self, sources: Sequence[str]) -> str:
        """Return the SHA-256 of all that the sources contain, with names, kinds and permission to execute."""
        total = hashlib.sha256()
        for source in sources:
            total.update(f"source {self.is_folder(source)}\0".encode())
            for path, name in self._named(source):
                member = self._member(path, name)
                total.update(f"{name}\0{member.type!r}\0{member.mode}\0{member.linkname}\0".encode())
                if member.isreg():
                    with self._open(path) as file:
                        total.update(hashlib.file_digest(file, "sha256").digest())
        return total.hexdigest()

    def write(self, sources: Sequence[str], stream: IO[bytes]) -> None:
        """Write the sources as a tar: a directory's content at its top, a file by its own name."""
        with tarfile.open(fileobj=stream, mode="w|", format=tarfile.PAX_FORMAT) as tar:
            for source in sources:
                for path, name in self._named(source):
                    member = self._member(path, name)
                    if not member.isreg():
                        tar.addfile(member)
                        continue
                    with self._open(path) as file:
                        content = file.read()
                    member.size = len(content)
                    tar.addfile(member, io.BytesIO(content))

    def _member(self, path: str, name: str) -> tarfile.TarInfo:
        status = self._paths[path]
        member = tarfile.TarInfo(name)
        if _is_link(status):
            member.type, member.linkname, member.mode = tarfile.SYMTYPE, str((self._folder / path).readlink()), 0o777
        elif self.is_folder(path):
            member.type, member.mode = tarfile.DIRTYPE, 0o755
        else:
            member.mode = 0o755 if status.st_mode & 0o111 else 0o644
        return member

    def _open(self, path: str) -> io.BufferedReader:
        """Open a file; that it became a link meanwhile is an error."""
        descriptor = os.open(self._folder / path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        return open(descriptor, "rb")  # noqa: PTH123 - a descriptor has no Path


def _is_link(status: os.stat_result) -> bool:
    return stat.S_ISLNK(status.st_mode)


def _walk(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Yield directories, files and links, without following links; other kinds are left out, as by docker's client."""
    for place, folders, files in os.walk(folder):
        for name in sorted((*folders, *files)):
            full = Path(place, name)
            status = full.lstat()
            if stat.S_IFMT(status.st_mode) in (stat.S_IFDIR, stat.S_IFREG, stat.S_IFLNK):
                yield str(full.relative_to(folder)), status


def _rules(folder: Path, dockerfile: str) -> list[tuple[re.Pattern[str], bool]]:
    """Read `.dockerignore`. https://docs.docker.com/build/concepts/context/#dockerignore-files

    :returns: patterns with whether they leave out what they match; the last that matches counts
    """
    for name in (f"{dockerfile}.dockerignore", ".dockerignore"):
        path = folder / name
        if path.is_file() and not path.is_symlink():
            lines = path.read_text(errors="replace").splitlines()
            break
    else:
        return []
    found = []
    for line in lines:
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        ignores = not text.startswith("!")
        clean = "/".join(PurePosixPath("/", text.lstrip("!").strip()).parts[1:])
        if clean:
            found.append((re.compile(_expression(clean) + r"(?:/.*)?\Z"), ignores))
    return found


def _ignored(path: str, rules: list[tuple[re.Pattern[str], bool]]) -> bool:
    ignored = False
    for pattern, ignores in rules:
        if pattern.match(path):
            ignored = ignores
    return ignored


def _matches(path: str, pattern: str) -> bool:
    return re.match(_expression(pattern) + r"\Z", path) is not None


def _expression(pattern: str) -> str:
    """Translate a pattern. https://pkg.go.dev/path/filepath#Match, and `**` for any number of directories."""
    parts = []
    position = 0
    while position < len(pattern):
        char = pattern[position]
        if pattern.startswith("**", position):
            position += 2
            if pattern.startswith("/", position):
                position += 1
                parts.append("(?:.*/)?")
            else:
                parts.append(".*")
            continue
        if char == "[" and (end := pattern.find("]", position + 2)) > 0:
            inner = pattern[position + 1 : end].replace("\\", "\\\\")
            parts.append(f"[{inner}]")
            position = end + 1
            continue
        parts.append({"*": "[^/]*", "?": "[^/]"}.get(char) or re.escape(char))
        position += 1
    return "".join(parts)
