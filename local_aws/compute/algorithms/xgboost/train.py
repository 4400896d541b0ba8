"""The algorithm's `train`: reads /opt/ml/input, prints a line of metrics per round, writes /opt/ml/model/xgboost-model.

Run as `python -m local_aws.compute.algorithms.xgboost.train train --version 1.7-1`.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from local_aws.compute.algorithms.xgboost.custom_metrics import MAXIMIZED, custom_metric
from local_aws.compute.algorithms.xgboost.errors import UserError
from local_aws.compute.algorithms.xgboost.hyperparameters import validate
from local_aws.compute.algorithms.xgboost.metrics import CUSTOM_METRICS, default_metric, version_number

# XGBoost's messages about data and values that the user can fix; all others are failures of the algorithm.
_USER_ERRORS = (
    "label must be",
    "only pos or neg samples",
    "base_score must be in",
    "should be greater equal to",
    "expected to be in",
    "Invalid Parameter format",
    "Check failed: preds.size() == info.labels",
)
# Parameters of the training, not of the booster.
_TRAINING_ONLY = ("num_round", "early_stopping_rounds", "csv_weights", "save_model_on_termination", "eval_metric")


def directory(variable: str, default: str) -> Path:
    """Return a directory of the container contract; a variable names it where /opt/ml is not private."""
    return Path(os.environ.get(variable, default))


class _Termination:
    """Ends the training at SIGTERM after the current round, so that the model so far is saved."""

    def __init__(self) -> None:
        self.asked = False

    def listen(self) -> None:
        signal.signal(signal.SIGTERM, self._ask)

    def _ask(self, *_: object) -> None:
        self.asked = True


def _monitor(termination: _Termination) -> Any:
    import xgboost

    class Monitor(xgboost.callback.TrainingCallback):
        """Prints the metrics of each round in the form that the algorithm's metric definitions expect."""

        def after_iteration(self, model: Any, epoch: int, evals_log: Mapping[str, Mapping[str, list]]) -> bool:
            scores = [
                f"{channel}-{metric}:{values[-1]:.5f}"
                for channel, metrics in evals_log.items()
                for metric, values in metrics.items()
            ]
            print("\t".join([f"[{epoch}]", *scores]), flush=True)  # noqa: T201 - stdout is the job's log
            return termination.asked

    return Monitor()


def _matrices(values: Mapping[str, Any]) -> list[tuple[Any, str]]:
    import numpy as np
    import xgboost

    from local_aws.compute.algorithms.xgboost.data import Examples, read_channel, widen

    config = json.loads((directory("SM_INPUT_CONFIG_DIR", "/opt/ml/input/config") / "inputdataconfig.json").read_text())
    folder = directory("SM_INPUT_DIR", "/opt/ml/input") / "data"
    if "train" not in config:
        raise UserError("Missing required channel: train")
    if extraneous := sorted(set(config) - {"train", "validation", "code"}):
        raise UserError(f"Extraneous channel found: {extraneous[0]}")
    examples: dict[str, Examples] = {}
    for channel in ("train", "validation"):
        if channel in config:
            content_type = config[channel].get("ContentType")
            examples[channel] = read_channel(folder / channel, content_type, csv_weights=values.get("csv_weights") == 1)
    width = max(part.features.shape[1] for part in examples.values())
    matrices = []
    for channel, part in examples.items():
        features = part.features
        if not hasattr(features, "indptr"):
            if features.shape[1] != width:
                raise UserError("feature_names mismatch: train and validation differ in their number of columns")
        else:
            features = widen(features, width)
        if part.queries is not None and (np.diff(part.queries.astype(np.int64)) < 0).any():
            raise UserError(f"The qid of channel {channel} must not decrease from row to row")
        weights = part.weights
        if weights is not None and part.queries is not None:
            # XGBoost weighs queries, not rows: a query has the weight of its first row.
            weights = weights[np.unique(part.queries, return_index=True)[1]]
        matrix = xgboost.DMatrix(features, label=part.labels, weight=weights, qid=part.queries)
        matrices.append((matrix, channel))
        print(f"{len(part.labels)}x{width} matrix of channel {channel} loaded", flush=True)  # noqa: T201
    return matrices


def _tree_method(values: Mapping[str, Any], tag: str, rows: int) -> dict[str, str]:
    """Return what "auto", the default, meant before XGBoost 2.0: exact splits up to 4 million rows.

    https://xgboost.readthedocs.io/en/release_1.0.0/parameter.html#parameters-for-tree-booster
    """
    chosen = values.get("tree_method", "auto") != "auto" or values.get("grow_policy") == "lossguide"
    if chosen or values.get("booster") == "gblinear" or version_number(tag) >= (2, 0):
        return {}
    return {"tree_method": "exact" if rows < 1 << 22 else "approx"}


def train(tag: str) -> None:
    """Train and save the model.

    :param tag: the image's, such as 1.7-1
    :raises UserError: hyperparameters or data are wrong
    """
    given = json.loads((directory("SM_INPUT_CONFIG_DIR", "/opt/ml/input/config") / "hyperparameters.json").read_text())
    # Wrong hyperparameters are reported before the import, which takes seconds.
    values = validate(given)
    import xgboost

    matrices = _matrices(values)
    if "early_stopping_rounds" in values and len(matrices) < 2:
        raise UserError("Hyperparameter early_stopping_rounds: needs a validation channel")
    booster_values = {name: value for name, value in values.items() if name not in _TRAINING_ONLY}
    booster_values |= _tree_method(values, tag, matrices[0][0].num_row())
    objective = values.get("objective", "reg:squarederror")
    default = default_metric(objective, tag)
    wanted = values.get("eval_metric", [])
    custom = [metric for metric in wanted if metric in CUSTOM_METRICS]
    # As in the container, the objective's default metric is computed where only such of the container are wanted.
    if metrics := [metric for metric in wanted if metric not in custom] or ([default] if default else []):
        booster_values["eval_metric"] = metrics
    termination = _Termination()
    if values.get("save_model_on_termination") == "true":
        termination.listen()
    try:
        booster = xgboost.train(
            booster_values,
            matrices[0][0],
            num_boost_round=values["num_round"],
            evals=matrices,
            custom_metric=custom_metric(custom, objective) if custom else None,
            early_stopping_rounds=values.get("early_stopping_rounds"),
            # Training stops early by the last metric, and xgboost knows its own only.
            maximize=custom[-1] in MAXIMIZED if custom else None,
            callbacks=[_monitor(termination)],
            verbose_eval=False,
        )
    except xgboost.core.XGBoostError as error:
        message = str(error).partition("Stack trace:")[0].strip()
        if any(known in message for known in _USER_ERRORS):
            raise UserError(message) from error
        raise RuntimeError(message) from error
    model = directory("SM_MODEL_DIR", "/opt/ml/model") / "xgboost-model"
    model.write_bytes(booster.save_raw(raw_format="ubj"))


def main(arguments: list[str]) -> int:
    """Train; on failure leave the reason in output/failure.

    https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-output.html

    :returns: the exit status
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("command", choices=["train"])
    parser.add_argument("--version", required=True)
    tag = parser.parse_args(arguments).version
    try:
        train(tag)
    except UserError as error:
        reason = f"ClientError: {error}"
    except Exception as error:
        traceback.print_exc()
        reason = f"AlgorithmError: framework error: {type(error).__name__}: {error}"
    else:
        return 0
    print(reason, flush=True)  # noqa: T201
    output = directory("SM_OUTPUT_DIR", "/opt/ml/output")
    output.mkdir(parents=True, exist_ok=True)
    (output / "failure").write_text(reason)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
