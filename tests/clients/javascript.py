"""The AWS SDK for JavaScript 3, with Node."""

import shutil

import pytest

from tests.clients.support import PROGRAMS, case, check
from tools import clients

pytestmark = pytest.mark.local_aws


def test_javascript(shell):
    try:
        folder = clients.javascript()
    except clients.ClientMissing as missing:
        pytest.skip(str(missing))
    s3 = shell.aws.client("s3")
    if shell.bucket not in {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}:
        s3.create_bucket(Bucket=shell.bucket, CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    # Node looks for packages beside the program.
    program = folder / "javascript.mjs"
    shutil.copy(PROGRAMS / "javascript.mjs", program)
    command = ["node", "--require", PROGRAMS / "watched.cjs", program]
    check("javascript", shell.outcomes(command, case(shell, "javascript")), shell)
