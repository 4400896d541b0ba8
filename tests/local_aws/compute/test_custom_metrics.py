"""The metrics that SageMaker's container computes itself."""

import numpy as np
import pytest

from local_aws.compute.algorithms.xgboost.custom_metrics import MAXIMIZED, custom_metric
from local_aws.compute.algorithms.xgboost.errors import UserError
from local_aws.compute.algorithms.xgboost.hyperparameters import validate
from local_aws.compute.algorithms.xgboost.metrics import CUSTOM_METRICS, METRICS

# "Evaluation Metrics Computed by the XGBoost Algorithm" of
# https://docs.aws.amazon.com/sagemaker/latest/dg/xgboost-tuning.html
DOCUMENTED = {"accuracy", "auc", "error", "f1", "logloss", "mae", "map", "merror", "mlogloss", "mse", "ndcg", "rmse"}


class Data:
    def __init__(self, *labels: float) -> None:
        self.labels = np.array(labels)

    def get_label(self):
        return self.labels


def measured(name: str, objective: str, predictions: list, *labels: float) -> float:
    [(found, value)] = custom_metric([name], objective)(np.array(predictions), Data(*labels))
    assert found == name
    return value


def test_every_documented_metric_may_be_wanted():
    assert not DOCUMENTED - {*METRICS, *CUSTOM_METRICS}
    assert not {*METRICS} & {*CUSTOM_METRICS}
    for metric in (*METRICS, *CUSTOM_METRICS):
        assert validate({"num_round": "1", "eval_metric": metric})["eval_metric"] == [metric]


@pytest.mark.parametrize(
    ("objective", "predictions"),
    [
        ("binary:logistic", [0.2, 0.9, 0.6, 0.4]),
        ("binary:hinge", [0, 1, 1, 0]),
        ("binary:logitraw", [-3.0, 2.0, 0.1, -0.1]),
        ("multi:softmax", [0, 1, 1, 0]),
        ("multi:softprob", [[0.9, 0.1], [0.1, 0.9], [0.3, 0.7], [0.8, 0.2]]),
    ],
)
def test_a_class_is_what_the_objective_makes_of_a_prediction(objective, predictions):
    assert measured("accuracy", objective, predictions, 0, 1, 0, 0) == 0.75
    assert measured("precision", objective, predictions, 0, 1, 0, 0) == 0.5
    assert measured("recall", objective, predictions, 0, 1, 0, 0) == 1.0
    assert measured("f1_binary", objective, predictions, 0, 1, 0, 0) == pytest.approx(2 / 3)
    assert measured("f1", objective, predictions, 0, 1, 0, 0) == pytest.approx((0.8 + 2 / 3) / 2)


def test_errors_are_of_the_predictions_themselves():
    assert measured("mse", "reg:squarederror", [1.0, 3.0], 1, 1) == 2.0
    assert measured("r2", "reg:squarederror", [1.0, 3.0], 1, 3) == 1.0


@pytest.mark.parametrize("name", CUSTOM_METRICS)
def test_a_perfect_model_has_the_best_of_each(name):
    assert measured(name, "binary:hinge", [0.0, 1.0], 0, 1) == (1.0 if name in MAXIMIZED else 0.0)


@pytest.mark.parametrize("name", [name for name in CUSTOM_METRICS if name not in ("mse", "r2")])
@pytest.mark.parametrize("several", [False, True])
def test_scores_are_those_of_scikit_learn(name, several):
    """The container computes them with it, which the local AWS's own environment has not."""
    from sklearn import metrics

    kind, _, average = name.partition("_")
    if several and (average == "binary" or name in ("precision", "recall")):
        with pytest.raises(UserError, match="multiclass"):
            measured(name, "multi:softmax", [0, 1, 2], 0, 1, 1)
        return
    random = np.random.default_rng(7)
    labels, found = (random.integers(0, 4 if several else 2, 60) for _ in range(2))
    # A class that nothing is taken for.
    found[found == 3] = 2
    if kind in ("accuracy", "balanced"):
        expected = getattr(metrics, f"{name}_score")(labels, found)
    else:
        how = average or ("macro" if kind == "f1" else "binary")
        expected = getattr(metrics, f"{kind}_score")(labels, found, average=how, zero_division=0)
    objective = "multi:softmax" if several else "binary:hinge"
    assert measured(name, objective, found.tolist(), *labels.tolist()) == pytest.approx(expected)
