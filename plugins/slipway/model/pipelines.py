"""The pipelines: one for each model file, from its last good version while the file is broken.

A release may run for days, and without its DAG Airflow would start no more of its tasks. So each process that makes
DAGs keeps a copy of every good model file, and makes the DAG of a broken file from the copy.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from slipway.errors import ModelFileError
from slipway.model.config import ModelConfig
from slipway.model.files import ModelFile, is_model_file, load_model, own_fields, read_models, settled
from slipway.model.text import read_text
from slipway.validation import shown_name

STALE_TAG = "stale model file"


@dataclass(frozen=True)
class Stale:
    """Why a pipeline is made from an earlier version of its model file.

    :param file: the file's name
    :param since: when the file was changed; ISO 8601, UTC
    :param why: what is wrong with it
    """

    file: str
    since: str
    why: str

    def __str__(self) -> str:
        return (
            f"{self.file} is broken since {self.since}: {self.why} Running releases continue with its last good "
            "version; no release starts until the file is fixed."
        )

    @property
    def markdown(self) -> str:
        """The same as code, because the text of a file is not Markdown."""
        return f"`{str(self).replace('`', chr(39))}`"


@dataclass(frozen=True)
class Pipeline:
    """One model's pipeline.

    :param stale: None while the file is valid
    """

    model: ModelConfig
    stale: Stale | None = None


def pipelines(folder: Path, copies: Path) -> list[Pipeline]:
    """Read the model files, keep a copy of each good one, and use the copy of a broken one.

    The copy of a removed file is removed too. If the folder cannot be listed, all copies are used.

    :param folder: usually include/models
    :param copies: the folder of the copies; made if it is missing
    """
    place = copies / hashlib.sha256(str(folder).encode()).hexdigest()[:16]
    try:
        files = read_models(folder)
    except ModelFileError as error:
        files = [ModelFile(folder / copy.name, error=error) for copy in _listed(place) if is_model_file(copy)]
    else:
        _forget_all_but({file.path.name for file in files}, place)
    found = [Pipeline(file.model) for file in files if file.model]
    for file in files:
        if file.model:
            _keep(file.path, place / file.path.name)
        elif (old := _last_good(place / file.path.name)) and not _clashes(old, found):
            stale = Stale(shown_name(file.path.name), _changed_at(file.path), f"{str(file.error).rstrip('.')}.")
            found.append(Pipeline(old, stale))
    return found


def _clashes(old: ModelConfig, others: Iterable[Pipeline]) -> bool:
    """Tell whether another file has a value that must be a copy's own."""
    taken = {field for other in others for field in own_fields(other.model)}
    return not taken.isdisjoint(own_fields(old))


def _keep(path: Path, copy: Path) -> None:
    """Copy a good file, unless the copy is the same. Do nothing if the copies' folder cannot be written."""
    before = settled(path)
    # A file that is being written may be incomplete and still valid.
    if before is None:
        return
    with contextlib.suppress(OSError, ModelFileError):
        found = path.stat()
        if copy.exists() and (copy.stat().st_size, copy.stat().st_mtime_ns) == (found.st_size, found.st_mtime_ns):
            return
        text = read_text(path)
        if settled(path) != before:
            return
        copy.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("wb", dir=copy.parent, suffix=".new", delete=False) as new:
            new.write(text.encode())
        # So that the next comparison need not read both files.
        os.utime(new.name, ns=(found.st_atime_ns, found.st_mtime_ns))
        Path(new.name).replace(copy)


def _last_good(copy: Path) -> ModelConfig | None:
    try:
        return load_model(copy)
    except ModelFileError:
        # There is no copy, or this version of Slipway has other rules.
        return None


def _forget_all_but(names: Collection[str], place: Path) -> None:
    for copy in _listed(place):
        if copy.name not in names:
            with contextlib.suppress(OSError):
                copy.unlink()


def _listed(place: Path) -> list[Path]:
    with contextlib.suppress(OSError):
        return sorted(place.iterdir())
    return []


def _changed_at(path: Path) -> str:
    """Return when a file was changed, by its own times, which are the same for all processes and machines."""
    for look in (path.stat, path.lstat):
        with contextlib.suppress(OSError):
            found = look()
            return datetime.fromtimestamp(max(found.st_mtime, found.st_ctime), UTC).isoformat(timespec="seconds")
    return "an unknown time"
