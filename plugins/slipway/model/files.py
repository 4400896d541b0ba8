"""Reading model files: each once, and a broken file only affects its own model."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from slipway.errors import ModelFileError
from slipway.model.config import ModelConfig
from slipway.model.text import parse, read_text
from slipway.paths import models_folder, why_models_folder
from slipway.validation import describe, shown_name

_REFERENCE = "docs/model-file.md"
_YOUNG_SECONDS = 2.0
# What this process, or the process that it was forked from, has read. Each parse of a DAG file and each task reads all
# model files.
_known: dict[Path, tuple[tuple[int, ...], ModelConfig]] = {}


@dataclass(frozen=True)
class ModelFile:
    """One model file, with its model or its error."""

    path: Path
    model: ModelConfig | None = None
    error: ModelFileError | None = None


def load_model(path: Path) -> ModelConfig:
    """Read one model file, unless it has been read and has not changed since.

    :param path: a YAML file
    :returns: the model; the same object for the same file
    :raises ModelFileError: naming the file, the field, what was expected and the fix; no file raises anything else
    """
    state = settled(path)
    if state is not None and (known := _known.get(path)) and known[0] == state:
        return known[1]
    try:
        model = _read(path)
    except ModelFileError:
        raise
    except Exception as error:
        # Any other error of a library is this file's error, so that it does not affect the other files.
        raise ModelFileError(
            "The model file cannot be used",
            resource=shown_name(path.name),
            why=f"{type(error).__name__}: {shown_name(str(error))}",
            fix=f"correct it; {_REFERENCE} explains every field",
        ) from error
    if state is not None:
        _known[path] = state, model
    return model


def settled(path: Path) -> tuple[int, ...] | None:
    """Return values that change with the file; None if it is so new that a change might not show in them."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    if time.time() - found.st_mtime < _YOUNG_SECONDS:
        return None
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino


def _read(path: Path) -> ModelConfig:
    name = shown_name(path.name)
    data = parse(read_text(path), name)
    try:
        return ModelConfig.model_validate(data)
    except ValidationError as error:
        raise ModelFileError(
            "The model file does not describe a pipeline",
            resource=name,
            why=describe(error, ModelConfig),
            fix=f"correct it as the brackets say; {_REFERENCE} explains every field",
        ) from error


def is_model_file(path: Path) -> bool:
    """Tell whether a file has the name of a model file."""
    return path.suffix in (".yaml", ".yml")


def model_files(folder: Path) -> list[Path]:
    """List the model files of a folder, by name.

    :raises ModelFileError: when the folder is not there or cannot be listed
    """
    try:
        return sorted(filter(is_model_file, folder.iterdir()), key=lambda path: path.name)
    except FileNotFoundError as error:
        raise ModelFileError(
            "There is no folder of model files",
            resource=str(folder),
            why=why_models_folder() if folder == models_folder() else error.strerror,
            fix="set SLIPWAY_INCLUDE_FOLDER, for every process of Airflow, to the folder that has the model files in "
            "its folder models; for a start without models, make that folder and leave it empty",
        ) from error
    except OSError as error:
        raise ModelFileError(
            "Cannot list the model files",
            resource=str(folder),
            why=error.strerror or str(error),
            fix="make it a folder that Airflow's user may read",
        ) from error


def read_models(folder: Path) -> list[ModelFile]:
    """Read every model file of a folder.

    :param folder: usually include/models
    :returns: each file with its model or error, by name; of two files with the same own field the second has an error
    :raises ModelFileError: when the folder cannot be listed
    """
    found: list[ModelFile] = []
    # The file that has a field's value.
    taken: dict[tuple[str, Any], str] = {}
    for path in model_files(folder):
        try:
            model = load_model(path)
            own = own_fields(model)
            _refuse_clash(path, own, taken)
        except ModelFileError as error:
            found.append(ModelFile(path, error=error))
        else:
            found.append(ModelFile(path, model))
            taken |= dict.fromkeys(own, path.name)
    return found


def load_models(folder: Path) -> tuple[list[ModelConfig], list[ModelFileError]]:
    """Read every model file of a folder; a broken file only affects its own model.

    :param folder: usually include/models
    :returns: the models, and an error for each file without one
    """
    try:
        files = read_models(folder)
    except ModelFileError as error:
        return [], [error]
    return [file.model for file in files if file.model], [file.error for file in files if file.error]


def own_fields(model: ModelConfig) -> list[tuple[str, Any]]:
    """Return the fields whose values no two models may share."""
    # SageMaker compares endpoint names without regard to case.
    # https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateEndpoint.html
    return [
        ("prefix", model.prefix.lower()),
        ("source", (model.source.bucket, model.source.key)),
        ("policy.endpoint.endpoint_prefix", model.policy.endpoint.endpoint_prefix.lower()),
    ]


def _refuse_clash(path: Path, own: list[tuple[str, Any]], taken: Mapping[tuple[str, Any], str]) -> None:
    for field, value in own:
        if other := taken.get((field, value)):
            raise ModelFileError(
                "Two model files share a value",
                resource=shown_name(path.name),
                why=f"field {field}: expected a value of its own, found that of {shown_name(other)}",
                fix=f"change {field} in one of the two files",
            )
