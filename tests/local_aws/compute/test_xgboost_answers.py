"""How the XGBoost server writes predictions, against the container's source.

https://github.com/aws/sagemaker-xgboost-container: algorithm_mode/serve.py and serve_utils.py at the images' tags
"""

import json
from dataclasses import dataclass

import numpy as np
import pytest

from local_aws.compute.algorithms.xgboost.answers import write
from local_aws.compute.algorithms.xgboost.errors import Refused

TAG = "1.7-1"
SCORES = np.array([0.25, 0.75])
CLASSES = np.array([[0.5, 0.25, 0.25], [0.125, 0.125, 0.75]])
OUTPUT = "SAGEMAKER_INFERENCE_OUTPUT"


@dataclass
class Model:
    objective: str = "binary:logistic"
    classes: int | None = None


def text(predictions, accept="", tag=TAG, model=None):
    body, kind = write(predictions, accept, tag, model or Model())
    return body.decode(), kind


@pytest.mark.parametrize("accept", ["", "*/*", "text/csv", "Text/CSV; header=absent"])
def test_csv_has_a_line_for_each_row_and_no_brackets(accept):
    assert text(SCORES, accept) == ("0.25\n0.75\n", "text/csv; charset=utf-8")
    assert text(CLASSES, accept)[0] == "0.5,0.25,0.25\n0.125,0.125,0.75\n"


def test_json_has_a_score_for_each_row():
    body, kind = text(SCORES, "application/json")
    assert json.loads(body) == {"predictions": [{"score": 0.25}, {"score": 0.75}]}
    assert kind == "application/json"
    assert json.loads(text(CLASSES[:1], "application/json")[0]) == {"predictions": [{"score": [0.5, 0.25, 0.25]}]}


def test_json_lines_are_documented_so():
    """https://docs.aws.amazon.com/sagemaker/latest/dg/cdf-inference.html"""
    assert text(SCORES, "application/jsonlines") == ('{"score": 0.25}\n{"score": 0.75}\n', "application/jsonlines")


@pytest.mark.parametrize(("tag", "lines"), [("1", False), ("0.90-2", False), ("1.0-1-cpu-py3", False), ("1.2-2", True)])
def test_the_first_images_know_csv_only_and_join_by_commas(tag, lines):
    assert text(SCORES, "application/json", "1.0-1")[0] == "0.25,0.75"
    assert text(SCORES, "text/csv", tag)[0] == ("0.25\n0.75\n" if lines else "0.25,0.75")


def test_what_a_request_without_accept_gets_can_be_set(monkeypatch):
    monkeypatch.setenv("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT", "application/json")
    assert text(SCORES)[1] == "application/json"
    assert text(SCORES, "text/csv")[1].startswith("text/csv")


@pytest.mark.parametrize(
    ("accept", "reason"),
    [
        ("text/html", "Accept type text/html is not supported. Please use supported accept types: ['application/json'"),
        ("application/x-recordio-protobuf", "The local AWS does not write application/x-recordio-protobuf."),
    ],
)
def test_other_types_are_not_acceptable(accept, reason):
    with pytest.raises(Refused, match=reason.replace("[", "\\[")) as refused:
        text(SCORES, accept)
    assert refused.value.status == 406


def test_the_content_of_answers_can_be_selected(monkeypatch):
    monkeypatch.setenv(OUTPUT, "predicted_label, probability,probabilities,raw_score,raw_scores,labels")
    body, kind = text(SCORES, "application/json")
    assert kind == "application/json"
    assert json.loads(body)["predictions"][1] == {
        "predicted_label": 1,
        "probability": 0.75,
        "probabilities": [0.25, 0.75],
        "raw_score": 0.75,
        "raw_scores": [0.25, 0.75],
        "labels": [0, 1],
    }
    several = Model("multi:softprob", 3)
    assert json.loads(text(CLASSES, "application/jsonlines", model=several)[0].splitlines()[1]) == {
        "predicted_label": 2,
        "probability": 0.75,
        "probabilities": [0.125, 0.125, 0.75],
        "raw_score": 0.75,
        "raw_scores": [0.125, 0.125, 0.75],
        "labels": [0, 1, 2],
    }
    monkeypatch.setenv(OUTPUT, "predicted_label,probabilities")
    assert text(CLASSES, model=several)[0] == '0,"[0.5, 0.25, 0.25]"\n2,"[0.125, 0.125, 0.75]"'


def test_what_an_objective_does_not_have_is_nan(monkeypatch):
    monkeypatch.setenv(OUTPUT, "predicted_score,predicted_label")
    assert text(SCORES, model=Model("reg:squarederror"))[0] == "0.25,nan\n0.75,nan"
    assert text(SCORES - 0.5, model=Model("binary:logitraw"))[0] == "nan,0\nnan,1"
    with pytest.raises(Refused, match="Objective `count:poisson` unsupported for selectable") as refused:
        text(SCORES, model=Model("count:poisson"))
    assert refused.value.status == 500
