"""The program of docs/recipes/etl-job.md uploads what a release takes, in the right order."""

import boto3
import pytest

from demo import training_job
from slipway.request.fence import parse_zip
from tests.docs.pages import DOCS, blocks

pytestmark = pytest.mark.local_aws


def test_the_etl_job_uploads_data_then_the_zip(local_aws, monkeypatch):
    [program] = blocks(DOCS / "recipes" / "etl-job.md", "python")
    s3 = local_aws.client("s3")
    monkeypatch.setattr(boto3, "client", local_aws.client)
    namespace: dict[str, object] = {}
    exec(program, namespace)  # noqa: S102
    bucket = namespace["BUCKET"]
    body = training_job.build("iris-model", bucket)
    before = len(local_aws.ledger(operation="PutObject"))
    version = namespace["release"](b"0,1,2\n", b"0,1,2\n", body)
    zipped = s3.get_object(Bucket=bucket, Key="training_jobs/iris-model/trainingjob.zip", VersionId=version)
    assert zipped["Metadata"] == {"uploaded-by": "nightly-etl"}
    assert parse_zip(zipped["Body"].read()).deployment.endpoint_prefix == "iris-model"
    assert s3.get_object(Bucket=bucket, Key="iris-model/input/train/data.csv")["Body"].read() == b"0,1,2\n"
    assert len(local_aws.ledger(operation="PutObject")) - before == 3
