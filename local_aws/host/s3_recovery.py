"""Finishes what a killed process of an earlier version was writing of S3's objects."""

import json
from pathlib import Path

_PARTIAL = ".tmp"
_DESCRIPTION = ".meta.json"


def recover(folder: Path) -> None:
    """Finish or forget what a killed process of an earlier version was writing, before ministack reads the folder.

    That version wrote a file beside each object, and gave it its name last.

    :param folder: of S3's objects
    """
    for partial in list(folder.rglob(f"*{_DESCRIPTION}{_PARTIAL}")):
        described = partial.with_name(partial.name.removesuffix(_PARTIAL))
        content = partial.with_name(f"{partial.name.removesuffix(_DESCRIPTION + _PARTIAL)}{_PARTIAL}")
        # Once the content has its name, the description must follow.
        if content.exists() or not _is_whole(partial):
            partial.unlink()
        else:
            partial.replace(described)
    for partial in list(folder.rglob(f"*{_PARTIAL}")):
        if partial.is_file():
            partial.unlink()


def _is_whole(path: Path) -> bool:
    try:
        json.loads(path.read_text())
    except ValueError:
        return False
    return True
