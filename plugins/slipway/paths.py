"""Where the files beside the code are: model files and CloudFormation templates."""

from __future__ import annotations

import os
from pathlib import Path


def include_folder() -> Path:
    """The ``include/`` folder: SLIPWAY_INCLUDE_FOLDER, or the one beside ``plugins/``.

    :returns: an absolute path; it need not exist
    """
    override = os.environ.get("SLIPWAY_INCLUDE_FOLDER")
    return Path(override).resolve() if override else Path(__file__).resolve().parents[2] / "include"


def models_folder() -> Path:
    """The folder with one YAML file per model."""
    return include_folder() / "models"


def template(name: str) -> Path:
    """A CloudFormation template below ``include/cfn/``.

    :param name: the file's name, such as ``endpoint.yaml``
    """
    return include_folder() / "cfn" / name
