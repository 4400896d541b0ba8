"""How a model's own container image is built: the section ``image.build`` of a model file."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from slipway.model.fields import no_repetition
from slipway.validation import Strict, wrong

# The words of ECR. https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_ImageScanFinding.html
Severity = Literal["CRITICAL", "HIGH", "MEDIUM", "LOW", "INFORMATIONAL", "UNDEFINED"]

# A build argument of such a name changes how BuildKit itself works: the first may load another Dockerfile reader.
# https://docs.docker.com/build/building/variables/#build-tool-configuration-variables
_TOOL_NAMES = ("BUILDKIT_", "BUILDX_", "DOCKER_")
PYTHON = ["python:3.11*", "public.ecr.aws/docker/library/python:3.11*"]


def _base(text: str) -> str:
    if "*" in text[:-1] or ":" not in text.removesuffix("*").rpartition("/")[2]:
        raise wrong(
            "an image's name with a tag or a digest, whose end may be *",
            "write NAME:TAG, NAME:BEGINNING* or NAME@sha256:DIGEST",
        )
    return text


def _argument(name: str) -> str:
    if name.startswith(_TOOL_NAMES):
        raise wrong(f"a name that begins with none of {', '.join(_TOOL_NAMES)}", "those are arguments of docker itself")
    return name


def _with_critical(findings: dict[str, int]) -> dict[str, int]:
    """Keep the bound that nobody has loosened by naming it: who limits HIGH does not mean to let CRITICAL pass."""
    return {"CRITICAL": 0, **findings}


BaseImage = Annotated[
    str, Field(max_length=512, pattern=r"^[a-z0-9][a-z0-9._/:@-]*[A-Za-z0-9._-]*\*?$"), AfterValidator(_base)
]
ArgumentName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,99}$"), AfterValidator(_argument)]
# The shell of the build takes the arguments apart at spaces; none of these characters means anything to it.
ArgumentValue = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.,:/=@%+-]{1,500}$")]


class ImageBuild(Strict):
    """What the source of an image may hold, how long its build may take, and what its scan may find.

    :param base_images: what FROM may name; the end may be *
    :param arguments: values by name, for the Dockerfile's ARG instructions; no other ARG may be without a default
    :param max_findings: by severity, how many findings of the scan are let pass; without a number CRITICAL has 0, and
        any other severity no limit
    """

    base_images: Annotated[list[BaseImage], Field(min_length=1, max_length=50), AfterValidator(no_repetition)] = PYTHON
    arguments: Annotated[dict[ArgumentName, ArgumentValue], Field(max_length=20)] = {}
    max_findings: Annotated[dict[Severity, Annotated[int, Field(ge=0)]], AfterValidator(_with_critical)] = {
        "CRITICAL": 0
    }
    max_source_mib: Annotated[int, Field(ge=1, le=100)] = 10
    max_files: Annotated[int, Field(ge=1, le=2000)] = 200
    # From CodeBuild's least to what a build that is forgotten may cost.
    # https://docs.aws.amazon.com/codebuild/latest/APIReference/API_StartBuild.html
    timeout_minutes: Annotated[int, Field(ge=5, le=480)] = 30
