"""boto3 clients that answer from a script and check every request against AWS's own model."""

import boto3
from botocore.stub import Stubber


def stubbed(hook, service: str) -> Stubber:
    """Give a hook a client whose answers are scripted.

    :returns: the script; activated
    """
    client = boto3.client(service, region_name="us-west-2", aws_access_key_id="x", aws_secret_access_key="x")
    hook.__dict__["conn"] = client
    stubber = Stubber(client)
    stubber.activate()
    return stubber
