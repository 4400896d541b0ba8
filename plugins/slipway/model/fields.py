"""The kinds of values in a model file, each with its rule and what to do when it is broken."""

from __future__ import annotations

import re
from collections import Counter
from typing import Annotated

from pydantic import AfterValidator, Field

from slipway import names
from slipway.aws.placeholders import PLACEHOLDERS
from slipway.model.people import under_two_names
from slipway.validation import shown_name, wrong

# The tags of Slipway and of AWS.
# https://docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html
RESERVED_TAG_PREFIXES = ("slipway:", "aws:")

# https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
_KEY_MAX_BYTES = 1024
_BRACES = re.compile(r"\{[^{}]*\}")


def _known_placeholders(text: str) -> str:
    for found in _BRACES.findall(text):
        if found not in PLACEHOLDERS:
            raise wrong(f"no placeholder but {' and '.join(PLACEHOLDERS)}", f"replace {shown_name(found)}")
    return text


def _role_arn(text: str) -> str:
    if not re.fullmatch(r"arn:aws[a-z-]*:iam::(\d{12}|\{account\}):role/[\w+=,.@/-]+", text):
        raise wrong("a role's ARN", "write arn:aws:iam::{account}:role/NAME")
    return text


def s3_key(text: str) -> str:
    """Refuse a key that is longer than S3's keys are."""
    if len(text.encode()) > _KEY_MAX_BYTES:
        raise wrong(f"a key of at most {_KEY_MAX_BYTES} bytes in UTF-8", "shorten it")
    return text


def _s3_uri(text: str) -> str:
    if not re.fullmatch(r"s3://[a-z0-9{][a-z0-9.{}-]+/.+", text):
        raise wrong("an S3 URI with a key", "write s3://BUCKET/KEY")
    s3_key(text.removeprefix("s3://").partition("/")[2])
    return text


def _url_beginning(text: str) -> str:
    # With the slash after the host: otherwise a longer host would match.
    if not re.fullmatch(r"[a-z][a-z0-9+.-]*://[A-Za-z0-9.-]+(:\d+)?/[^\s\"',;|]*", text) or text.startswith("s3"):
        raise wrong("the beginning of a URL up to a slash, and no S3 URI", "write https://HOST/, S3 in s3_prefixes")
    return text


def _topic_arn(text: str) -> str:
    if not re.fullmatch(r"arn:aws[a-z-]*:sns:([a-z0-9-]+|\{region\}):(\d{12}|\{account\}):[\w-]+", text):
        raise wrong("the ARN of a standard SNS topic", "write arn:aws:sns:{region}:{account}:NAME")
    return text


def _tag_key(text: str) -> str:
    if text.lower().startswith(RESERVED_TAG_PREFIXES):
        raise wrong(f"a tag key outside {' and '.join(RESERVED_TAG_PREFIXES)}", "those tags are set by Slipway or AWS")
    return text


def _user_name(text: str) -> str:
    # Only ASCII, so that a name that looks like an approver's is the approver's.
    if not re.fullmatch(r"[A-Za-z0-9_.:/=+\-@]+( [A-Za-z0-9_.:/=+\-@]+)*", text):
        raise wrong("an Airflow user name of ASCII letters, digits and _.:/=+-@", "have that user renamed in Airflow")
    return text


def different_people(names: list[str]) -> list[str]:
    """Refuse a person under two names, because that person would count twice."""
    no_repetition(names)
    if pair := under_two_names(names):
        raise wrong("every person under one name", f"{' and '.join(pair)} may be one person: remove one of them")
    return names


def no_repetition(values: list[str]) -> list[str]:
    """Refuse a list with an entry twice."""
    repeated = [value for value, count in Counter(values).items() if count > 1]
    if repeated:
        raise wrong("every entry once", f"remove the second {shown_name(repeated[0])}")
    return values


Text = Annotated[str, Field(min_length=1), AfterValidator(_known_placeholders)]
RoleArn = Annotated[Text, AfterValidator(_role_arn)]
S3Uri = Annotated[Text, AfterValidator(_s3_uri)]
InstanceType = Annotated[str, Field(pattern=r"^ml\.[a-z0-9-]+\.[a-z0-9-]+$")]
Name = Annotated[str, Field(pattern=rf"^{names.NAME_PATTERN}$")]
Seconds = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]
TagKey = Annotated[str, Field(min_length=1, max_length=128), AfterValidator(_tag_key)]
UrlBeginning = Annotated[Text, AfterValidator(_url_beginning)]
TopicArn = Annotated[Text, AfterValidator(_topic_arn)]
# A model package's metadata can hold such a name unchanged.
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateModelPackage.html
UserName = Annotated[str, Field(max_length=64), AfterValidator(_user_name)]
