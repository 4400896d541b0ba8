"""Which program runs for an image URI."""

from __future__ import annotations

import re
from dataclasses import dataclass

from local_aws.compute.base import UnknownImage


@dataclass(frozen=True)
class Algorithm:
    """A built-in algorithm: Python modules that are run as a container's `train` and `serve`.

    :param metric_definitions: those the algorithm reports without being told to, as (name, regular expression)
    """

    name: str
    train_module: str
    serve_module: str
    metric_definitions: tuple[tuple[str, str], ...]


# https://docs.aws.amazon.com/sagemaker/latest/dg/xgboost.html: the version is the tag, up to 0.72 the repository
# was called xgboost. The log writes #011 for a tab: https://docs.aws.amazon.com/sagemaker/latest/dg/define-train-metrics.html
_XGBOOST_METRICS = (
    "accuracy auc aucpr balanced_accuracy error f1 f1_binary f1_macro logloss mae map merror mlogloss mse ndcg "
    "precision precision_macro precision_micro r2 recall recall_macro recall_micro rmse rmsle mape mphe "
    "poisson-nloglik gamma-nloglik gamma-deviance tweedie-nloglik cox-nloglik aft-nloglik interval-regression-accuracy"
).split()
_XGBOOST = Algorithm(
    name="xgboost",
    train_module="local_aws.compute.algorithms.xgboost.train",
    serve_module="local_aws.compute.algorithms.xgboost.serve",
    metric_definitions=tuple(
        (f"{channel}:{metric}", rf".*\[[0-9]+\].*#011{channel}-{re.escape(metric)}:([-+0-9.einfa]+)(?:#011|\s|$).*")
        for channel in ("train", "validation")
        for metric in _XGBOOST_METRICS
    ),
)

ALGORITHMS = {"sagemaker-xgboost": _XGBOOST, "xgboost": _XGBOOST}

_IMAGE = re.compile(r"^(?:[^/]+/)?(?P<repository>[a-z0-9._/-]+?)(?::[\w.-]+)?(?:@sha256:[0-9a-f]{64})?$")


def algorithm(image: str) -> Algorithm:
    """Return the algorithm for an image URI of any account, region and tag.

    :raises UnknownImage: no algorithm is registered for the repository
    """
    match = _IMAGE.match(image)
    found = ALGORITHMS.get(match["repository"]) if match else None
    if found is None:
        raise UnknownImage(
            f"ClientError: Cannot pull algorithm container. Either the image does not exist or its permissions are "
            f"incorrect: {image}. Repositories known here: {', '.join(sorted(ALGORITHMS))}"
        )
    return found
