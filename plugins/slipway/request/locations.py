"""The places that a text names: S3 in every spelling that AWS's tools understand, and other URLs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

# Lookaheads find every match, also one inside another: as a parameter, or behind a comma.
_REST = r"[^\s\"',;|\]})>]*"
_URL = re.compile(
    rf"(?<![a-z0-9+.-])(?=(?P<all>(?P<scheme>[a-z0-9+.-]+):(?P<slashes>/+)(?P<rest>{_REST})))", re.IGNORECASE
)
# A host counts without a scheme too: tools add the scheme.
# Buckets of before 2018 may have capitals and underscores in their names.
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
_AWS = r"[a-z0-9][a-z0-9._-]*\.amazonaws\.com(\.cn)?"
_HOST = re.compile(
    rf"(?<![a-z0-9.-])(?=(?P<all>(?P<host>{_AWS})(?![a-z0-9.-])(:\d+)?(?P<path>/{_REST})?))", re.IGNORECASE
)
_ARN = re.compile(rf"(?=(?P<all>arn:aws[a-z-]*:(?P<service>s3[a-z-]*):(?P<rest>{_REST})))", re.IGNORECASE)
# Hadoop's schemes for S3. https://cwiki.apache.org/confluence/display/HADOOP2/AmazonS3
_S3_SCHEMES = frozenset({"s3", "s3a", "s3n"})
_READINGS_MAX = 3


@dataclass(frozen=True)
class Location:
    """A place that a text names.

    :param text: the place as the text spells it
    :param uri: s3://BUCKET/KEY; None without a bucket: an access point, another service, another protocol
    """

    text: str
    uri: str | None = None


def locations(text: str) -> list[Location]:
    """Find every place in a text, also in the escapes of JSON and of URLs.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-bucket-intro.html

    :param text: any text, such as the value of a hyperparameter
    :returns: the places, each once
    """
    return list(dict.fromkeys(place for reading in _readings(text) for place in _in(reading)))


def _readings(text: str) -> list[str]:
    """Return the text, and the texts that JSON and URL decoding make of it, repeatedly."""
    found = [text]
    for _ in range(_READINGS_MAX):
        decoded = [*map(unquote, found), *(part for one in found for part in _json_texts(one))]
        found = list(dict.fromkeys([*found, *decoded]))
    return found


def _json_texts(text: str) -> list[str]:
    """Return the texts in a JSON document; SageMaker's containers read hyperparameters as JSON."""
    try:
        values: list[Any] = [json.loads(text)]
    except (ValueError, RecursionError):
        return [text.replace("\\/", "/")]
    found: list[str] = []
    while values:
        value = values.pop()
        if isinstance(value, str):
            found.append(value)
        elif isinstance(value, dict):
            values += [*value, *value.values()]
        elif isinstance(value, list):
            values += value
    return found


def _in(text: str) -> Iterator[Location]:
    for found in _URL.finditer(text):
        scheme, rest = found["scheme"].lower(), found["rest"]
        if scheme in _S3_SCHEMES:
            yield Location(found["all"], _uri(*rest.partition("/")[::2]))
        elif (len(found["slashes"]) > 1 or scheme == "file") and not _is_s3_host(re.split(r"[/?#:]", rest)[0]):
            yield Location(found["all"])
    for found in _HOST.finditer(text):
        if _is_s3_host(found["host"]):
            yield Location(found["all"], _of_host(found["host"].lower(), (found["path"] or "").lstrip("/")))
    for found in _ARN.finditer(text):
        region, account, resource = [*found["rest"].split(":", 2), "", ""][:3]
        # The ARN of a bucket has no region and no account; that of an access point has both.
        of_bucket = found["service"].lower() == "s3" and not region and not account
        yield Location(found["all"], _uri(*resource.partition("/")[::2]) if of_bucket else None)


def _uri(bucket: str, key: str) -> str | None:
    return f"s3://{bucket}/{key}" if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", bucket) else None


def _is_s3_host(host: str) -> bool:
    return re.fullmatch(_AWS, host, re.IGNORECASE) is not None and any(
        label.startswith("s3") for label in host.lower().split(".")
    )


def _of_host(host: str, path: str) -> str | None:
    """Return the URI for an S3 host: the bucket is the beginning of the host, or of the path.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html
    """
    labels = host.split(".")
    # The last one: the name of a bucket may begin with s3 too.
    service = max(index for index, label in enumerate(labels) if label.startswith("s3"))
    # The hosts of access points, VPC endpoints and directory buckets do not contain the bucket's name.
    if not re.fullmatch(r"s3(-(?!accesspoint|object).*)?", labels[service]) or any("vpce" in one for one in labels):
        return None
    return _uri(".".join(labels[:service]), path) if service else _uri(*path.partition("/")[::2])
