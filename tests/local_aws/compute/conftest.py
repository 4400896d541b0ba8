"""What the tests of training and of hosting share: the bucket, a base image, and a compute process of a file's own."""

import pytest

from local_aws.compute.docker.base import Base
from tests.local_aws.compute.support import BUCKET, ComputeProcess


@pytest.fixture(scope="module")
def bucket(local_aws):
    """The S3 client, once the bucket is there."""
    client = local_aws.client("s3")
    if BUCKET not in {found["Name"] for found in client.list_buckets()["Buckets"]}:
        client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    return client


@pytest.fixture(scope="session")
def base_folder(tmp_path_factory):
    """A directory with the base image, which takes seconds to make."""
    folder = tmp_path_factory.mktemp("images") / "base"
    Base(folder).require()
    return folder


@pytest.fixture(scope="module")
def compute(s3, tmp_path_factory):
    """A compute process beside the objects that the file's own fixture s3 puts there."""
    process = ComputeProcess(s3.meta.endpoint_url, tmp_path_factory.mktemp("compute"))
    yield process
    process.close()
