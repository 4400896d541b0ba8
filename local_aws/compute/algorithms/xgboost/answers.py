"""Predictions as the body of an answer, by the request's Accept and the image's tag.

https://docs.aws.amazon.com/sagemaker/latest/dg/cdf-inference.html
https://github.com/aws/sagemaker-xgboost-container: algorithm_mode/serve.py and serve_utils.py
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from local_aws.compute.algorithms.xgboost.data import media_type
from local_aws.compute.algorithms.xgboost.errors import Refused
from local_aws.compute.algorithms.xgboost.metrics import version_number

if TYPE_CHECKING:
    from local_aws.compute.algorithms.xgboost.models import Model

CSV, JSON, JSON_LINES = "text/csv", "application/json", "application/jsonlines"
_RECORDIO = "application/x-recordio-protobuf"
_ACCEPTED = (JSON, JSON_LINES, _RECORDIO, CSV)
_OUTPUT = "SAGEMAKER_INFERENCE_OUTPUT"
_SCORE = ("predicted_score",)
_LABEL = ("predicted_label", "labels", "raw_score", "raw_scores")
_PROBABILITY = ("probability", "probabilities", *_LABEL)
# What can be asked for by SAGEMAKER_INFERENCE_OUTPUT, by objective.
_SELECTABLE: dict[str, tuple[str, ...]] = {
    "reg:squarederror": _SCORE,
    "reg:logistic": _SCORE,
    "reg:gamma": _SCORE,
    "reg:absoluteerror": _SCORE,
    "reg:tweedie": _SCORE,
    "binary:logistic": _PROBABILITY,
    "binary:logitraw": _LABEL,
    "binary:hinge": _LABEL,
    "multi:softmax": _LABEL,
    "multi:softprob": _PROBABILITY,
}
_LABELLED: dict[str, Callable[[Any], Any]] = {
    "binary:logistic": lambda prediction: int(prediction > 0.5),
    "binary:logitraw": lambda prediction: int(prediction > 0),
    "binary:hinge": lambda prediction: prediction.item(),
    "multi:softmax": lambda prediction: prediction.item(),
    "multi:softprob": lambda prediction: int(np.argmax(prediction)),
}


def write(predictions: np.ndarray, accept: str, tag: str, model: Model) -> tuple[bytes, str]:
    """Return body and content type of an answer.

    Images up to 1.0 know CSV only, whatever the request accepts, and join the predictions by commas.

    :raises Refused: the type is not one that the container writes, or the local AWS
    """
    if version_number(tag) < (1, 2):
        return ",".join(map(str, predictions.tolist())).encode(), f"{CSV}; charset=utf-8"
    kind = _kind(accept)
    if kind == _RECORDIO:
        raise Refused(406, f"The local AWS does not write {_RECORDIO}. Accept {CSV}, {JSON} or {JSON_LINES}.")
    if _OUTPUT in os.environ:
        return _selected(predictions, kind, model).encode(), _with_charset(kind)
    rows = predictions.tolist()
    if kind == JSON:
        return json.dumps({"predictions": [{"score": score} for score in rows]}).encode(), kind
    if kind == JSON_LINES:
        return "".join(json.dumps({"score": score}) + "\n" for score in rows).encode(), kind
    lines = [",".join(map(str, row)) if isinstance(row, list) else str(row) for row in rows]
    return "".join(f"{line}\n" for line in lines).encode(), _with_charset(kind)


def _with_charset(kind: str) -> str:
    return f"{kind}; charset=utf-8" if kind == CSV else kind


def _kind(accept: str) -> str:
    """Return the type that a request wants.

    :raises Refused: the container does not write it
    """
    kind = media_type(accept)
    if kind in ("", "*/*"):
        kind = os.environ.get("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT", CSV)
    if kind not in _ACCEPTED:
        raise Refused(
            406, f"Accept type {kind} is not supported. Please use supported accept types: {list(_ACCEPTED)}."
        )
    return kind


def _selected(predictions: np.ndarray, kind: str, model: Model) -> str:
    """Return the content that SAGEMAKER_INFERENCE_OUTPUT asks for; NaN is what the objective does not have.

    :raises Refused: the objective has no selectable content
    """
    if model.objective not in _SELECTABLE:
        raise Refused(500, f"Objective `{model.objective}` unsupported for selectable inference predictions.")
    keys = os.environ[_OUTPUT].replace(" ", "").lower().split(",")
    rows = [{key: _content(key, prediction, model) for key in keys} for prediction in predictions]
    if kind == JSON:
        return json.dumps({"predictions": rows})
    if kind == JSON_LINES:
        return "".join(json.dumps(row) + "\n" for row in rows)
    return "\n".join(",".join(_field(row, key) for key in keys) for row in rows)


def _content(key: str, prediction: Any, model: Model) -> Any:
    objective = model.objective
    if key not in _SELECTABLE[objective]:
        return math.nan
    several = prediction.ndim > 0
    if key == "predicted_label":
        return _LABELLED[objective](prediction)
    if key == "labels":
        return list(range(model.classes or 2))
    if key in ("probabilities", "raw_scores"):
        return prediction.tolist() if several else [1.0 - prediction.item(), prediction.item()]
    return prediction.max().item() if several else prediction.item()


def _field(row: Mapping[str, Any], key: str) -> str:
    return f'"{row[key]}"' if isinstance(row[key], list) else str(row[key])
