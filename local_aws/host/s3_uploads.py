"""S3's uploads in parts, on disk: a folder for each, with its description and a file for each part.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html
"""

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

_DESCRIPTION = "upload.json"
# For so long a completion that is asked for again gets its first answer.
_COMPLETED_SECONDS = 24 * 3600

Scoped = tuple[str, str]


class Uploads:
    """The uploads of all accounts.

    :param folder: where they are kept
    :param begun: ministack's uploads in flight, by account and id
    :param completed: ministack's answers to completed ones
    """

    def __init__(self, folder: Path, begun: Any, completed: Any) -> None:
        self._folder = folder
        self._begun = begun._data
        self._completed = completed._data
        # What is on disk: the parts of uploads in flight, None for a completed one.
        self._kept: dict[Scoped, dict[int, Any] | None] = {}

    def load(self) -> None:
        """Give ministack what an earlier process has kept."""
        for folder in self._folder.glob("*/*"):
            scoped = (folder.parent.name, folder.name)
            try:
                upload = json.loads((folder / _DESCRIPTION).read_text())
            except FileNotFoundError:
                # It was being begun, or had been aborted.
                shutil.rmtree(folder)
                continue
            for partial in folder.glob("*.tmp"):
                partial.unlink()
            if "response" not in upload:
                upload["parts"] = {int(file.name): _part(file) for file in folder.iterdir() if file.name.isdecimal()}
                self._begun[scoped] = upload
                self._kept[scoped] = dict(upload["parts"])
            elif (folder / _DESCRIPTION).stat().st_mtime < time.time() - _COMPLETED_SECONDS:
                shutil.rmtree(folder)
            else:
                _remove_parts(folder)
                status, headers, body = upload["response"]
                self._completed[scoped] = {**upload, "response": (status, headers, body.encode())}
                self._kept[scoped] = None

    def keep(self, account: str, upload_id: str, write: Callable[[str, bytes | str], None]) -> Callable[[], None]:
        """Write what a call has changed of an upload.

        :param account: whose upload
        :param upload_id: its id
        :param write: writes a file when the call succeeds
        :returns: what to do once the files are there
        :raises OSError: they cannot be written
        """
        scoped, folder = (account, upload_id), self._folder / account / upload_id
        if begun := self._begun.get(scoped):
            kept = self._kept.get(scoped)
            parts = dict(begun["parts"])
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for number, part in parts.items():
                if kept is None or kept.get(number) is not part:
                    described = {name: value for name, value in part.items() if name != "body"}
                    write(str(folder / str(number)), json.dumps(described).encode() + b"\n" + part["body"])
            if kept is None:
                upload = {name: value for name, value in begun.items() if name != "parts"}
                write(str(folder / _DESCRIPTION), json.dumps(upload))
            return lambda: self._kept.update({scoped: parts})
        if scoped not in self._kept:
            return _nothing
        if completed := self._completed.get(scoped):
            if self._kept[scoped] is None:
                return _nothing
            status, headers, body = completed["response"]
            write(str(folder / _DESCRIPTION), json.dumps({**completed, "response": [status, headers, body.decode()]}))

            def complete() -> None:
                self._kept[scoped] = None
                _remove_parts(folder)

            return complete

        def forget() -> None:
            del self._kept[scoped]
            (folder / _DESCRIPTION).unlink()
            shutil.rmtree(folder)

        return forget


def _part(file: Path) -> dict[str, Any]:
    described, _, body = file.read_bytes().partition(b"\n")
    return {**json.loads(described), "body": body}


def _remove_parts(folder: Path) -> None:
    for file in folder.iterdir():
        if file.name.isdecimal():
            file.unlink()


def _nothing() -> None:
    """Leave everything as it is."""
