"""What AWS's XGBoost refuses after an instance has been paid is refused before."""

import pytest

from slipway.errors import RequestRefused
from slipway.model.config import ModelConfig
from slipway.request.fence import fence, parse_zip
from slipway.request.xgboost import check_hyperparameters
from tests.unit.request_samples import AWS, changed, iris_model, request_zip, training_job

OWN_IMAGE = "123456789012.dkr.ecr.us-west-2.amazonaws.com/iris-model:1"


def check(job, **sections):
    model = ModelConfig.model_validate(iris_model().model_dump() | sections)
    check_hyperparameters(fence(parse_zip(request_zip(job)), model, AWS))


def hyperparameters(**given):
    return changed(training_job(), "HyperParameters", {"num_round": "5", **given})


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (
            {"objective": "multi:sofmax", "num_class": "3"},
            "found the text 'multi:sofmax' (did you mean multi:softmax?)",
        ),
        ({"objective": "binary"}, "field HyperParameters.objective: expected one of binary:hinge, "),
        (
            {"objective": "multi:softprob"},
            "field HyperParameters.num_class: expected a whole number, as text, found nothing",
        ),
        ({"objective": "multi:softmax", "num_class": "three"}, "field HyperParameters.num_class"),
        ({"num_round": "5.5"}, "field HyperParameters.num_round: expected a whole number, as text, found another text"),
        ({"num_round": ""}, "field HyperParameters.num_round"),
    ],
)
def test_what_cannot_be_trained_is_refused(given, why):
    with pytest.raises(RequestRefused) as refused:
        check(hyperparameters(**given))
    assert why in refused.value.why
    assert refused.value.fix


def test_all_problems_are_told_at_once():
    with pytest.raises(RequestRefused) as refused:
        check(changed(training_job(), "HyperParameters", {"objective": "multi:softmax"}))
    assert len(refused.value.why.splitlines()) == 2


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"objective": "reg:quantileerror"},
        {"objective": "survival:aft"},
        {"objective": "multi:softmax", "num_class": " 3 "},
        {"objective": "rank:map"},
    ],
)
def test_what_can_be_trained_passes(given):
    check(hyperparameters(**given))


def test_a_gate_on_rows_that_training_does_not_get_is_refused():
    job = changed(training_job(), "InputDataConfig", training_job()["InputDataConfig"][:1])
    with pytest.raises(RequestRefused, match="expected a channel named validation, for the gate on validation:merror"):
        check(job, gates=[{"metric": "validation:merror", "maximum": 0.1}])
    check(job, gates=[{"metric": "train:merror", "maximum": 0.1}])


def test_another_image_or_a_script_decides_itself():
    check(changed(hyperparameters(objective="mine"), "AlgorithmSpecification.TrainingImage", OWN_IMAGE))
