"""What the answers of a model mean: that follows from its image and objective, not from how a number looks."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

_OBJECTIVE = "objective"
_DEFAULT_OBJECTIVE = "reg:squarederror"
# AWS's XGBoost: sagemaker-xgboost, and before version 0.90 xgboost with the tags 1 and latest.
# https://docs.aws.amazon.com/sagemaker/latest/dg-ecr-paths/sagemaker-algo-docker-registry-paths.html
_XGBOOST = re.compile(
    r"\d{12}\.dkr\.ecr(-fips)?\.[a-z0-9-]+\.amazonaws\.com(\.cn)?/(sagemaker-xgboost([:@].*)?|xgboost(:1|:latest)?)"
)
# With a script of the uploader's own, the script decides what is answered.
# https://docs.aws.amazon.com/sagemaker/latest/dg/xgboost-how-to-use.html
_SCRIPT = "sagemaker_program"
_JSON_TYPES = ("application/json", "application/jsonlines")


class Answers(StrEnum):
    """What a model answers for one row."""

    CLASS = "class"
    PROBABILITY = "probability"
    """of class 1 of two"""
    MARGIN = "margin"
    """the score before the logistic function, positive for class 1 of two"""
    PROBABILITIES = "probabilities"
    """one for each class"""
    NUMBER = "number"
    SCORE = "score"
    """a number that only ranks the rows of a group"""
    UNKNOWN = "unknown"
    """a container whose answers nobody describes: they are read by their form"""

    @property
    def name_a_class(self) -> bool:
        """Whether an answer names a class, so that there is an accuracy."""
        return self not in (Answers.NUMBER, Answers.SCORE)

    @property
    def are_numbers(self) -> bool:
        """Whether an answer is one number, so that there is a distance to the label."""
        return self is not Answers.PROBABILITIES


# The objectives and their outputs, in XGBoost's words.
# https://docs.aws.amazon.com/sagemaker/latest/dg/xgboost_hyperparameters.html
# https://xgboost.readthedocs.io/en/stable/parameter.html#learning-task-parameters
_BY_OBJECTIVE = {
    "binary:hinge": Answers.CLASS,
    "binary:logistic": Answers.PROBABILITY,
    "binary:logitraw": Answers.MARGIN,
    "multi:softmax": Answers.CLASS,
    "multi:softprob": Answers.PROBABILITIES,
    "reg:logistic": Answers.PROBABILITY,
}
_BY_TASK = {"count": Answers.NUMBER, "rank": Answers.SCORE, "reg": Answers.NUMBER, "survival": Answers.NUMBER}
_THRESHOLDS = {Answers.PROBABILITY: 0.5, Answers.MARGIN: 0.0}


def objective_of(image: str, hyper_parameters: Mapping[str, str]) -> str | None:
    """Return the objective that a model was trained for; None where its image is not AWS's XGBoost.

    :param image: the image that trains and serves
    :param hyper_parameters: of the training job
    """
    if not _XGBOOST.fullmatch(image) or _SCRIPT in hyper_parameters:
        return None
    return hyper_parameters.get(_OBJECTIVE, _DEFAULT_OBJECTIVE)


def answers_for(objective: str | None) -> Answers:
    """Return what a model of an objective answers.

    :param objective: XGBoost's; None if unknown
    """
    if objective is None:
        return Answers.UNKNOWN
    return _BY_OBJECTIVE.get(objective) or _BY_TASK.get(objective.partition(":")[0], Answers.UNKNOWN)


def is_right(label: str, prediction: str, answers: Answers = Answers.UNKNOWN) -> bool:
    """Return whether a prediction names the class of a label.

    XGBoost, too, takes a probability above 0.5 for class 1.
    https://xgboost.readthedocs.io/en/stable/parameter.html#learning-task-parameters

    :param label: The expected label.
    :param prediction: The answer for one row.
    :param answers: What the model answers.
    """
    try:
        return float(label) == _chosen(numbers(prediction), answers)
    except (ValueError, OverflowError):
        return answers is Answers.UNKNOWN and label in (prediction.strip(), _unwrapped(prediction))


def _chosen(values: list[float], answers: Answers) -> float:
    """Return the class that an answer names.

    :raises ValueError: when it names none
    """
    if not all(map(math.isfinite, values)) or not answers.name_a_class:
        raise ValueError(values)
    if answers is Answers.PROBABILITIES or (answers is Answers.UNKNOWN and len(values) > 1):
        return values.index(max(values))
    (value,) = values
    if answers is Answers.UNKNOWN:
        # A class, or the probability of class 1 of two: the nearest whole number either way.
        return math.floor(value + 0.5)
    return value > _THRESHOLDS[answers] if answers in _THRESHOLDS else value


def number(prediction: str) -> float:
    """Read an answer of one number, which may be NaN or infinite.

    :raises ValueError: when it is anything else
    """
    (value,) = numbers(prediction)
    return value


def numbers(prediction: str) -> list[float]:
    """Read an answer of one or more numbers.

    :param prediction: Numbers separated by commas, in brackets or not, or one prediction as JSON.
    :raises ValueError: When it holds anything else.
    """
    return [float(part) for part in _unwrapped(prediction).strip("[]").split(",")]


def _unwrapped(prediction: str) -> str:
    """Return the prediction in a JSON document; containers may answer JSON although they were asked for CSV."""
    text = prediction.strip()
    if not text.startswith(("{", '"', '["')):
        return text
    found = predictions(text, _JSON_TYPES[0], Answers.UNKNOWN)
    return found[0] if len(found) == 1 else text


def predictions(body: str, content_type: str, answers: Answers) -> list[str]:
    """Split an answer into those for its rows.

    XGBoost's images before 1.2 separate the rows of CSV by commas, later ones by line ends. As JSON, the rows are a
    list or ``{"predictions": [{"score": …}]}``; as JSON Lines, each row is a line.
    https://docs.aws.amazon.com/sagemaker/latest/dg/cdf-inference.html
    https://github.com/aws/sagemaker-xgboost-container

    :param body: the whole answer
    :param content_type: the answer's content type
    :param answers: what the model answers
    """
    if content_type.partition(";")[0].strip().lower() in _JSON_TYPES:
        try:
            return _json_predictions(_json_documents(body))
        except (ValueError, KeyError, TypeError, RecursionError):
            return [body.strip()]
    if answers is Answers.UNKNOWN:
        return body.split()
    if answers is Answers.PROBABILITIES:
        return re.findall(r"\[[^\[\]]*\]", body) or body.strip().splitlines()
    return re.split(r"[\s,]+", body.strip())


def _json_documents(body: str) -> list[Any]:
    try:
        return [json.loads(body)]
    except json.JSONDecodeError:
        return [json.loads(line) for line in body.splitlines() if line.strip()]


def _json_predictions(documents: list[Any]) -> list[str]:
    if len(documents) == 1:
        (read,) = documents
        rows = read["predictions"] if isinstance(read, Mapping) and "predictions" in read else read
        documents = rows if isinstance(rows, list) else [rows]
    scores = [row["score"] if isinstance(row, Mapping) else row for row in documents]
    return [",".join(map(str, score)) if isinstance(score, list) else str(score) for score in scores]
