"""S3: objects below a prefix, listed and deleted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from slipway.aws.calls import aws_call
from slipway.aws.documents import S3DocumentHook
from slipway.aws.patience import patient
from slipway.aws.s3 import uri
from slipway.errors import AwsError

# https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html
_MAX_DELETIONS = 1000


@dataclass(frozen=True)
class StoredObject:
    """One object as a listing shows it."""

    key: str
    size_bytes: int


class S3ObjectsHook(S3DocumentHook):
    """Whole folders of S3."""

    @patient
    def objects(self, bucket: str, prefix: str) -> list[StoredObject]:
        """List what is there now, delete markers aside.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html

        :param bucket: the bucket
        :param prefix: what the keys begin with
        :raises slipway.errors.AwsError: when the call fails
        """
        with aws_call("list the objects", uri(bucket, prefix)):
            pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
            return [StoredObject(item["Key"], item["Size"]) for page in pages for item in page.get("Contents", ())]

    @patient
    def remove(self, bucket: str, keys: Sequence[str]) -> None:
        """Delete objects; in a versioned bucket they become noncurrent, and its lifecycle removes them for good.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html

        :param bucket: the bucket
        :param keys: the objects' keys
        :raises slipway.errors.AwsError: when the call fails, or an object was not deleted
        """
        for start in range(0, len(keys), _MAX_DELETIONS):
            wanted = [{"Key": key} for key in keys[start : start + _MAX_DELETIONS]]
            with aws_call("delete the objects", uri(bucket, wanted[0]["Key"])):
                answer = self._s3.delete_objects(Bucket=bucket, Delete={"Objects": wanted, "Quiet": True})
            for refused in answer.get("Errors", ()):
                raise AwsError(
                    "Could not delete the object",
                    resource=uri(bucket, refused["Key"]),
                    why=f"DeleteObjects answered {refused.get('Code')}: {refused.get('Message', '')}",
                    code=str(refused.get("Code", "")),
                    operation="DeleteObjects",
                )
