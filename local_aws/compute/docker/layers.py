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

from local_aws.compute.sandbox.spec import HOST_ID, ID_COUNT

MAX_FILES = 300_000
_WHITEOUT, _OPAQUE = ".wh.", ".wh..wh..opq"
_OPAQUE_ATTRIBUTE = "trusted.overlay.opaque"
# Python writes these whenever it likes, with times in them.
_LEFT_OUT = "__pycache__"


class LayerError(Exception):
    """A layer is not what it should be."""


class _Hashed(io.RawIOBase):
    """Counts and hashes what is written through it."""

    def __init__(self, stream: IO[bytes]) -> None:
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
        with gzip.GzipFile(filename="", fileobj=packed, mode="wb", compresslevel=6, mtime=0) as stream:
            plain = _Hashed(stream)
            with tarfile.open(fileobj=plain, mode="w|", format=tarfile.PAX_FORMAT) as tar:
                for member, path in members:
                    if path is None:
                        tar.addfile(member)
                        continue
                    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as content:
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
                yield member, path if member.isreg() else None


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
        member.type, member.linkname = tarfile.SYMTYPE, os.readlink(path)
    elif stat.S_ISCHR(status.st_mode) and status.st_rdev == 0:
        # https://docs.kernel.org/filesystems/overlayfs.html#whiteouts-and-opaque-directories
        return tarfile.TarInfo(str(name.with_name(_WHITEOUT + name.name)))
    else:
        return None
    return member


def _inside(number: int) -> int:
    return number - HOST_ID if HOST_ID <= number < HOST_ID + ID_COUNT else 65534


def unpack(archive: IO[bytes], root: Path, most_bytes: int) -> str:
    """Apply a layer to a directory. Its content may be anybody's.

    :param archive: the .tar.gz
    :param root: the directory, which nobody else changes meanwhile
    :param most_bytes: that it may unpack
    :returns: the diff id
    :raises LayerError: it is no layer, too large, or leads out of the directory
    :raises OSError: it cannot be written
    """
    total = count = 0
    try:
        with gzip.GzipFile(fileobj=archive) as stream:
            plain = _Read(stream, most_bytes + MAX_FILES * 2 * tarfile.BLOCKSIZE)
            with tarfile.open(fileobj=plain, mode="r|") as tar:  # type: ignore[call-overload]  # it reads only
                for member in tar:
                    total, count = total + member.size, count + 1
                    if total > most_bytes or count > MAX_FILES:
                        raise LayerError(f"the layer has more than {most_bytes} bytes or {MAX_FILES} files")
                    _apply(tar, member, root)
            while plain.read(1024 * 1024):
                pass
    except (tarfile.TarError, EOFError, gzip.BadGzipFile) as error:
        raise LayerError(f"the layer is no tar.gz: {error}") from error
    return f"sha256:{plain.sha256.hexdigest()}"


class _Read:
    def __init__(self, stream: IO[bytes], most: int) -> None:
        self._stream, self._most = stream, most
        self.sha256 = hashlib.sha256()

    def read(self, size: int) -> bytes:
        data = self._stream.read(size)
        self._most -= len(data)
        if self._most < 0:
            raise LayerError("the layer is too large")
        self.sha256.update(data)
        return data


def _apply(tar: tarfile.TarFile, member: tarfile.TarInfo, root: Path) -> None:
    path = _safe(root, member.name)
    name = path.name
    if name == _OPAQUE:
        for child in path.parent.iterdir():
            _remove(child)
        return
    if name.startswith(_WHITEOUT):
        _remove(path.with_name(name.removeprefix(_WHITEOUT)))
        return
    if path == root:
        return
    if member.isdir():
        if path.is_symlink() or not path.is_dir():
            _remove(path)
            path.mkdir()
    else:
        _remove(path)
        _write(tar, member, path, root)
    os.chown(
        path, HOST_ID + min(member.uid, ID_COUNT - 1), HOST_ID + min(member.gid, ID_COUNT - 1), follow_symlinks=False
    )
    if not member.issym():
        path.chmod(member.mode & 0o1777)


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path, root: Path) -> None:
    if member.issym():
        path.symlink_to(member.linkname)
    elif member.islnk():
        target = _safe(root, member.linkname)
        if target.is_symlink() or not target.is_file():
            raise LayerError(f"{member.name} is a link to {member.linkname}, which is no file")
        shutil.copyfile(target, path)
    elif member.isreg():
        content = tar.extractfile(member)
        assert content is not None  # noqa: S101 - it is a file
        with path.open("xb") as file:
            shutil.copyfileobj(content, file)
    else:
        raise LayerError(f"{member.name} is neither a file, a directory nor a link")


def _safe(root: Path, name: str) -> Path:
    """Return the place of a member, whose directories are real ones below the root."""
    place = root
    parts = PurePosixPath("/", name).parts[1:]
    if ".." in parts:
        raise LayerError(f"{name} is outside of the image")
    for part in parts[:-1]:
        place /= part
        if place.is_symlink() or (place.exists() and not place.is_dir()):
            _remove(place)
        if not place.exists():
            place.mkdir()
            os.chown(place, HOST_ID, HOST_ID)
    return place / parts[-1] if parts else place


def _remove(path: Path) -> None:
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.is_dir():
        shutil.rmtree(path)
    elif os.path.lexists(path):
        path.unlink()
