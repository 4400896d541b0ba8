"""The reports of stress tests in S3."""

from __future__ import annotations

from typing import Any

from botocore.config import Config

from slipway.aws.calls import aws_call
from slipway.aws.patience import patient
from slipway.aws.s3 import uri
from slipway.aws.session import AwsHook

# The longest that AWS allows; an address made with a role's credentials expires with them.
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-presigned-url.html
_ADDRESS_SECONDS = 7 * 24 * 3600


class StressReportHook(AwsHook):
    """Write reports, and make addresses that open them in a browser."""

    service = "s3"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # boto3 signs addresses by version 2 in some regions, which do not open objects that KMS encrypts.
        kwargs.setdefault("config", Config(signature_version="s3v4"))
        super().__init__(*args, **kwargs)

    @patient
    def put(self, bucket: str, key: str, data: str, *, content_type: str) -> None:
        """Write a file of a report, replacing that of an earlier attempt.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html

        :param bucket: the bucket
        :param key: the file's key
        :param data: the content
        :param content_type: its media type
        :raises slipway.errors.AwsError: when the call fails
        """
        with aws_call("write the report", uri(bucket, key)):
            self.conn.put_object(Bucket=bucket, Key=key, Body=data.encode(), ContentType=content_type)

    @patient
    def address(self, bucket: str, key: str) -> str:
        """Return a presigned URL of an object, for a browser without credentials; this makes no call.

        https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-presigned-url.html

        :param bucket: the bucket
        :param key: the object's key
        :returns: a URL that opens it for at most a week
        :raises slipway.errors.AwsError: when the connection has no credentials
        """
        with aws_call("make the address of the report", uri(bucket, key)):
            address: str = self.conn.generate_presigned_url(
                "get_object", Params={"Bucket": bucket, "Key": key}, ExpiresIn=_ADDRESS_SECONDS
            )
        return address
