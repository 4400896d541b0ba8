"""Held-out rows: the CSV data in S3 that endpoints are tested with."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from functools import partial
from itertools import islice
from typing import Any

from slipway.aws.calls import aws_call
from slipway.aws.patience import patient
from slipway.aws.s3 import bucket_and_key
from slipway.aws.session import AwsHook
from slipway.errors import EndpointTestFailed
from slipway.formats.json_numbers import number_of
from slipway.load.answers import Answers
from slipway.load.errors import UnreadableRows
from slipway.load.objects import s3_lines
from slipway.load.rows import Row, parse_row
from slipway.validation import shown


class HeldOutHook(AwsHook):
    """Read headerless CSV, label first, as SageMaker's built-in algorithms take it.

    https://docs.aws.amazon.com/sagemaker/latest/dg/cdf-training.html
    """

    service = "s3"

    @patient
    def rows(self, data_uri: str, limit: int) -> list[Row]:
        """Read the first rows of an object, or of the objects in a folder.

        :param data_uri: s3://BUCKET/KEY or s3://BUCKET/FOLDER/.
        :param limit: How many rows at most.
        :returns: The rows, at least one.
        :raises slipway.errors.EndpointTestFailed: When there is no row, or an object does not hold rows.
        :raises slipway.errors.AwsError: When a call fails; it names the object.
        """
        client: Any = self.conn
        bucket, place = bucket_and_key(data_uri)
        with aws_call("list the held-out rows", data_uri):
            lines = s3_lines(client, bucket, place, partial(aws_call, "read the held-out rows"))
            try:
                rows = [parse_row(line, where) for where, line in islice(lines, limit)]
            except UnreadableRows as error:
                raise EndpointTestFailed(
                    "Cannot read the held-out rows",
                    resource=error.where,
                    why=error.why,
                    fix="write CSV in UTF-8, the label first and without a header, then clear this task",
                ) from error
        if not rows:
            raise EndpointTestFailed(
                "There are no held-out rows",
                resource=data_uri,
                why="S3 has no object there, or only empty and hidden ones, which are passed over",
                fix="upload them, or name an object, or a folder with a / at the end, in the model file",
            )
        return rows


def check_labels(rows: Sequence[Row], answers: Collection[Answers], data_uri: str) -> None:
    """Refuse labels that no answer can be compared with, such as those of a header.

    :param rows: The rows.
    :param answers: What the variants answer; nothing is refused where one is unknown.
    :param data_uri: Where the rows are, for the error.
    :raises slipway.errors.EndpointTestFailed: Naming the first such row.
    """
    if not answers or Answers.UNKNOWN in answers:
        return
    for number, row in enumerate(rows, start=1):
        if not math.isfinite(number_of(row.label)):
            raise EndpointTestFailed(
                "A label is not a number",
                resource=data_uri,
                why=f"row {number} has the label {shown(row.label)}, and the model answers numbers",
                fix="write CSV without a header, the label first and a number, then clear this task",
            )
