"""The parts of a model file that are about training: the metrics of own images, and code of the uploader's choice."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from slipway.model.fields import S3Uri, no_repetition
from slipway.validation import Strict, shown_name, wrong

# Names that tell SageMaker's training toolkit which code to run, in an image that has it.
# https://github.com/aws/sagemaker-training-toolkit#how-a-script-is-executed-inside-the-container
_TOOLKIT_PREFIX = "sagemaker"
_TOOLKIT_NAMES = frozenset({"default_user_module_name"})


def is_of_the_toolkit(name: str) -> bool:
    """Tell whether a hyperparameter or environment variable of this name may make an image run other code."""
    plain = name.strip().lower()
    return plain.startswith(_TOOLKIT_PREFIX) or plain in _TOOLKIT_NAMES


def _environment_name(name: str) -> str:
    if is_of_the_toolkit(name):
        raise wrong("no name of SageMaker's training toolkit", f"remove {shown_name(name)}; see policy.script_mode")
    return name


def _one_group(text: str) -> str:
    try:
        groups = re.compile(text).groups
    except re.error as error:
        raise wrong("a regular expression", f"correct it: {error}") from None
    if groups != 1:
        raise wrong("a regular expression with one group, the value", "put only the number in brackets")
    return text


def _one_line(text: str) -> str:
    # AWS's pattern for both texts is Java's .+, whose dot matches no end of a line. YAML's | adds one at the end.
    if re.search(r"[\n\r\u0085\u2028\u2029]", text):
        raise wrong("text of one line", "write it in one line, in quotes")
    return text


EnvironmentName = Annotated[str, Field(min_length=1, max_length=512), AfterValidator(_environment_name)]
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_AlgorithmSpecification.html
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_MetricDefinition.html
Metrics = Annotated[
    dict[
        Annotated[str, Field(min_length=1, max_length=255), AfterValidator(_one_line)],
        Annotated[str, Field(min_length=1, max_length=500), AfterValidator(_one_line), AfterValidator(_one_group)],
    ],
    Field(max_length=40),
]


class ScriptMode(Strict):
    """Allows zips to bring their own code to an allowed image, and says where that code may be.

    https://docs.aws.amazon.com/sagemaker/latest/dg/adapt-training-container.html
    """

    s3_prefixes: Annotated[list[S3Uri], Field(min_length=1), AfterValidator(no_repetition)]
