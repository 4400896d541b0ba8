"""Evaluation metrics: their names, the default of each objective, and how they are found in the log."""

from __future__ import annotations

import re

# https://docs.aws.amazon.com/sagemaker/latest/dg/xgboost-tuning.html, as far as the xgboost package computes them.
METRICS = (
    "aft-nloglik",
    "auc",
    "aucpr",
    "cox-nloglik",
    "error",
    "gamma-deviance",
    "gamma-nloglik",
    "interval-regression-accuracy",
    "logloss",
    "mae",
    "map",
    "mape",
    "merror",
    "mlogloss",
    "mphe",
    "ndcg",
    "poisson-nloglik",
    "pre",
    "rmse",
    "rmsle",
    "tweedie-nloglik",
)

# The container computes these itself: custom_metrics.py.
CUSTOM_METRICS = (
    "accuracy",
    "balanced_accuracy",
    "f1",
    "f1_binary",
    "f1_macro",
    "mse",
    "precision",
    "precision_macro",
    "precision_micro",
    "r2",
    "recall",
    "recall_macro",
    "recall_micro",
)

# Metrics that take a threshold as in error@0.7.
THRESHOLD_METRICS = ("error", "map", "ndcg", "pre")

# A tab of the container is #011 in CloudWatch Logs, and AWS's own definitions for this algorithm expect it so:
# https://docs.aws.amazon.com/sagemaker/latest/dg/define-train-metrics.html
# XGBoost adds the parameter of some: ndcg@32, tweedie-nloglik@1.5.
METRIC_DEFINITIONS = tuple(
    (f"{channel}:{metric}", rf"^\[[0-9]+\].*#011{channel}-{re.escape(metric)}(?:@[^:#]+)?:(\S+?)(?:#011|$)")
    for channel in ("train", "validation")
    for metric in (*METRICS, *CUSTOM_METRICS)
)

# Up to XGBoost 1.2 the default for classification is the error rate, from 1.3 on the log loss:
# https://github.com/dmlc/xgboost/releases/tag/v1.3.0 and
# https://xgboost.readthedocs.io/en/release_1.0.0/parameter.html#learning-task-parameters
_DEFAULTS_BEFORE_1_3 = {
    "multi:softmax": "merror",
    "multi:softprob": "merror",
    "binary:logistic": "error",
    "binary:hinge": "error",
}


def version_number(tag: str) -> tuple[int, int]:
    """Read major and minor version from a tag such as 1.7-1; `latest` and `1` are the first images, 0.72."""
    match = re.match(r"(\d+)\.(\d+)", tag)
    return (int(match[1]), int(match[2])) if match else (0, 72)


def default_metric(objective: str, tag: str) -> str | None:
    """Return the default metric of an image's tag; None for the default of the xgboost package."""
    return _DEFAULTS_BEFORE_1_3.get(objective) if version_number(tag) < (1, 3) else None
