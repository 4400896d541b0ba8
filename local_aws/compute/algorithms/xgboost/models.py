"""The files of a model folder as boosters, one or several, saved by XGBoost or pickled.

https://github.com/aws/sagemaker-xgboost-container: get_loaded_booster of algorithm_mode/serve_utils.py
"""

from __future__ import annotations

import io
import json
import os
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xgboost

# What a pickled booster is made of. Any other class may run the program of whoever wrote the archive.
_PICKLED = frozenset(
    {
        ("xgboost.core", "Booster"),
        ("builtins", "bytearray"),
        # In pickles of protocols 0 to 2.
        ("__builtin__", "bytearray"),
        ("__builtin__", "object"),
        ("_codecs", "encode"),
        ("copy_reg", "_reconstructor"),
    }
)
# Of several models these are asked for the class that most of them name, others for the mean.
_VOTED = ("multi:softmax", "binary:hinge")


class _Unpickler(pickle.Unpickler):
    """Reads boosters and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        """Return a class that a booster needs.

        :raises UnpicklingError: it is another one
        """
        if (module, name) not in _PICKLED:
            raise pickle.UnpicklingError(
                f"it holds a {module}.{name}, and the local AWS unpickles an xgboost.Booster only. "
                "Save the model by Booster.save_model"
            )
        return super().find_class(module, name)


@dataclass(frozen=True)
class Model:
    """One booster, or several whose predictions are combined.

    :param objective: of the first
    :param classes: how many the first tells apart, None for regression and two classes
    :param width: its number of features
    """

    boosters: tuple[tuple[xgboost.Booster, tuple[int, int]], ...]
    objective: str
    classes: int | None
    width: int

    def predict(self, rows: np.ndarray) -> np.ndarray:
        """Return a prediction for each row; NaN is a missing value."""
        predictions = [_predict(booster, rounds, rows) for booster, rounds in self.boosters]
        if len(predictions) == 1:
            return predictions[0]
        if self.objective in _VOTED:
            return np.array([_most(votes) for votes in np.stack(predictions, axis=1)])
        return np.mean(predictions, axis=0)


def load(folder: Path) -> Model:
    """Load the files of a model folder, of any names that do not begin with a dot.

    Several are combined unless SAGEMAKER_INFERENCE_ENSEMBLE says no; then the first by name is used.

    :raises ValueError: there is none, or one is no model
    """
    files = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    if not files:
        raise ValueError(f"there is no file in {folder}")
    if os.environ.get("SAGEMAKER_INFERENCE_ENSEMBLE", "true") != "true":
        files = files[:1]
    boosters = [_load(path) for path in files]
    learner = json.loads(boosters[0].save_config())["learner"]
    classes = int(learner["learner_model_param"]["num_class"])
    return Model(
        tuple((booster, _rounds(booster)) for booster in boosters),
        learner["objective"]["name"],
        classes or None,
        boosters[0].num_features(),
    )


def _load(path: Path) -> xgboost.Booster:
    content = path.read_bytes()
    booster: Any = None
    why_not_pickled = ""
    try:
        booster = _Unpickler(io.BytesIO(content)).load()
    except Exception as error:
        why_not_pickled = str(error)
    if not isinstance(booster, xgboost.Booster):
        booster = xgboost.Booster()
        try:
            booster.load_model(bytearray(content))
        except (ValueError, xgboost.core.XGBoostError) as error:
            reason = str(error).partition("Stack trace:")[0].strip()
            raise ValueError(
                f"Model {path} cannot be loaded:\nPickle load error={why_not_pickled}\nXGB load model error={reason}"
            ) from error
    # One thread: the instances of an endpoint are processes that share the machine.
    booster.set_param({"nthread": 1})
    return booster


def _rounds(booster: xgboost.Booster) -> tuple[int, int]:
    """Return the rounds that count: all, or those up to the best one of a training that stopped early."""
    best = booster.attr("best_iteration")
    return (0, int(best) + 1 if best else 0)


def _predict(booster: xgboost.Booster, rounds: tuple[int, int], rows: np.ndarray) -> np.ndarray:
    try:
        return booster.inplace_predict(rows, iteration_range=rounds, missing=np.nan)
    except xgboost.core.XGBoostError:
        # The linear booster has no prediction in place.
        return booster.predict(xgboost.DMatrix(rows), iteration_range=rounds)


def _most(votes: np.ndarray) -> Any:
    named, counts = np.unique(votes, return_counts=True)
    return named[counts.argmax()]
