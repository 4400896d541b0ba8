"""Refuse a request whose model could not be measured as its model file asks, before anything is trained."""

from __future__ import annotations

from collections.abc import Iterator

from slipway.errors import RequestRefused
from slipway.load.answers import Answers, answers_for, objective_of
from slipway.model.config import ModelConfig
from slipway.request.fence import FencedRequest


def check_measurable(fenced: FencedRequest) -> None:
    """Refuse an objective whose answers have no accuracy where one is asked for, or no distance to a number.

    https://docs.aws.amazon.com/sagemaker/latest/dg/xgboost_hyperparameters.html

    :param fenced: the request, with its image and its model file
    :raises RequestRefused: naming the objective and the fields of the model file
    """
    objective = objective_of(fenced.image, fenced.request.training_job.hyper_parameters or {})
    answers = answers_for(objective)
    asked = [
        *([] if answers.name_a_class else _of_classes(fenced.model)),
        *([] if answers.are_numbers else _of_numbers(fenced.model)),
    ]
    if asked:
        raise RequestRefused(
            "The model's answers cannot be measured as its model file asks",
            resource="trainingjob.json in trainingjob.zip: HyperParameters.objective; model file of "
            f"{fenced.model.prefix}: {', '.join(asked)}",
            why=f"with {objective} it answers {_WORDS[answers]}; it cannot be used for {', '.join(asked)}",
            fix="change HyperParameters.objective in trainingjob.json, or these fields in the model file",
        )


_WORDS = {
    Answers.NUMBER: "a number and no class",
    Answers.SCORE: "a score that only ranks the rows of a group",
    Answers.PROBABILITIES: "a list of probabilities and no number",
}


def _of_classes(model: ModelConfig) -> Iterator[str]:
    if model.test.accuracy_minimum is not None:
        yield "test.accuracy_minimum"
    if model.golden and model.golden.tolerance is None:
        yield "golden without a tolerance"
    if model.stress.before_production and model.stress.slo.min_accuracy is not None:
        yield "stress.slo.min_accuracy"
    if model.trial and model.trial.ground_truth:
        yield "trial.ground_truth"


def _of_numbers(model: ModelConfig) -> Iterator[str]:
    if model.test.rmse_maximum is not None:
        yield "test.rmse_maximum"
    if model.golden and model.golden.tolerance is not None:
        yield "golden.tolerance"
