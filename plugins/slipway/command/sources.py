"""What somebody wants to release: a folder or a zip, and the model that it is of."""

from __future__ import annotations

import io
import json
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slipway.command.errors import CommandError, of_release
from slipway.command.exits import Exit

if TYPE_CHECKING:
    from slipway.model.config import ModelConfig

TRAINING, DEPLOYMENT, ZIP = "trainingjob.json", "deployment.json", "trainingjob.zip"
# With a fixed time, the same files give the same bytes.
_ZIP_TIME = (2020, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Package:
    """A zip to release.

    :param path: the folder or the file that it is from
    :param body: the zip
    """

    path: Path
    body: bytes

    @property
    def data_folder(self) -> Path | None:
        """The folder with data for the channels, if there is one beside the two files."""
        folder = self.path / "data"
        return folder if folder.is_dir() else None

    def document(self, name: str) -> dict[str, Any]:
        """Return one of the two files as far as it can be read: for guesses only, the release reads it strictly."""
        try:
            with zipfile.ZipFile(io.BytesIO(self.body)) as archive:
                read = json.loads(archive.read(name))
        except (zipfile.BadZipFile, KeyError, ValueError, OSError, RuntimeError, NotImplementedError, RecursionError):
            return {}
        return read if isinstance(read, dict) else {}


def read_package(path: Path) -> Package:
    """Read a zip, or make one of a folder; the same files always give the same bytes.

    :raises CommandError: when there is nothing to release
    """
    try:
        if path.is_file():
            return Package(path, path.read_bytes())
        names = sorted(one.name for one in path.iterdir() if one.suffix == ".json" and one.is_file())
        if names:
            return Package(path, _zip(path, names))
        if (path / ZIP).is_file():
            return Package(path, (path / ZIP).read_bytes())
    except OSError as error:
        raise CommandError(
            "The files cannot be read",
            where=str(error.filename or path),
            why=error.strerror or str(error),
            fix=f"name a folder with {TRAINING} and {DEPLOYMENT}, or a zip of them",
            code=Exit.NOT_FOUND,
        ) from error
    raise CommandError(
        "There is nothing to release here",
        where=str(path),
        why=f"the folder has neither {TRAINING} and {DEPLOYMENT} nor {ZIP}",
        fix="slipway init makes them; or name the folder that has them",
        code=Exit.NOT_FOUND,
    )


def _zip(folder: Path, names: list[str]) -> bytes:
    # With a wrong name among them, the release's own code says so.
    wanted = [TRAINING, DEPLOYMENT] if {TRAINING, DEPLOYMENT} <= set(names) else names
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in wanted:
            member = zipfile.ZipInfo(name, _ZIP_TIME)
            member.external_attr = 0o644 << 16
            archive.writestr(member, (folder / name).read_bytes(), zipfile.ZIP_DEFLATED)
    return stream.getvalue()


def models_in(folder: Path | None) -> tuple[Path, list[ModelConfig], list[Exception]]:
    """Read the model files.

    :param folder: the folder of model files; the usual one if None
    :returns: the folder, the models, and an error for each file without one
    """
    from slipway.model.files import load_models
    from slipway.paths import models_folder

    wanted = folder or nearest_models_folder() or models_folder()
    models, errors = load_models(wanted)
    return wanted, models, list(errors)


def nearest_models_folder() -> Path | None:
    """Find the folder of model files: that of SLIPWAY_INCLUDE_FOLDER, or include/models here or in a folder above."""
    if chosen := os.environ.get("SLIPWAY_INCLUDE_FOLDER"):
        return Path(chosen) / "models"
    here = Path.cwd()
    places = (folder / "include" / "models" for folder in (here, *here.parents))
    return next((place for place in places if place.is_dir()), None)


def model_of(package: Package, prefix: str | None, folder: Path | None) -> ModelConfig:
    """Find the model file of a package: by name, by its folder's name, by its EndpointPrefix, or the only one there is.

    :param prefix: the model's name, if the person has given it
    :param folder: the folder of model files; the usual one if None
    :raises CommandError: when that is not one model, or its file is broken
    """
    place, models, errors = models_in(folder)
    by_prefix = {model.prefix: model for model in models}
    endpoint_prefix = package.document(DEPLOYMENT).get("EndpointPrefix")
    by_endpoint = {model.policy.endpoint.endpoint_prefix: model for model in models}
    name = (package.path if package.path.is_dir() else package.path.parent).resolve().name
    if prefix is None:
        found = by_prefix.get(name) or (by_endpoint.get(endpoint_prefix) if isinstance(endpoint_prefix, str) else None)
        found = found or (models[0] if len(models) == 1 and not errors else None)
    else:
        found = by_prefix.get(prefix)
    if found:
        return found
    if errors:
        raise of_release(errors[0])
    there = f"the model files in {place} are of {', '.join(sorted(by_prefix)) or 'no model'}"
    raise CommandError(
        f"There is no model file of {prefix}" if prefix else "It is not clear which model this is",
        where=str(package.path),
        why=there if prefix else f"{_signs(package, name, endpoint_prefix)}; {there}",
        fix="name the model with --model; slipway init makes a model file; --models reads another folder",
        code=Exit.NOT_FOUND,
    )


def _signs(package: Package, name: str, endpoint_prefix: Any) -> str:
    """Say by what a package's model was looked for."""
    if not zipfile.is_zipfile(io.BytesIO(package.body)):
        return f"expected a folder or a zip with {TRAINING} and {DEPLOYMENT}, found a file that is no zip"
    named = f"names EndpointPrefix {endpoint_prefix}" if endpoint_prefix else "names no EndpointPrefix"
    return f"no model file is of the folder's name {name}, and {DEPLOYMENT} {named}"
