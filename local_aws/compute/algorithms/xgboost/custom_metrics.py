"""The metrics that SageMaker's container adds to those of the xgboost package, computed after each round.

https://docs.aws.amazon.com/sagemaker/latest/dg/xgboost-tuning.html
https://github.com/aws/sagemaker-xgboost-container: xgb_constants.py has the names that its algorithm mode takes
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from local_aws.compute.algorithms.xgboost.errors import UserError
from local_aws.compute.algorithms.xgboost.metrics import CUSTOM_METRICS

# More is better, which decides when training stops early.
MAXIMIZED = frozenset(CUSTOM_METRICS) - {"mse"}
# Of a class: its rows found, its rows, the rows that are taken for it.
_Counts = tuple[np.ndarray, np.ndarray, np.ndarray]


def custom_metric(names: Sequence[str], objective: str) -> Callable[[Any, Any], list[tuple[str, float]]]:
    """Return the function that xgboost.train calls with predictions and data after each round.

    :param names: of CUSTOM_METRICS
    :param objective: the training's, which decides how a prediction names a class
    """

    def measure(predictions: Any, data: Any) -> list[tuple[str, float]]:
        labels, found = data.get_label(), classes(predictions, objective)
        values = []
        for name in names:
            score = _ERRORS[name](labels, predictions) if name in _ERRORS else _score(name, labels, found)
            values.append((name, float(score)))
        return values

    return measure


def classes(predictions: Any, objective: str) -> Any:
    """Return the classes that predictions name: the likeliest of several, or 1 where class 1 is the likelier."""
    if predictions.ndim > 1:
        return predictions.argmax(axis=-1)
    if objective == "multi:softmax":
        return predictions
    # The raw margin is the logarithm of the odds.
    return (predictions > (0.0 if objective == "binary:logitraw" else 0.5)).astype(int)


def _mse(labels: Any, predictions: Any) -> float:
    return float(np.mean((labels - predictions) ** 2))


def _r2(labels: Any, predictions: Any) -> float:
    spread = float(np.var(labels))
    return 1 - _mse(labels, predictions) / spread if spread else float("nan")


_ERRORS: dict[str, Callable[[Any, Any], float]] = {"mse": _mse, "r2": _r2}


def _score(name: str, labels: Any, found: Any) -> float:
    """Score classes; a class that nothing is taken for has a precision of 0, as in scikit-learn."""
    if name == "accuracy":
        return float(np.mean(labels == found))
    if name == "balanced_accuracy":
        right, rows, _ = _counts(labels, found, np.unique(labels))
        return float(np.mean(right / rows))
    kind, _, average = name.partition("_")
    # The container's f1 is the mean of all classes; its precision and recall are those of class 1.
    average = average or ("macro" if kind == "f1" else "binary")
    known = np.union1d(labels, found)
    if average == "binary" and not set(known.tolist()) <= {0, 1}:
        raise UserError("Target is multiclass but average='binary'")
    counts = _counts(labels, found, np.array([1]) if average == "binary" else known)
    if average == "micro":
        counts = (counts[0].sum(), counts[1].sum(), counts[2].sum())
    return float(np.mean(_of_class(kind, counts)))


def _counts(labels: Any, found: Any, of: Any) -> _Counts:
    right = [np.sum((labels == one) & (found == one)) for one in of]
    return (
        np.array(right),
        np.array([np.sum(labels == one) for one in of]),
        np.array([np.sum(found == one) for one in of]),
    )


def _of_class(kind: str, counts: _Counts) -> Any:
    right, rows, taken = counts
    above, below = {"f1": (2 * right, rows + taken), "precision": (right, taken), "recall": (right, rows)}[kind]
    return above / np.maximum(below, 1)
