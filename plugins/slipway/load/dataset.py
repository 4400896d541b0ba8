"""Read labelled rows from a file or from S3."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import botocore.session
from botocore.exceptions import BotoCoreError, ClientError

from slipway.load.errors import UnreadableRows
from slipway.load.objects import s3_lines, text_lines
from slipway.load.plan import fitting
from slipway.load.rows import Row, parse_row

MAX_ROWS = 100_000


def read_rows(source: str, session: botocore.session.Session) -> list[Row]:
    """Read labelled rows, as many as a load may have: headerless CSV, label first.

    https://docs.aws.amazon.com/sagemaker/latest/dg/cdf-training.html

    :param source: a path, ``s3://BUCKET/KEY`` or ``s3://BUCKET/FOLDER/``
    :param session: for S3
    :raises UnreadableRows: when the source cannot be read, or a line is not a row
    """
    with _reading(source):
        lines = _s3_lines(source, session) if source.startswith("s3://") else _file_lines(Path(source))
        return fitting(parse_row(line, where) for where, line in islice(lines, MAX_ROWS))


@contextmanager
def _reading(where: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, BotoCoreError, ClientError) as error:
        raise UnreadableRows(where, str(error)) from error


def _file_lines(path: Path) -> Iterator[tuple[str, str]]:
    with path.open("rb") as file:
        for line in text_lines(file, str(path)):
            yield str(path), line


def _s3_lines(uri: str, session: botocore.session.Session) -> Iterator[tuple[str, str]]:
    client: Any = session.create_client("s3")
    bucket, _, place = uri.removeprefix("s3://").partition("/")
    return s3_lines(client, bucket, place, _reading)
