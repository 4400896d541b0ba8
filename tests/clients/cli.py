"""The AWS CLI 1.x of PyPI, and the AWS CLI 2.x of Debian's package."""

import json
import os
import sys

import pytest

from tests.clients.support import ENVIRONMENTS, PROGRAMS, case, check
from tools import clients

pytestmark = pytest.mark.local_aws


@pytest.mark.parametrize("client", ["cli1", "cli2"])
def test_cli(shell, client):
    bin_folder = ENVIRONMENTS / client / "bin"
    command, modules = [str(bin_folder / "aws")], ""
    if client == "cli2":
        try:
            modules = str(clients.cli_v2())
        except clients.ClientMissing as missing:
            pytest.skip(str(missing))
        command = [str(bin_folder / "python"), "-m", "awscli"]
    local_only, watched = clients.ROOT / "tools" / "local_only", PROGRAMS / "watched"
    path = os.pathsep.join(str(folder) for folder in (local_only, watched, modules) if str(folder))
    variables = {"CLIENT_AWS": json.dumps(command), "CLIENT_PATH": path}
    # The SDKs make the bucket by themselves.
    s3 = shell.aws.client("s3")
    if shell.bucket not in {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}:
        s3.create_bucket(Bucket=shell.bucket, CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    outcomes = shell.outcomes([sys.executable, PROGRAMS / "cli.py"], case(shell, client), **variables)
    check(client, outcomes, shell)
