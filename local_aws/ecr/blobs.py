"""The layers of images on disk: a file for each, named by its digest, in a folder for each repository.

A file has its name only when it is complete and its digest is the one that it is named by.
"""

import hashlib
import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from local_aws.ecr.names import family
from local_aws.framework.store import Scope

_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
_BLOCK_BYTES = 1024 * 1024


class Blobs:
    """The layers of all repositories.

    :param folder: where they are; for them only
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def find(self, scope: Scope, repository: str, digest: str) -> Path | None:
        """Return the file of a layer; None where the repository does not have it.

        :param scope: account and region
        :param repository: its name
        :param digest: of the layer
        """
        match = _DIGEST.fullmatch(digest)
        path = self._of(scope, repository) / "blobs" / match[1] if match else None
        return path if path is not None and path.is_file() else None

    def upload(self, scope: Scope, repository: str, upload_id: str) -> Path:
        """Return the file of an upload, which perhaps does not exist.

        :param scope: account and region
        :param repository: its name
        :param upload_id: of the upload
        """
        return self._of(scope, repository) / "uploads" / upload_id

    def append(self, path: Path, received: int, part: bytes) -> None:
        """Add a part to an upload.

        :param path: the upload's file
        :param received: how many bytes have been answered for; what is behind them came from a call without an answer
        :param part: the part
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("r+b" if path.exists() else "w+b") as file:
            file.truncate(received)
            file.seek(received)
            file.write(part)

    def measure(self, path: Path) -> str:
        """Return the digest of an upload.

        :param path: the upload's file
        """
        found = hashlib.sha256()
        with path.open("rb") as file:
            while block := file.read(_BLOCK_BYTES):
                found.update(block)
        return f"sha256:{found.hexdigest()}"

    def complete(self, path: Path, digest: str) -> None:
        """Make a layer of an upload.

        :param path: the upload's file
        :param digest: of the file
        """
        target = path.parent.parent / "blobs" / digest.partition(":")[2]
        target.parent.mkdir(parents=True, exist_ok=True)
        # The age of a layer that no image needs is counted from now.
        os.utime(path)
        path.replace(target)

    def remove(self, scope: Scope, repository: str, digest: str) -> None:
        """Delete a layer; a missing one is fine.

        :param scope: account and region
        :param repository: its name
        :param digest: of the layer
        """
        if path := self.find(scope, repository, digest):
            path.unlink(missing_ok=True)

    def remove_all(self, scope: Scope, repository: str) -> None:
        """Delete all layers and uploads of a repository.

        :param scope: account and region
        :param repository: its name
        """
        shutil.rmtree(self._of(scope, repository), ignore_errors=True)

    def old(self, seconds: float) -> Iterator[tuple[Scope, str, str]]:
        """Find the layers that were uploaded some time ago.

        :param seconds: how long ago at least
        :returns: scope, the repository as `family` writes it without the slash, and the digest
        """
        until = time.time() - seconds
        for path in self._folder.glob("*/*/*/blobs/*"):
            region, account, name = path.parts[-5:-2]
            if path.stat().st_mtime <= until:
                yield Scope(account, region), name, f"sha256:{path.name}"

    def folders(self) -> list[Path]:
        """Return the folders of repositories."""
        return list(self._folder.glob("*/*/*"))

    def keep_only(self, folders: list[Path], repositories: set[tuple[str, str, str]]) -> None:
        """Delete the folders of repositories that do not exist.

        :param folders: as `folders` gives them
        :param repositories: region, account and name of each one that does
        """
        wanted = {(region, account, family(name)[:-1]) for region, account, name in repositories}
        for path in folders:
            if path.parts[-3:] not in wanted:
                shutil.rmtree(path, ignore_errors=True)

    def _of(self, scope: Scope, repository: str) -> Path:
        return self._folder / scope.region / scope.account_id / family(repository)[:-1]
