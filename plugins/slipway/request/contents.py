"""What is in a zip, as people may read it: a small XCom for the board, and how two zips differ.

Hyperparameters and environment variables may be credentials, so their values are shown only where that is excluded:
numbers, truth values, and words of AWS's XGBoost. Of every other value there is a mark that changes with it.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

from slipway.errors import UnreadableDocument
from slipway.formats.json_numbers import number_text
from slipway.formats.stored import known, versioned
from slipway.request.fence import ReleaseRequest, parse_zip
from slipway.request.schema import EndpointSettings, ImageName, TrainingJob

# The XCom of the task that has read a release's zip.
CONTENTS = "slipway_contents"
# The settings that the sentence about an approval names.
PRODUCTION_INSTANCES = "Production: instances"
PRODUCTION_SCALING = "Production: auto scaling"
_IMAGE = "Image"
_MAX_CHARS = 200
# Enough to see that a value has changed, too little to find it out by trying.
_MARK_DIGITS = 4
# Hyperparameters whose values are words.
# https://docs.aws.amazon.com/sagemaker/latest/dg/xgboost_hyperparameters.html
_WORDS = frozenset(
    {
        "booster",
        "dsplit",
        "eval_metric",
        "grow_policy",
        "interaction_constraints",
        "monotone_constraints",
        "normalize_type",
        "objective",
        "process_type",
        "sample_type",
        "sampling_method",
        "tree_method",
        "updater",
    }
)
_WORD = re.compile(r"[\w :.,@+()\[\]-]{1,100}")
_SECRET_NAME = re.compile(r"key|token|secret|passw|pwd|pin$|credential|auth|account|license", re.IGNORECASE)


@dataclass(frozen=True)
class Contents:
    """What is in one zip, each part as texts by name.

    :param digest: SHA-256 of the zip, hexadecimal
    :param files: size and mark of each of the two files
    :param settings: of the training job and the endpoints
    :param hyperparameters: values, or marks
    :param environment: marks
    """

    digest: str
    files: dict[str, str] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)
    hyperparameters: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)

    def to_xcom(self) -> dict[str, Any]:
        """Return plain JSON."""
        return versioned({part: getattr(self, part) for part in ("digest", *PARTS)})

    def with_image(self, image: str | None) -> Self:
        """Return the same with the image that the release has pinned, which a zip names by a tag; None: as it is."""
        return replace(self, settings={**self.settings, _IMAGE: image}) if image else self

    @classmethod
    def from_xcom(cls, value: Any) -> Self | None:
        """Read what ``to_xcom`` returned; None where it is unreadable, since a page can do without."""
        try:
            return known(cls, value) if value else None
        except UnreadableDocument:
            return None


# The parts of Contents, and their titles.
PARTS = {
    "files": "Files",
    "settings": "Settings",
    "hyperparameters": "Hyperparameters",
    "environment": "Environment variables",
}


@dataclass(frozen=True)
class Difference:
    """One text of a release beside that of the live one; None where it has none."""

    part: str
    name: str
    new: str | None
    live: str | None

    @property
    def differs(self) -> bool:
        """Whether the two are different."""
        return self.new != self.live


def compare(new: Contents, live: Contents | None) -> list[Difference]:
    """Return everything that is in a zip, each text beside that of the live one.

    :param new: the release's zip
    :param live: the live release's; None where it is not known
    """
    found = []
    for part, title in PARTS.items():
        ours, theirs = getattr(new, part), getattr(live, part) if live else {}
        for name in [*ours, *(name for name in theirs if name not in ours)]:
            found.append(Difference(title, name, ours.get(name), theirs.get(name)))
    return found


def contents_of(data: bytes) -> Contents:
    """Read what is in a zip.

    :param data: the zip
    :raises slipway.errors.RequestRefused: when it is invalid
    """
    return contents_of_request(parse_zip(data))


def contents_of_request(request: ReleaseRequest) -> Contents:
    """Say what is in a zip that has been read.

    :param request: what the zip asks for
    """
    job = request.training_job
    return Contents(
        digest=request.digest,
        files={name: f"{len(content)} bytes, {_mark(content)}" for name, content in sorted(request.texts.items())},
        settings={name: _cut(text) for name, text in {**_training(job), **_endpoints(request)}.items()},
        hyperparameters={
            name: shown_value(name, value) for name, value in sorted((job.hyper_parameters or {}).items())
        },
        environment={name: _hidden(name, value) for name, value in sorted((job.environment or {}).items())},
    )


def shown_value(name: str, value: str) -> str:
    """Return a hyperparameter's value where it cannot be a credential; else that it is not shown, and its mark."""
    plain = _is_number(value) or value.lower() in ("true", "false") or (name in _WORDS and _WORD.fullmatch(value))
    return value if plain and not _SECRET_NAME.search(name) else _hidden(name, value)


def _is_number(value: str) -> bool:
    try:
        return len(value) <= 30 and math.isfinite(float(value))
    except ValueError:
        return False


def _hidden(name: str, value: str) -> str:
    return f"not shown, {_mark(f'{name}={value}'.encode())}"


def _mark(content: bytes) -> str:
    return f"mark {hashlib.sha256(content).hexdigest()[:_MARK_DIGITS]}"


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_CHARS else f"{text[:_MAX_CHARS]}…, {_mark(text.encode())}"


def _training(job: TrainingJob) -> dict[str, str]:
    image, resources = job.algorithm_specification.training_image, job.resource_config
    found = {
        _IMAGE: f"{image.algorithm} {image.version}" if isinstance(image, ImageName) else image,
        "Training: instances": f"{resources.instance_count} x {resources.instance_type}",
        "Training: volume": f"{resources.volume_size_in_gb} GB",
        "Training: longest time": f"{job.stopping_condition.max_runtime_in_seconds} s",
    }
    if job.enable_managed_spot_training:
        found["Training: spot instances"] = "yes"
    for channel in job.input_data_config:
        found[f"Data: {channel.channel_name}"] = channel.data_source.s3_data_source.s3_uri
    return found


def _endpoints(request: ReleaseRequest) -> dict[str, str]:
    found = {}
    for title, settings in (
        ("Development", request.deployment.development_endpoint),
        ("Production", request.deployment.production_endpoint),
    ):
        found.update({f"{title}: {name}": text for name, text in _endpoint(settings).items()})
    return found


def _endpoint(settings: EndpointSettings) -> Mapping[str, str]:
    found = {"instances": f"{settings.initial_instance_count} x {settings.instance_type}"}
    if settings.ab_tests:
        found["share in an A/B test"] = f"{number_text((settings.initial_variant_weight or 0) * 100)} %"
    if settings.inference_monitoring:
        found["captured requests"] = f"{settings.inference_monitoring_sampling} %"
    if scaling := settings.auto_scaling:
        found["auto scaling"] = (
            f"{scaling.min_capacity} to {scaling.max_capacity} instances, "
            f"{number_text(scaling.target_value)} requests a minute on each"
        )
    return found
