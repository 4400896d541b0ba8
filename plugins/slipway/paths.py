"""Where files are: model files, what the package brings along, and what Slipway keeps on the disk."""

from __future__ import annotations

import os
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def include_folder() -> Path:
    """The ``include/`` folder: SLIPWAY_INCLUDE_FOLDER, or the one beside ``plugins/``.

    :returns: an absolute path; it need not exist
    """
    override = os.environ.get("SLIPWAY_INCLUDE_FOLDER")
    return Path(override).resolve() if override else _PACKAGE.parents[1] / "include"


def models_folder() -> Path:
    """The folder with one YAML file per model."""
    return include_folder() / "models"


def why_models_folder() -> str:
    """Say which setting decides where the model files are looked for."""
    override = os.environ.get("SLIPWAY_INCLUDE_FOLDER")
    if override:
        return f"SLIPWAY_INCLUDE_FOLDER is {override}, and that folder has no folder models"
    return "SLIPWAY_INCLUDE_FOLDER is not set, and without it the folder include beside plugins/ is used"


def model_copies_folder() -> Path:
    """The folder with the last good version of each model file: SLIPWAY_MODEL_COPIES, or one in Airflow's home.

    Each process that makes DAGs needs it. Where they run on several machines, each has its own unless this is shared.
    """
    override = os.environ.get("SLIPWAY_MODEL_COPIES")
    home = os.environ.get("AIRFLOW_HOME") or "~/airflow"
    return Path(override or f"{home}/model-copies").expanduser().resolve()


def endpoint_template() -> Path:
    """The CloudFormation template of an endpoint, in both environments."""
    return _PACKAGE / "deployment" / "endpoint.yaml"


def set_up_template(name: str) -> Path:
    """The CloudFormation template of a set-up stack.

    :param name: bootstrap, model or labs
    """
    return _PACKAGE / "command" / "cfn" / f"{name}.yaml"


def example_container() -> Path:
    """The example of a container image's source: a copy in the installed package, or the one beside ``plugins/``."""
    packed = _PACKAGE / "command" / "container"
    return packed if packed.is_dir() else _PACKAGE.parents[1] / "include" / "containers" / "iris-random-forest"


def waiters(service: str) -> Path:
    """The botocore waiters of one AWS service.

    :param service: the file's name without ``.json``
    """
    return _PACKAGE / "aws" / "waiters" / f"{service}.json"


def hosting_prices() -> Path:
    """The table of what an instance that serves a model costs."""
    return _PACKAGE / "prices.json"
