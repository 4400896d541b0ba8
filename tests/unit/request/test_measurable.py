"""A request whose answers the model file cannot measure is refused before anything is trained."""

import pytest

from slipway.errors import RequestRefused
from slipway.model.config import ModelConfig
from slipway.request.process import process_request
from tests.unit.request_samples import AWS, BUCKET, KEY, DictStore, iris_model, request_zip, revision, training_job

RMSE = {"test": {"data": "s3://bucket/rows/", "rmse_maximum": 1.0}}


def process(objective, sections=None, **hyper_parameters):
    job = training_job()
    given = {"num_round": "5", **hyper_parameters} | ({} if objective is None else {"objective": objective})
    job["HyperParameters"] = given
    model = ModelConfig.model_validate(iris_model().model_dump() | {"golden": None, "trial": None} | (sections or {}))
    data = request_zip(job)
    store = DictStore({(BUCKET, KEY, "v1"): data})
    process_request(model, revision(data), s3=store, aws=AWS)
    return store


@pytest.mark.parametrize(
    "objective", ["rank:ndcg", "rank:pairwise", "reg:squarederror", "count:poisson", "survival:cox", None]
)
def test_an_accuracy_of_answers_that_name_no_class_is_refused(objective):
    with pytest.raises(RequestRefused, match=rf"{objective or 'reg:squarederror'} .*test\.accuracy_minimum"):
        process(objective)


@pytest.mark.parametrize("objective", ["binary:logitraw", "binary:logistic", "binary:hinge", "reg:logistic"])
def test_an_accuracy_of_classes_is_not(objective):
    assert process(objective).objects


def test_the_distance_to_a_list_of_probabilities_is_refused():
    with pytest.raises(RequestRefused, match=r"multi:softprob .*test\.rmse_maximum"):
        process("multi:softprob", RMSE, num_class="3")
    assert process("multi:softprob", num_class="3").objects
    assert process("reg:squarederror", RMSE).objects


@pytest.mark.parametrize(
    ("sections", "named"),
    [
        ({"golden": {"data": "s3://bucket/golden.csv"}}, "golden without a tolerance"),
        ({"trial": {"ground_truth": "s3://bucket/truth/"}}, r"trial\.ground_truth"),
        (
            {"stress": {"allowed": True, "before_production": True, "slo": {"min_accuracy": 0.9}}},
            r"stress\.slo\.min_accuracy",
        ),
    ],
)
def test_whatever_compares_classes_is_named(sections, named):
    with pytest.raises(RequestRefused, match=named):
        process("reg:squarederror", RMSE | sections)
    with pytest.raises(RequestRefused, match=r"golden\.tolerance"):
        process("multi:softprob", {"golden": {"data": "s3://bucket/golden.csv", "tolerance": 0.1}}, num_class="3")


def test_a_container_that_nobody_describes_is_let_through():
    image = "210987654321.dkr.ecr.us-west-2.amazonaws.com/ours:1"
    policy = iris_model().model_dump()["policy"] | {"image": image}
    assert process("rank:ndcg", {"policy": policy}).objects
