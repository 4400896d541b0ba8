"""Refuse what AWS's XGBoost would refuse after an instance has been started and paid, as far as it is certain."""

from __future__ import annotations

import re
from collections.abc import Iterator

from slipway.errors import RequestRefused
from slipway.load.answers import objective_of
from slipway.request.fence import FencedRequest
from slipway.validation import nearest, shown

# Those of AWS's page and of every version of XGBoost that SageMaker's images have.
# https://docs.aws.amazon.com/sagemaker/latest/dg/xgboost_hyperparameters.html
# https://xgboost.readthedocs.io/en/stable/parameter.html#learning-task-parameters
_OBJECTIVES = (
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
    "reg:expectileerror",
    "reg:gamma",
    "reg:linear",
    "reg:logistic",
    "reg:pseudohubererror",
    "reg:quantileerror",
    "reg:squarederror",
    "reg:squaredlogerror",
    "reg:tweedie",
    "survival:aft",
    "survival:cox",
)
_WHOLE_NUMBER = re.compile(r"\s*[+-]?\d+\s*", re.ASCII)
_VALIDATION = "validation"


def check_hyperparameters(fenced: FencedRequest) -> None:
    """Refuse an unknown objective, a required hyperparameter that is missing, and a gate whose metric cannot come.

    With another image, or a script of the uploader's own, nothing is checked.

    :param fenced: the request, with its image and its model file
    :raises RequestRefused: with every field, what it must be, and what was found
    """
    objective = objective_of(fenced.image, fenced.request.training_job.hyper_parameters or {})
    problems = list(_problems(fenced, objective)) if objective else []
    if problems:
        raise RequestRefused(
            "The built-in XGBoost cannot train this",
            resource="trainingjob.json",
            why="\n".join(problems),
            fix="correct the file as the brackets say, zip it and upload it again",
        )


def _problems(fenced: FencedRequest, objective: str) -> Iterator[str]:
    given = fenced.request.training_job.hyper_parameters or {}
    if objective not in _OBJECTIVES:
        near = nearest(objective, _OBJECTIVES)
        fix = f"did you mean {near}?" if near else "choose one of them"
        yield _line("HyperParameters.objective", f"one of {', '.join(_OBJECTIVES)}", shown(objective), fix)
    required = {"num_round": "how many rounds to train"}
    if objective.startswith("multi:"):
        required["num_class"] = f"how many classes there are; {objective} needs it"
    for name, meaning in required.items():
        value = given.get(name)
        if value is None or not _WHOLE_NUMBER.fullmatch(value):
            found = "nothing" if value is None else "another text"
            yield _line(f"HyperParameters.{name}", "a whole number, as text", found, f"write {meaning}")
    # Its metrics begin with the channel's name.
    # https://docs.aws.amazon.com/sagemaker/latest/dg/xgboost-tuning.html
    channels = {channel.channel_name for channel in fenced.request.training_job.input_data_config}
    for gate in fenced.model.gates:
        if gate.metric.startswith(f"{_VALIDATION}:") and _VALIDATION not in channels:
            fix = f"add the channel, or remove the gate on {gate.metric} from the model file"
            expected = f"a channel named {_VALIDATION}, for the gate on {gate.metric}"
            yield _line("InputDataConfig", expected, f"the channels {', '.join(sorted(channels))}", fix)


def _line(field: str, expected: str, found: str, fix: str) -> str:
    return f"field {field}: expected {expected}, found {found} ({fix})"
