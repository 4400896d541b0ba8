"""Held-out rows: the CSV data in S3 that endpoints are tested with."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from slipway.aws.calls import aws_call
from slipway.aws.patience import patient
from slipway.aws.s3 import bucket_and_key
from slipway.aws.session import AwsHook
from slipway.errors import EndpointTestFailed
from slipway.load.rows import Row, parse_row


class HeldOutHook(AwsHook):
    """Read headerless CSV, label first, as SageMaker's built-in algorithms take it.

    https://docs.aws.amazon.com/sagemaker/latest/dg/cdf-training.html
    """

    service = "s3"

    @patient
    def rows(self, data_uri: str, limit: int) -> list[Row]:
        """Read the first rows of the objects below an S3 prefix.

        :param data_uri: An object's URI or a prefix: s3://BUCKET/PREFIX.
        :param limit: How many rows at most.
        :returns: The rows, at least one.
        :raises slipway.errors.EndpointTestFailed: When there is no row, or a row has no label and features.
        :raises slipway.errors.AwsError: When a call fails.
        """
        with aws_call("read the held-out rows", data_uri):
            lines = list(islice(self._lines(data_uri), limit))
        if not lines:
            raise EndpointTestFailed(
                "There are no held-out rows", resource=data_uri, fix="upload them, or correct the model file"
            )
        return [_row(line, data_uri) for line in lines]

    def _lines(self, data_uri: str) -> Iterator[str]:
        client: Any = self.conn
        bucket, prefix = bucket_and_key(data_uri)
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            for item in page.get("Contents", []):
                body = client.get_object(Bucket=bucket, Key=item["Key"])["Body"]
                yield from (line.decode().strip() for line in body.iter_lines() if line.strip())


def _row(line: str, data_uri: str) -> Row:
    row = parse_row(line)
    if row is None:
        raise EndpointTestFailed(
            "A held-out row is not a label and its features", resource=data_uri, why=f"found {line[:80]!r}"
        )
    return row
