"""Unpacks a model's archive, within limits: it may be anybody's, and fills no disk and no memory."""

import gzip
import shutil
import tarfile
from pathlib import Path, PurePosixPath

from local_aws import trees
from local_aws.settings import DISK_RESERVE_BYTES

_MAX_MEMBERS = 100_000
# The volumes of SageMaker's instances have limits, too: https://docs.aws.amazon.com/sagemaker/latest/dg/host-instance-storage.html
_MAX_BYTES = 10 * 1024**3
# tarfile reads a header in one piece, and a file's content in smaller ones.
_MAX_PIECE_BYTES = 1024 * 1024


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a .tar.gz: files and directories only, and nothing outside of the directory.

    :param archive: the file
    :param folder: an empty directory; what has been unpacked stays there when the archive is refused
    :raises tarfile.TarError: it is no such archive, or contains what is not allowed
    :raises OSError: it cannot be read or written
    """
    most = min(_MAX_BYTES, shutil.disk_usage(folder).free - DISK_RESERVE_BYTES)
    total = 0
    with _Limited(archive, most) as stream, tarfile.open(fileobj=stream, mode="r:") as tar:
        for count, member in enumerate(tar, start=1):
            if count > _MAX_MEMBERS:
                raise tarfile.ExtractError(f"it has more than {_MAX_MEMBERS} members")
            _check_member(member, folder)
            # A sparse file is larger than its part of the archive.
            total += member.size
            if total > most:
                raise _too_large(most)
            # Owners and modes of the archive are ignored; everything belongs to this process's user.
            tar.extract(member, folder, set_attrs=False)


def _check_member(member: tarfile.TarInfo, folder: Path) -> None:
    """Refuse what must not be unpacked. tarfile's filters came with Python 3.11.4, and Debian 12 has 3.11.2.

    https://docs.python.org/3.11/library/tarfile.html#extraction-filters

    :raises tarfile.ExtractError: it is a link or a device, or lies outside of the directory
    """
    if not (member.isfile() or member.isdir()):
        raise tarfile.ExtractError(f"{member.name!r} is neither a file nor a directory")
    if len(PurePosixPath(member.name).parts) > trees.MAX_DEPTH:
        raise tarfile.ExtractError(f"{member.name[:100]!r}… is more than {trees.MAX_DEPTH} deep")
    if not (folder / member.name).resolve().is_relative_to(folder.resolve()):
        raise tarfile.ExtractError(f"{member.name!r} is outside the destination")


def _too_large(most: int) -> tarfile.ExtractError:
    return tarfile.ExtractError(f"No space left on device: it has more than {max(0, most)} bytes unpacked")


class _Limited(gzip.GzipFile):
    """The decompressed content of an archive, which ends with an error where it becomes too long."""

    def __init__(self, path: Path, most: int) -> None:
        super().__init__(path)
        # Headers and padding come on top of the files' content.
        self._end = most + _MAX_MEMBERS * 2 * tarfile.BLOCKSIZE
        self._most = most

    def read(self, size: int | None = -1) -> bytes:
        """Read a piece.

        :raises tarfile.ExtractError: it is too long, or ends too far behind
        """
        length = -1 if size is None else size
        if not 0 <= length <= _MAX_PIECE_BYTES:
            raise tarfile.ExtractError(f"a header of it has {length} bytes")
        self._check(self.tell() + length)
        return super().read(length)

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a place.

        :raises tarfile.ExtractError: it is too far behind
        """
        self._check(offset)
        return super().seek(offset, whence)

    def _check(self, position: int) -> None:
        if position > self._end:
            raise _too_large(self._most)
