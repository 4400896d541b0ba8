"""AWS's own container images by algorithm and version, looked up in the table of the SageMaker SDK."""

from __future__ import annotations

import logging
from functools import lru_cache
from types import ModuleType

from slipway.errors import PermanentError


def resolve_image(algorithm: str, version: str, region: str, instance_type: str | None = None) -> str:
    """Find the URI of one of AWS's images. It imports the SDK, so call it only in tasks.

    https://docs.aws.amazon.com/sagemaker/latest/dg-ecr-paths/sagemaker-algo-docker-registry-paths.html

    :param algorithm: the SDK's name of the algorithm or framework, such as xgboost
    :param version: such as 1.7-1
    :param region: the region of the registry
    :param instance_type: decides between CPU and GPU images where there are both
    :returns: registry, repository and tag
    :raises PermanentError: when the SDK is missing or does not know the image
    """
    table = _table(f"{algorithm} {version}")
    try:
        return table.retrieve(
            algorithm, region, version=version, instance_type=instance_type, image_scope=_scope(table, algorithm)
        )
    except (ValueError, FileNotFoundError) as error:
        raise _unknown(f"{algorithm} {version} in {region}", error) from error


@lru_cache(maxsize=64)
def repositories(algorithm: str, region: str, instance_type: str | None = None) -> frozenset[str]:
    """List the repositories of an algorithm's images in a region, for all versions.

    :param algorithm: the SDK's name of the algorithm or framework
    :param region: the region of the registries
    :param instance_type: decides between CPU and GPU images where there are both
    :returns: each as registry/repository
    :raises PermanentError: when the SDK is missing or does not know the algorithm
    """
    table = _table(algorithm)
    try:
        scope = _scope(table, algorithm)
        versions = table.list_versions(algorithm, image_scope=scope)
    except (ValueError, FileNotFoundError) as error:
        raise _unknown(algorithm, error) from error
    found = set()
    for version in versions:
        try:
            uri = table.retrieve(algorithm, region, version=version, instance_type=instance_type, image_scope=scope)
        except ValueError:
            continue  # this version has no image in the region or for the instance type
        found.add(uri.rpartition(":")[0])
    return frozenset(found)


def known() -> bool:
    """Tell whether AWS's images can be looked up here: whether the SDK is installed. It imports the SDK."""
    try:
        _table("any")
    except PermanentError:
        return False
    return True


def _scope(table: ModuleType, algorithm: str) -> str | None:
    """Return the image scope: frameworks have an image for training and one for inference, algorithms one for both."""
    return "training" if "training" in table.config_for_framework(algorithm) else None


def _table(wanted: str) -> ModuleType:
    try:
        from sagemaker.core import image_uris
    except ImportError as error:
        raise PermanentError(
            "Cannot look up the container image",
            resource=wanted,
            why="the SageMaker SDK is not installed",
            fix="pip install 'airflow-slipway[sdk]' (needs Python 3.11), or give the image's full URI instead",
        ) from error
    # The SDK logs the defaults of every look-up.
    logging.getLogger(image_uris.__name__).setLevel(logging.WARNING)
    return image_uris


def _unknown(wanted: str, error: Exception) -> PermanentError:
    why = "the SageMaker SDK knows no such algorithm" if isinstance(error, FileNotFoundError) else str(error)
    return PermanentError(
        "Cannot look up the container image",
        resource=wanted,
        why=why,
        fix="name an algorithm, version and region that AWS lists, or give the image's full URI",
    )
