"""Captured answers and ground truth in S3."""

from __future__ import annotations

from collections.abc import Iterator

from slipway import ground_truth
from slipway.aws.calls import aws_call
from slipway.aws.patience import patient
from slipway.aws.s3 import S3VersionHook, uri
from slipway.ground_truth import Hits

# Beyond these a trial is judged by what was read: the first objects of each hour are as good a sample as all.
_MAX_OBJECTS = 2000
_MAX_BYTES = 64 * 2**20


class GroundTruthHook(S3VersionHook):
    """Joins what variants answered with what was true."""

    @patient
    def hits(
        self, capture_uri: str, truth_uri: str, endpoint_name: str, variant: str, span: tuple[float, float]
    ) -> Hits:
        """Count the right answers of one variant.

        Captures lie below ``ENDPOINT/VARIANT/yyyy/mm/dd/hh`` of their destination, the truth below ``yyyy/mm/dd/hh`` of
        its prefix, by the hour in which it was found out.
        https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-data-capture-endpoint.html
        https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-model-quality-merge.html

        :param capture_uri: S3 URI of the endpoint's data capture
        :param truth_uri: S3 URI of the ground truth
        :param endpoint_name: the endpoint
        :param variant: the variant
        :param span: when the answers were given, in seconds since the epoch
        :raises PermanentError: when an object is of another layout
        :raises slipway.errors.AwsError: when a call fails
        """
        known: dict[str, str] = {}
        for where, lines in self._objects(truth_uri, span):
            known |= ground_truth.truths(lines, where)
        answered: dict[str, str] = {}
        if known:
            for where, lines in self._objects(f"{capture_uri.rstrip('/')}/{endpoint_name}/{variant}", span):
                answered |= ground_truth.answers(lines, where, since=span[0])
        return ground_truth.compare(answered, known)

    def _objects(self, prefix_uri: str, span: tuple[float, float]) -> Iterator[tuple[str, list[str]]]:
        bucket, _, prefix = prefix_uri.removeprefix("s3://").partition("/")
        left = _MAX_OBJECTS
        for folder in ground_truth.hour_folders(prefix, *span):
            with aws_call("list the records", uri(bucket, folder)):
                pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=folder)
                keys = [item["Key"] for page in pages for item in page.get("Contents", ()) if item["Size"]]
            for key in keys[:left]:
                data = self.read_version(bucket, key, max_bytes=_MAX_BYTES)
                yield uri(bucket, key), data.decode().splitlines()
            left -= len(keys[:left])
