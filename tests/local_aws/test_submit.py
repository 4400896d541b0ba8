"""What `slipway submit` asks S3 for: the upload, and what the run's id is made of."""

from pathlib import Path

import pytest

from slipway.command.aws import Aws
from slipway.command.sources import Package
from slipway.command.upload import run_id_of, upload_zip
from slipway.names import AUTO_RUN_PREFIX, auto_run_id
from slipway.source.versions import iso_utc
from tests.local_aws import sagemaker_cases as cases

pytestmark = pytest.mark.local_aws
KEY = "training_jobs/submitted/trainingjob.zip"


def test_the_run_is_known_by_its_id_as_the_intake_makes_it(local_aws):
    s3 = local_aws.client("s3")
    upload = upload_zip(Aws(local_aws.client), Package(Path(), b"zip"), cases.BUCKET, KEY, "alice")
    run_id = run_id_of(Aws(local_aws.client), upload)
    [version] = s3.list_object_versions(Bucket=cases.BUCKET, Prefix=KEY)["Versions"]
    assert run_id == auto_run_id(cases.BUCKET, KEY, version["VersionId"], iso_utc(version["LastModified"]))
    assert run_id.startswith(AUTO_RUN_PREFIX)
    asked = [call["operation"] for call in local_aws.ledger() if call["resource"] and KEY in call["resource"]]
    assert asked[:2] == ["PutObject", "HeadObject"]
