"""The metadata of a model package: the names of its entries, and the values that it takes."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from slipway import names
from slipway.formats.encoding import METADATA_VALUE_MAX_CHARS

# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateModelPackage.html
_METADATA_FORBIDDEN = re.compile(r"[^\w .:/=+\-@]")

# The format version of all of Slipway's entries, as slipway/formats/stored.py explains it.
FORMAT = "slipway-format"
FORMAT_CURRENT = "1"
DIGEST = "slipway-digest"
ARTEFACT_SHA256 = "slipway-artefact-sha256"
REVISION = "slipway-revision"
VERSION_ID = "slipway-version-id"
RUN = "slipway-run"
TEST_PREFIX = "test/"


def metadata_value(text: str) -> str:
    """Fit a text into what CustomerMetadataProperties allow.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateModelPackage.html

    :param text: any text
    :returns: at most 256 characters, with a hyphen for each one that is not allowed
    """
    return _METADATA_FORBIDDEN.sub("-", text)[:METADATA_VALUE_MAX_CHARS] or "-"


def metrics_of(package: Mapping[str, Any]) -> dict[str, float]:
    """Read the final training metrics that `register` wrote into a model package.

    :param package: what DescribeModelPackage answered
    :returns: values by metric name; not a number where the entry has none
    """
    properties = package.get("CustomerMetadataProperties", {})
    found = ((names.metric_of_key(key), value) for key, value in properties.items())
    return {name: _number(value) for name, value in found if name is not None}


def _number(text: str) -> float:
    # Whoever may update the package can write anything there.
    try:
        return float(text)
    except ValueError:
        return math.nan
