"""Evaluation: gates pass, or the error names the gates that failed."""

import json
import math
from types import SimpleNamespace

import pytest
from airflow.sdk.exceptions import AirflowFailException

from slipway.errors import GateFailed
from slipway.formats.json_numbers import json_value
from slipway.model.config import MetricGate
from slipway.quality.evaluate import EvaluateOperator
from slipway.quality.gates import judge_metrics
from tests.unit.releases import TRAINED, release_plan, xcoms
from tests.unit.request_samples import iris_model
from tests.unit.task_runs import context

LIVE = "arn:aws:sagemaker:us-west-2:123456789012:model-package/mlops-iris-model/1"


class Production:
    """The stack of production and the registry, with the same model."""

    def __init__(self, live: dict | None) -> None:
        self.live = live

    def describe_stack(self, name):
        assert name == "mlops-deploy-iris-model-prd"
        return SimpleNamespace(outputs={"ModelPackageArn": LIVE}) if self.live else None

    def package_of_artefact(self, group, data_url):
        raise AssertionError("nothing is on trial")

    def describe_model_package(self, arn):
        assert arn == LIVE
        return {"ModelPackageArn": arn, "CustomerMetadataProperties": self.live}


def evaluate(metrics: dict, live: dict | None = None) -> dict:
    # The XCom of `train`, as JSON.
    metrics = json.loads(json.dumps(json_value(metrics), allow_nan=False))
    operator = EvaluateOperator(task_id="evaluate", model=iris_model())
    operator.registry = operator.cloudformation = Production(live)
    return operator.execute(context(xcoms(train={**TRAINED, "metrics": metrics})))


@pytest.mark.parametrize(
    ("bounds", "value", "passed"),
    [
        ({"maximum": 0.1}, 0.1, True),
        ({"maximum": 0.1}, 0.11, False),
        ({"minimum": 0.9}, 0.9, True),
        ({"minimum": 0.9}, 0.89, False),
        ({"minimum": 0.2, "maximum": 0.4}, 0.3, True),
        ({"maximum": 0.1}, math.nan, False),
        ({"minimum": 0.1}, math.inf, False),
        ({"maximum": 0.1}, -math.inf, False),
        ({"maximum": 0.1}, None, False),
    ],
)
def test_gates(bounds, value, passed):
    metrics = {} if value is None else {"m": value}
    assert [gate.passed for gate in judge_metrics([MetricGate(metric="m", **bounds)], metrics)] == [passed]


def test_a_model_within_its_gates_goes_on():
    result = evaluate({"validation:merror": 0.04})
    assert result["gates"] == [
        {"metric": "validation:merror", "value": 0.04, "minimum": None, "maximum": 0.1, "passed": True}
    ]
    assert result["live"] is None


def test_the_live_models_metrics_stand_beside():
    live = {"metric/validation:merror": "0.06", "slipway-revision": "another"}
    assert evaluate({"validation:merror": 0.04}, live)["live"] == {
        "model_package_arn": LIVE,
        "metrics": {"validation:merror": 0.06},
    }


def test_a_release_that_is_live_already_is_not_compared_with_itself():
    live = {"metric/validation:merror": "0.06", "slipway-revision": release_plan().revision_id}
    assert evaluate({"validation:merror": 0.04}, live)["live"] is None


def test_a_model_outside_its_gates_stops_with_the_numbers():
    with pytest.raises(GateFailed, match=r"validation:merror is 0\.4, maximum 0\.1: failed"):
        evaluate({"validation:merror": 0.4})


def test_a_metric_that_was_not_reported_says_what_was():
    with pytest.raises(GateFailed, match=r"not reported.*reported train:merror"):
        evaluate({"train:merror": 0.01})


def test_a_gate_on_what_is_no_number_fails_by_name_and_is_not_tried_again():
    with pytest.raises(AirflowFailException, match=r"validation:merror is not a number, maximum 0\.1: failed"):
        evaluate({"validation:merror": math.nan})


@pytest.mark.parametrize(("value", "text"), [(math.nan, "NaN"), (math.inf, "Infinity"), (-math.inf, "-Infinity")])
def test_a_metric_without_a_gate_may_be_no_number(value, text):
    live = {"metric/validation:auc": repr(value), "slipway-revision": "another"}
    result = evaluate({"validation:merror": 0.04, "validation:auc": value}, live)
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    assert result["metrics"]["validation:auc"] == result["live"]["metrics"]["validation:auc"] == text
