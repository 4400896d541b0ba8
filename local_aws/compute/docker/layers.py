"""Layers as registries have them: the files that an instruction changed, as a .tar.gz that is the same each time.

https://github.com/opencontainers/image-spec/blob/main/layer.md
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import shutil
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from local_aws import trees
from local_aws.compute.sandbox.disk import MAX_FILES
from local_aws.compute.sandbox.spec import HOST_ID, ID_COUNT, owned_by_sandbox
from local_aws.tars import BROKEN, BoundedHeader

_WHITEOUT, _OPAQUE = ".wh.", ".wh..wh..opq"
_OPAQUE_ATTRIBUTE = "trusted.overlay.opaque"
# Most of a build's time would otherwise be this: the base of an image alone has hundreds of megabytes.
_LEVEL = 1
# Python writes these whenever it likes, with times in them.
_LEFT_OUT = "__pycache__"


class LayerError(Exception):
    """A layer is not what it should be."""


class _Hashed(io.RawIOBase):
    """Counts and hashes what is written through it."""

    def __init__(self, stream: IO[bytes] | gzip.GzipFile) -> None:
        self._stream = stream
        self.sha256 = hashlib.sha256()
        self.size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]  # tarfile and gzip give bytes
        self.sha256.update(data)
        self.size += len(data)
        self._stream.write(data)
        return len(data)


def compressed(file: IO[bytes] | _Hashed) -> gzip.GzipFile:
    """Return a stream that compresses what is written to it into a file, the same for the same bytes."""
    return gzip.GzipFile(filename="", fileobj=file, mode="wb", compresslevel=_LEVEL, mtime=0)


def pack(diff: Path, archive: Path) -> tuple[str, str, int] | None:
    """Write the files that an overlay's upper directory has as a layer.

    Owners are the image's, times are 0, names are sorted, so that equal files make an equal layer.

    :param diff: the upper directory
    :param archive: the file to write
    :returns: digest, diff id and size in bytes; None where nothing has changed
    """
    members = list(_members(diff))
    if not members:
        return None
    with archive.open("wb") as file:
        packed = _Hashed(file)
        with compressed(packed) as stream:
            plain = _Hashed(stream)
            with tarfile.open(fileobj=plain, mode="w|", format=tarfile.PAX_FORMAT) as tar:
                for member, path in members:
                    if path is None:
                        tar.addfile(member)
                        continue
                    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as content:
                        tar.addfile(member, content)
    return f"sha256:{packed.sha256.hexdigest()}", f"sha256:{plain.sha256.hexdigest()}", packed.size


def _members(diff: Path) -> Iterator[tuple[tarfile.TarInfo, Path | None]]:
    """Yield what a layer has, in order, with the file that has the content."""
    for place, folders, files in os.walk(diff):
        folders[:] = sorted(name for name in folders if name != _LEFT_OUT)
        if Path(place) != diff and _is_opaque(place):
            yield tarfile.TarInfo(str(PurePosixPath(Path(place).relative_to(diff), _OPAQUE))), None
        for name in sorted((*folders, *files)):
            path = Path(place, name)
            member = _member(path, path.relative_to(diff))
            if member:
                # A whiteout is an empty file in the layer, and a device here.
                yield member, path if member.size else None


def _is_opaque(place: str) -> bool:
    try:
        return os.getxattr(place, _OPAQUE_ATTRIBUTE, follow_symlinks=False) == b"y"
    except OSError:
        return False


def _member(path: Path, name: Path) -> tarfile.TarInfo | None:
    status = path.lstat()
    member = tarfile.TarInfo(str(name))
    member.mode = stat.S_IMODE(status.st_mode)
    member.uid, member.gid = _inside(status.st_uid), _inside(status.st_gid)
    if stat.S_ISDIR(status.st_mode):
        member.type = tarfile.DIRTYPE
    elif stat.S_ISREG(status.st_mode):
        member.size = status.st_size
    elif stat.S_ISLNK(status.st_mode):
        member.type, member.linkname = tarfile.SYMTYPE, str(path.readlink())
    elif stat.S_ISCHR(status.st_mode) and status.st_rdev == 0:
        # https://docs.kernel.org/filesystems/overlayfs.html#whiteouts-and-opaque-directories
        return tarfile.TarInfo(str(name.with_name(_WHITEOUT + name.name)))
    else:
        return None
    return member


def _inside(number: int) -> int:
    return number - HOST_ID if HOST_ID <= number < HOST_ID + ID_COUNT else 65534


def unpack(archive: IO[bytes], diff: Path, most_bytes: int) -> str:
    """Write a layer as an overlay's directory, the opposite of `pack`. Its content may be anybody's.

    :param archive: the .tar.gz
    :param diff: an empty directory, which nobody else changes meanwhile
    :param most_bytes: that it may unpack
    :returns: the diff id
    :raises LayerError: it is no layer, too large, or leads out of the directory
    :raises OSError: it cannot be written
    """
    total = 0
    target = _Target(diff)
    try:
        with gzip.GzipFile(fileobj=archive) as stream:
            plain = _Read(stream, most_bytes + MAX_FILES * 2 * tarfile.BLOCKSIZE)
            with tarfile.open(fileobj=plain, mode="r|", tarinfo=BoundedHeader) as tar:  # type: ignore[call-overload]  # it reads only
                for member in tar:
                    total += member.size
                    if total > most_bytes:
                        raise LayerError(f"the layer has more than {most_bytes} bytes or {MAX_FILES} files")
                    target.apply(tar, member)
            while plain.read(1024 * 1024):
                pass
    except (*BROKEN, gzip.BadGzipFile) as error:
        raise LayerError(f"the layer is no tar.gz: {error}") from error
    return f"sha256:{plain.sha256.hexdigest()}"


class _Read:
    def __init__(self, stream: gzip.GzipFile, most: int) -> None:
        self._stream, self._most = stream, most
        self.sha256 = hashlib.sha256()

    def read(self, size: int) -> bytes:
        data = self._stream.read(size)
        self._most -= len(data)
        if self._most < 0:
            raise LayerError("the layer is too large")
        self.sha256.update(data)
        return data


class _Target:
    """The directory that a layer is unpacked to.

    :param root: the directory
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._left = MAX_FILES
        # Directories that are real ones, so that each is looked at once.
        self._known = {root}

    def apply(self, tar: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        """Write one member.

        :raises LayerError: it is not allowed
        """
        path = self._place(member.name)
        self._count()
        if path == self._root:
            return
        if path.name == _OPAQUE:
            os.setxattr(path.parent, _OPAQUE_ATTRIBUTE, b"y")
            return
        if path.name.startswith(_WHITEOUT):
            path = path.with_name(path.name.removeprefix(_WHITEOUT))
            self._remove(path)
            os.mknod(path, stat.S_IFCHR, 0)
            return
        if member.isdir():
            if path not in self._known:
                self._remove(path)
                path.mkdir()
                self._known.add(path)
        else:
            self._remove(path)
            self._write(tar, member, path)
        user, group = (HOST_ID + min(number, ID_COUNT - 1) for number in (member.uid, member.gid))
        os.chown(path, user, group, follow_symlinks=False)
        if not member.issym():
            path.chmod(member.mode & 0o1777)

    def _place(self, name: str) -> Path:
        """Return the place of a member, whose directories are real ones below the root."""
        parts = PurePosixPath("/", name).parts[1:]
        if ".." in parts:
            raise LayerError(f"{name} is outside of the image")
        if len(parts) > trees.MAX_DEPTH:
            raise LayerError(f"{name[:100]}… is more than {trees.MAX_DEPTH} deep")
        place = self._root
        for part in parts[:-1]:
            place /= part
            if place not in self._known:
                self._count()
                self._remove(place)
                place.mkdir()
                owned_by_sandbox(place)
                self._known.add(place)
        return place / parts[-1] if parts else place

    def _count(self) -> None:
        """Count a file or directory, those that no member names too."""
        self._left -= 1
        if self._left < 0:
            raise LayerError(f"the layer has more than {MAX_FILES} files")

    def _write(self, tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
        if member.issym():
            path.symlink_to(member.linkname)
        elif member.islnk():
            target = self._place(member.linkname)
            if target.is_symlink() or not target.is_file():
                raise LayerError(f"{member.name} is a link to {member.linkname}, which is no file of its layer")
            shutil.copyfile(target, path)
        elif member.isreg():
            content = tar.extractfile(member)
            assert content is not None  # noqa: S101 - it is a file
            with path.open("xb") as file:
                shutil.copyfileobj(content, file)
        else:
            raise LayerError(f"{member.name} is neither a file, a directory nor a link")

    def _remove(self, path: Path) -> None:
        """Remove what an earlier member of the same name was."""
        if path in self._known:
            shutil.rmtree(path)
            self._known = {known for known in self._known if not known.is_relative_to(path)}
        else:
            path.unlink(missing_ok=True)
