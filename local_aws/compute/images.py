"""The program of an image URI."""

from __future__ import annotations

import re
from dataclasses import dataclass

from local_aws.compute.algorithms.xgboost.metrics import METRIC_DEFINITIONS as XGBOOST_METRIC_DEFINITIONS


@dataclass(frozen=True)
class Algorithm:
    """A built-in algorithm: Python modules that are run as a container's `train` and `serve`.

    :param metric_definitions: those it always reports, as (name, regular expression) pairs
    """

    train_module: str
    serve_module: str
    metric_definitions: tuple[tuple[str, str], ...]


# https://docs.aws.amazon.com/sagemaker/latest/dg-ecr-paths/sagemaker-algo-docker-registry-paths.html: the repository
# is xgboost up to 0.72 and sagemaker-xgboost from 0.90 on; the version is the tag.
_XGBOOST = Algorithm(
    train_module="local_aws.compute.algorithms.xgboost.train",
    serve_module="local_aws.compute.algorithms.xgboost.serve",
    metric_definitions=XGBOOST_METRIC_DEFINITIONS,
)

ALGORITHMS = {"sagemaker-xgboost": _XGBOOST, "xgboost": _XGBOOST}

_IMAGE = re.compile(
    r"^(?:[^/]+/)?(?P<repository>[a-z0-9._/-]+?)(?::(?P<tag>[\w][\w.-]*))?(?:@sha256:[0-9a-f]{64})?$", re.ASCII
)


def image_tag(image: str) -> str:
    """Return the tag of an image URI, `latest` where it has none."""
    match = _IMAGE.match(image)
    return (match["tag"] if match else None) or "latest"


def algorithm(image: str) -> Algorithm | None:
    """Return the built-in algorithm for an image URI of any account, region and tag; None for an image of one's own."""
    match = _IMAGE.match(image)
    return ALGORITHMS.get(match["repository"]) if match else None


def metric_definitions(image: str) -> tuple[tuple[str, str], ...]:
    """Return what an image's algorithm reports by itself; nothing for an image of one's own."""
    found = algorithm(image)
    return found.metric_definitions if found else ()
