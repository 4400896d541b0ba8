"""Signs requests that boto3 would not send, and those of parts of the local AWS in tests."""

from dataclasses import astuple

from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from local_aws.compute.base import ComputeSettings
from tests.aws_keys import CREDENTIALS
from tests.local_aws.server import REGION


def signed(method, url, service, body=b"", headers=None, *, key=CREDENTIALS.operator, token=None, region=REGION):
    """The headers of a request signed in its header."""
    request = AWSRequest(method, url, dict(headers or {}), body)
    auth = S3SigV4Auth if service == "s3" else SigV4Auth
    auth(Credentials(*astuple(key), token), service, region).add_auth(request)
    return dict(request.headers)


def address(method, url, service, *, key=CREDENTIALS.operator, seconds=60):
    """A signed address."""
    request = AWSRequest(method, url)
    auth = S3SigV4QueryAuth if service == "s3" else SigV4QueryAuth
    auth(Credentials(*astuple(key)), service, REGION, expires=seconds).add_auth(request)
    return request.url


def compute_settings(aws, state_dir, **more):
    """The settings of a part of the compute that a test runs beside a local AWS."""
    key = CREDENTIALS.operator
    return ComputeSettings(aws.endpoint_url, state_dir, key.secret_access_key, key.access_key_id, **more)
