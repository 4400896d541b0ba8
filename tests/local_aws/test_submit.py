"""What `slipway submit` and `doctor` ask S3 for: the upload, what the run's id is of, uploads to other keys."""

from pathlib import Path

import pytest
import yaml

from slipway.command.account import unread_uploads
from slipway.command.aws import Aws
from slipway.command.sources import Package
from slipway.command.upload import run_id_of, upload_zip
from slipway.model.config import ModelConfig
from slipway.names import AUTO_RUN_PREFIX, auto_run_id
from slipway.source.versions import iso_utc
from tests.conftest import ROOT
from tests.local_aws import sagemaker_cases as cases

pytestmark = pytest.mark.local_aws
KEY = "training_jobs/submitted/trainingjob.zip"


@pytest.fixture
def new_bucket(local_aws):
    """A bucket that nobody else writes to."""
    name = "uploads-to-wrong-keys"
    local_aws.client("s3").create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    return name


def test_the_run_is_known_by_its_id_as_the_intake_makes_it(local_aws):
    s3 = local_aws.client("s3")
    upload = upload_zip(Aws(local_aws.client), Package(Path(), b"zip"), cases.BUCKET, KEY, "alice")
    run_id = run_id_of(Aws(local_aws.client), upload)
    [version] = s3.list_object_versions(Bucket=cases.BUCKET, Prefix=KEY)["Versions"]
    assert run_id == auto_run_id(cases.BUCKET, KEY, version["VersionId"], iso_utc(version["LastModified"]))
    assert run_id.startswith(AUTO_RUN_PREFIX)
    asked = [call["operation"] for call in local_aws.ledger() if call["resource"] and KEY in call["resource"]]
    assert asked[:2] == ["PutObject", "HeadObject"]


def test_doctor_names_the_uploads_that_start_nothing(new_bucket, local_aws):
    forest = ModelConfig.model_validate(yaml.safe_load((ROOT / "include" / "models" / "iris-forest.yaml").read_text()))
    strays = ["image_builds/iris-forest/forest.zip", "image_builds/iris/image.zip", "training_jobs/iris-forest.zip"]
    waiting = "training_jobs/gone/trainingjob.zip"
    for key in [
        *strays,
        waiting,
        "image_builds/iris-forest/image.zip",
        "training_jobs/iris-forest/trainingjob.zip",
        "data/a.csv",
    ]:
        local_aws.client("s3").put_object(Bucket=new_bucket, Key=key, Body=b"zip")
    found = list(unread_uploads(Aws(local_aws.client), new_bucket, [forest]))
    (told,) = [one.found for one in found if one.about == f"s3://{new_bucket}/{waiting}"]
    assert told == "it starts nothing: no model file has this key; the newest uploads wait for one"
    found = [one for one in found if one.found != told]
    assert sorted(one.about for one in found) == [f"s3://{new_bucket}/{key}" for key in strays]
    assert {one.found.rpartition(" ")[2] for one in found} == {
        "image_builds/PREFIX/image.zip",
        "training_jobs/PREFIX/trainingjob.zip",
    }
