"""Read labelled rows from a file or from the objects below an S3 prefix."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import botocore.session
from botocore.exceptions import BotoCoreError, ClientError

from slipway.load.errors import LoadError
from slipway.load.plan import fitting
from slipway.load.rows import Row, parse_row

MAX_ROWS = 100_000


def read_rows(source: str, session: botocore.session.Session) -> list[Row]:
    """Read labelled rows, as many as a load may have: headerless CSV, label first.

    https://docs.aws.amazon.com/sagemaker/latest/dg/cdf-training.html

    :param source: a path, or ``s3://BUCKET/PREFIX``
    :param session: for S3
    :raises LoadError: when the source cannot be read, or a line is not a row
    """
    try:
        lines = _s3_lines(source, session) if source.startswith("s3://") else _file_lines(Path(source))
        return fitting(_row(line, source) for line in islice(lines, MAX_ROWS))
    except (OSError, ValueError, BotoCoreError, ClientError) as error:
        raise LoadError(f"Cannot read the rows of {source}: {error}") from error


def _row(line: str, source: str) -> Row:
    row = parse_row(line)
    if row is None:
        raise LoadError(f"{source} has a line that is not a label and its features: {line[:80]!r}")
    return row


def _file_lines(path: Path) -> Iterator[str]:
    with path.open(encoding="utf-8") as file:
        yield from filter(None, map(str.strip, file))


def _s3_lines(uri: str, session: botocore.session.Session) -> Iterator[str]:
    client: Any = session.create_client("s3")
    parts = urlsplit(uri)
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=parts.netloc, Prefix=parts.path.lstrip("/"))
    for page in pages:
        for item in page.get("Contents", []):
            body = client.get_object(Bucket=parts.netloc, Key=item["Key"])["Body"]
            yield from (line.decode() for line in body.iter_lines() if line.strip())
