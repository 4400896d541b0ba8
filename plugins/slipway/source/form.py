"""What the form of a release DAG may say: patterns of its fields, and what is refused before a run starts."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from slipway.plan import PREVIOUS, ROLL_BACK_TO
from slipway.validation import shown_name

BUCKET, KEY, VERSION_ID, NEW_ATTEMPT = "bucket", "key", "version_id", "new_attempt"
# Each pattern lets an empty field pass; its description in the form says what to write.
PATTERNS = {
    BUCKET: r"^([a-z0-9{][a-z0-9.{}-]+)?$",
    KEY: r"^(?!s3:|arn:)",
    # https://docs.aws.amazon.com/AmazonS3/latest/userguide/versioning-workflows.html: opaque texts fit for URLs
    VERSION_ID: r"^(?!s3:|arn:)\S*$",
    # https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeModelPackage.html
    ROLL_BACK_TO: rf"^({PREVIOUS}|[0-9a-f]{{32}}|"
    r"arn:aws[a-z-]*:sagemaker:[a-z0-9-]+:[0-9]{12}:model-package/[A-Za-z0-9-]+/[0-9]+)?$",
}
_FIXES = {
    BUCKET: "Write the name of an S3 bucket, such as my-bucket.",
    KEY: "Write the key alone, without s3:// and without the bucket.",
    VERSION_ID: "Write one that `aws s3api list-object-versions` shows, or leave it empty for the newest.",
    ROLL_BACK_TO: f"Write {PREVIOUS}, the ARN of a model package (arn:aws:sagemaker:REGION:ACCOUNT:model-package/GROUP/"
    "NUMBER) or a revision's id (32 hexadecimal digits), or leave it empty for a release.",
}


def form_problem(conf: Mapping[str, Any] | None, fields: Collection[str]) -> str | None:
    """Say what is wrong with a filled-in form.

    :param conf: the run's conf
    :param fields: the fields that the DAG's form has
    :returns: the field, what is wrong with it, and the fix, as sentences; None for a form that may be sent
    """
    return next(_problems(conf or {}, fields), None)


def two_orders(conf: Mapping[str, Any] | None) -> str | None:
    """Say why a form that asks for a release and a roll-back at once is refused; None for every other form."""
    given = conf or {}
    if not given.get(ROLL_BACK_TO):
        return None
    for field in (VERSION_ID, NEW_ATTEMPT):
        if given.get(field):
            return (
                f"{ROLL_BACK_TO}: a run is a release or a roll-back, and {field} asks for a release. "
                f"Remove {field} to roll back, or remove {ROLL_BACK_TO} to release."
            )
    return None


def _problems(conf: Mapping[str, Any], fields: Collection[str]) -> Iterator[str]:
    for field, value in conf.items():
        if field not in fields:
            near = get_close_matches(field, fields, n=1)
            meant = f"Did you mean {near[0]}? " if near else ""
            yield f"{shown_name(field)}: the form has no such field. {meant}Its fields are {', '.join(sorted(fields))}."
        elif field == NEW_ATTEMPT and value not in (None, True, False):
            yield f"{field}: {shown_name(str(value))} is neither true nor false. Write true or false, without quotes."
        elif field in PATTERNS and value is not None and not _fits(field, value):
            yield f"{field}: {shown_name(str(value))} is refused. {_FIXES[field]}"
    if problem := two_orders(conf):
        yield problem


def _fits(field: str, value: Any) -> bool:
    # In Python a $ also matches before a final newline.
    return isinstance(value, str) and not value.endswith("\n") and bool(re.search(PATTERNS[field], value))
