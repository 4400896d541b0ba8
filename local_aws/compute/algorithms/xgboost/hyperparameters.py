"""The algorithm's hyperparameters, their ranges and their errors.

https://docs.aws.amazon.com/sagemaker/latest/dg/xgboost_hyperparameters.html
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from local_aws.compute.algorithms.xgboost.errors import UserError
from local_aws.compute.algorithms.xgboost.metrics import CUSTOM_METRICS, METRICS, THRESHOLD_METRICS

OBJECTIVES = (
    "binary:hinge",
    "binary:logistic",
    "binary:logitraw",
    "count:poisson",
    "multi:softmax",
    "multi:softprob",
    "rank:map",
    "rank:ndcg",
    "rank:pairwise",
    "reg:absoluteerror",
    "reg:gamma",
    "reg:linear",
    "reg:logistic",
    "reg:pseudohubererror",
    "reg:squarederror",
    "reg:squaredlogerror",
    "reg:tweedie",
    "survival:aft",
    "survival:cox",
)

# XGBoost's own names, which the algorithm accepts instead of the documented ones.
ALIASES = {
    "learning_rate": "eta",
    "min_split_loss": "gamma",
    "reg_alpha": "alpha",
    "reg_lambda": "lambda",
}


@dataclass(frozen=True)
class Interval:
    """A range of numbers; an end may be open, which means that it is not allowed itself."""

    minimum: float | None = None
    maximum: float | None = None
    open_minimum: bool = False
    open_maximum: bool = False

    def __contains__(self, value: float) -> bool:
        """Tell whether a number lies in the range; NaN never does."""
        above = self.minimum is None or (value > self.minimum if self.open_minimum else value >= self.minimum)
        below = self.maximum is None or (value < self.maximum if self.open_maximum else value <= self.maximum)
        return above and below and value == value

    def __str__(self) -> str:
        low = "(-inf" if self.minimum is None else f"{'(' if self.open_minimum else '['}{self.minimum}"
        high = "+inf)" if self.maximum is None else f"{self.maximum}{')' if self.open_maximum else ']'}"
        return f"{low}, {high}"


@dataclass(frozen=True)
class _Choice:
    values: tuple[str, ...]

    def __contains__(self, value: str) -> bool:
        return value in self.values

    def __str__(self) -> str:
        return str(list(self.values))


@dataclass(frozen=True)
class _Parameter:
    parse: Callable[[str], Any]
    allowed: Interval | _Choice | None = None


def _integer(minimum: int, maximum: int | None = None) -> _Parameter:
    return _Parameter(int, Interval(minimum, maximum))


def _number(
    minimum: float, maximum: float | None = None, *, open_minimum: bool = False, open_maximum: bool = False
) -> _Parameter:
    return _Parameter(float, Interval(minimum, maximum, open_minimum, open_maximum))


def _choice(*values: str) -> _Parameter:
    return _Parameter(str, _Choice(values))


def _names(value: str) -> list[str]:
    return [name.strip() for name in value.split(",")]


_SHARE = _number(0, 1, open_minimum=True)
_SWITCH = _integer(0, 1)

PARAMETERS: dict[str, _Parameter] = {
    "aft_loss_distribution": _choice("normal", "logistic", "extreme"),
    "aft_loss_distribution_scale": _number(0, open_minimum=True),
    "alpha": _number(0),
    "base_score": _number(0),
    "booster": _choice("gbtree", "gblinear", "dart"),
    "colsample_bylevel": _SHARE,
    "colsample_bynode": _SHARE,
    "colsample_bytree": _SHARE,
    "csv_weights": _SWITCH,
    "deterministic_histogram": _choice("true", "false"),
    "early_stopping_rounds": _integer(1),
    "eta": _number(0, 1),
    "eval_metric": _Parameter(_names),
    "gamma": _number(0),
    "grow_policy": _choice("depthwise", "lossguide"),
    "huber_slope": _number(0, open_minimum=True),
    "interaction_constraints": _Parameter(str),
    "lambda": _number(0),
    "lambda_bias": _number(0, 1),
    "max_bin": _integer(0),
    "max_delta_step": _number(0),
    "max_depth": _integer(0),
    "max_leaves": _integer(0),
    "min_child_weight": _number(0),
    "monotone_constraints": _Parameter(str),
    "normalize_type": _choice("tree", "forest"),
    "nthread": _integer(1),
    "num_class": _integer(2),
    "num_parallel_tree": _integer(1),
    "num_round": _integer(1),
    "objective": _choice(*OBJECTIVES),
    "one_drop": _SWITCH,
    "process_type": _choice("default", "update"),
    "rate_drop": _number(0, 1),
    "refresh_leaf": _SWITCH,
    "sample_type": _choice("uniform", "weighted"),
    "sampling_method": _choice("uniform", "gradient_based"),
    "save_model_on_termination": _choice("true", "false"),
    "scale_pos_weight": _number(0, open_minimum=True),
    "seed": _Parameter(int, Interval(-(2**31), 2**31 - 1, open_minimum=True, open_maximum=True)),
    "seed_per_iteration": _choice("true", "false"),
    "single_precision_histogram": _choice("true", "false"),
    "sketch_eps": _number(0, 1, open_minimum=True, open_maximum=True),
    "skip_drop": _number(0, 1),
    "subsample": _SHARE,
    "tree_method": _choice("auto", "exact", "approx", "hist", "gpu_hist"),
    "tweedie_variance_power": _number(1, 2, open_minimum=True, open_maximum=True),
    "updater": _Parameter(str),
    "verbosity": _integer(0, 3),
}

# Accepted without effect: XGBoost has dropped them, or they are for AWS only.
IGNORED: dict[str, _Parameter] = {
    "_tuning_objective_metric": _Parameter(str),
    "dsplit": _choice("row", "col"),
    "predictor": _choice("auto", "cpu_predictor", "gpu_predictor"),
    "silent": _SWITCH,
}

_KNOWN = PARAMETERS | IGNORED
_SCRIPT_MODE = ("sagemaker_program", "sagemaker_submit_directory")


def validate(given: Mapping[str, str]) -> dict[str, Any]:
    """Return the hyperparameters under their documented names, parsed.

    :param given: what hyperparameters.json holds, all values as text
    :raises UserError: one is missing, unknown, unreadable, out of range or does not go with another
    """
    if script := next((name for name in _SCRIPT_MODE if name in given), None):
        raise UserError(f"Hyperparameter {script}: a script of your own cannot be run; use the built-in algorithm")
    values: dict[str, Any] = {}
    for name, text in given.items():
        documented = ALIASES.get(name, name)
        if documented in values:
            raise UserError(f"Hyperparameter {name}: is given twice, also as {documented}")
        values[documented] = _parse(documented, text)
    if "num_round" not in values:
        raise UserError("Missing required hyperparameter: num_round")
    _check_objective(values)
    _check_metrics(values)
    _check_constraints(values)
    return {name: value for name, value in values.items() if name not in IGNORED}


def _parse(name: str, text: str) -> Any:
    parameter = _KNOWN.get(name)
    if parameter is None:
        raise UserError(f"Extraneous hyperparameter found: {name}")
    try:
        value = parameter.parse(text)
    except ValueError as error:
        raise UserError(f"Hyperparameter {name}: could not parse value (caused by {type(error).__name__})") from error
    if parameter.allowed is not None and value not in parameter.allowed:
        raise UserError(f"Hyperparameter {name}: {value} is not in {parameter.allowed}")
    return value


def _check_objective(values: Mapping[str, Any]) -> None:
    multi_class = values.get("objective") in ("multi:softmax", "multi:softprob")
    if multi_class and "num_class" not in values:
        raise UserError("Require input for parameter 'num_class' for multi-classification")
    if not multi_class and "num_class" in values:
        raise UserError("Do not need to setup parameter 'num_class' for learning task other than multi-classification.")


def _check_metrics(values: Mapping[str, Any]) -> None:
    for metric in values.get("eval_metric", []):
        name, at, threshold = metric.partition("@")
        if at and name not in THRESHOLD_METRICS:
            raise UserError(
                f"Metric '{metric}' is not supported. Parameter 'eval_metric' with customized threshold should "
                f"be one of these options: {', '.join(repr(known) for known in THRESHOLD_METRICS)}."
            )
        if at and not threshold.rstrip("-").replace(".", "", 1).isdigit():
            raise UserError(f"Threshold value 't' in '{name}@t' expects float input.")
        known = [*METRICS, *CUSTOM_METRICS]
        if name not in known:
            raise UserError(f"Hyperparameter eval_metric: value {values['eval_metric']} not in range {known}")


def _check_constraints(values: Mapping[str, Any]) -> None:
    for name, methods in (
        ("monotone_constraints", ("exact", "hist")),
        ("interaction_constraints", ("exact", "hist", "approx")),
    ):
        if name not in values:
            continue
        if values.get("tree_method") not in methods:
            raise UserError(
                f"{name} can be used only when the tree_method parameter is set to "
                f"either {', '.join(repr(method) for method in methods[:-1])} or '{methods[-1]}'."
            )
        try:
            ast.literal_eval(values[name])
        except (ValueError, SyntaxError) as error:
            raise UserError(f"Hyperparameter {name}: could not parse value") from error
