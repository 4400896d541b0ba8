"""Reading model files: each once, and a broken one costs only its own model."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from slipway.errors import ModelFileError
from slipway.model_config import ModelConfig
from slipway.validation import describe

_REFERENCE = "docs/model-file.md"
_YOUNG_SECONDS = 2.0
# What this process, or the one that it was forked from, has read. Every DAG file reads every model file each time that
# Airflow parses it, and so does every task.
_known: dict[Path, tuple[tuple[int, ...], ModelConfig]] = {}
# libyaml takes a tenth of the time.
_SafeLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _UniqueKeyLoader(_SafeLoader):
    """YAML without repeated keys, of which the plain loader keeps the last in silence."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key_node, _ in node.value:
            if isinstance(key_node.value, str) and key_node.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key_node.value!r} appears twice", key_node.start_mark
                )
            seen.add(str(key_node.value))
        found: dict[Any, Any] = super().construct_mapping(node, deep)
        return found


def load_model(path: Path) -> ModelConfig:
    """Read one model file, unless it has been read and has not changed since.

    :param path: a YAML file
    :returns: the model; the same object for the same file
    :raises ModelFileError: naming the file, the field, what was expected and the fix
    """
    state = _state(path)
    if state is not None and (known := _known.get(path)) and known[0] == state:
        return known[1]
    model = _read(path)
    if state is not None:
        _known[path] = state, model
    return model


def _state(path: Path) -> tuple[int, ...] | None:
    """What changes when a file does; None where a change might not show yet, since clocks tick coarsely."""
    try:
        found = path.stat()
    except OSError:
        return None
    if time.time() - found.st_mtime < _YOUNG_SECONDS:
        return None
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino


def _read(path: Path) -> ModelConfig:
    try:
        data = yaml.load(path.read_text(encoding="utf-8"), Loader=_UniqueKeyLoader)  # noqa: S506
    except (OSError, UnicodeDecodeError) as error:
        raise ModelFileError(
            "Cannot read the model file", resource=str(path), why=str(error), fix="save it as readable UTF-8 text"
        ) from error
    # The YAML library lets a date that is none, and nesting without an end, out as they are.
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ModelFileError(
            "The model file is not valid YAML",
            resource=path.name,
            why=" ".join(str(error).split()),
            fix="correct the line it names; placeholders such as {account} need quotes at the start of a value",
        ) from error
    try:
        return ModelConfig.model_validate(data)
    except ValidationError as error:
        raise ModelFileError(
            "The model file does not describe a pipeline",
            resource=path.name,
            why=describe(error, ModelConfig),
            fix=f"correct it as the brackets say; {_REFERENCE} explains every field",
        ) from error


def model_files(folder: Path) -> list[Path]:
    """List the model files of a folder, by name."""
    return sorted(path for path in folder.iterdir() if path.suffix in (".yaml", ".yml")) if folder.is_dir() else []


def load_models(folder: Path) -> tuple[list[ModelConfig], list[ModelFileError]]:
    """Read every model file of a folder; a broken one costs only its own model.

    :param folder: usually include/models
    :returns: the models, and an error for each file that gives none
    """
    models: list[ModelConfig] = []
    errors: list[ModelFileError] = []
    # Which file has a field's value.
    taken: dict[tuple[str, Any], str] = {}
    for path in model_files(folder):
        try:
            model = load_model(path)
            own = _own(model)
            _refuse_clash(path, own, taken)
        except ModelFileError as error:
            errors.append(error)
        else:
            models.append(model)
            taken |= dict.fromkeys(own, path.name)
    return models, errors


def _own(model: ModelConfig) -> list[tuple[str, Any]]:
    """Name the fields whose values no two models may share."""
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
                "Two model files are about the same thing",
                resource=path.name,
                why=f"field {field}: expected a value of its own, found the one of {other}",
                fix=f"change {field} in one of the two files",
            )
