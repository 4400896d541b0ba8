"""A hostile zip whose model file bounds nothing: what IAM still stops, and that nothing is made.

The fence of the model file is switched off here, and the zip's own RoleArn counts, which Slipway otherwise replaces.
"""

import pytest

from slipway.errors import SlipwayError
from slipway.request import fence, policy
from slipway.request.process import process_request
from slipway.source.versions import S3Versions
from slipway.training.train import SlipwayTrainingOperator
from tests.local_aws.hooks import lead_hooks_to
from tests.local_aws.release_support import model, upload_data, zip_with
from tests.local_aws.server import ACCOUNT, REGION, ROOT, LocalAws
from tests.unit.request_samples import BUCKET, KEY, changed, request_zip
from tests.unit.task_runs import context, run_task
from tools import bootstrap_stack
from tools.environment import AIRFLOW_CONNECTION
from tools.settings import AIRFLOW_PRINCIPAL

pytestmark = pytest.mark.local_aws

THEIRS = "somebody-elses"
STRANGER = "999999999999"
TRAINING = f"arn:aws:iam::{ACCOUNT}:role/slipway-training-iris-model"
AS_TRAINING = f"arn:aws:sts::{ACCOUNT}:assumed-role/slipway-training-iris-model/SageMaker"
INPUT = "InputDataConfig.0.DataSource.S3DataSource.S3Uri"
OUTPUT = "OutputDataConfig.S3OutputPath"
IMAGE = "AlgorithmSpecification.TrainingImage"


@pytest.fixture(scope="module")
def aws(tmp_path_factory):
    """A set-up account with another model's data, another team's bucket and an administrator's role."""
    running = LocalAws(tmp_path_factory.mktemp("hostile") / "state", as_admin=True).start()
    try:
        assert bootstrap_stack.deploy(running.client, ROOT / "include", AIRFLOW_PRINCIPAL) == []
        upload_data(running)
        running.make_role("administrator")
        s3 = running.client("s3")
        s3.create_bucket(Bucket=THEIRS, CreateBucketConfiguration={"LocationConstraint": REGION})
        for bucket, key in ((THEIRS, "secrets/a.csv"), (BUCKET, "wine-model/input/train/a.csv")):
            s3.put_object(Bucket=bucket, Key=key, Body=b"0,1\n1,2\n")
        yield running
    finally:
        running.stop()


@pytest.fixture(autouse=True)
def no_fence(aws, monkeypatch):
    """Let everything that a zip asks for through, as slipway-airflow."""
    lead_hooks_to(aws.endpoint_url, monkeypatch)
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", AIRFLOW_CONNECTION)
    monkeypatch.setattr(policy, "refusals", lambda *_: [])
    complete = fence._parameters

    def with_its_own_role(training, *rest):
        return {**complete(training, *rest), "RoleArn": training.role_arn}

    monkeypatch.setattr(fence, "_parameters", with_its_own_role)


@pytest.fixture
def release(aws):
    """Release a zip with some fields changed, up to its training; return the error, the job's name and the ledger."""

    def run(**fields):
        job = fence.parse_zip(zip_with()).training_job.model_dump(by_alias=True, mode="json", exclude_none=True)
        for path, value in {"RoleArn": TRAINING, **fields}.items():
            changed(job, path.replace("__", "."), value)
        deploy = fence.parse_zip(zip_with()).deployment.model_dump(by_alias=True, mode="json", exclude_none=True)
        before = len(aws.ledger())
        data = request_zip(job=job, deploy=deploy)
        version = aws.client("s3").put_object(Bucket=BUCKET, Key=KEY, Body=data)["VersionId"]
        revision = S3Versions().head_version(BUCKET, KEY, version)
        plan = process_request(model(), revision).to_xcom()
        task = SlipwayTrainingOperator(task_id="train", model=model())
        with pytest.raises(SlipwayError) as error:
            run_task(task, context({"source": revision.to_xcom(), "process_request": plan}))
        return str(error.value), plan["training_job_name"], aws.ledger()[before:]

    return run


def made(calls, *operations):
    return [call for call in calls if call["operation"] in operations and call["outcome"] == "ok"]


def check_nothing_was_made(aws, job, calls):
    assert made(calls, "CreateTrainingJob", "CreateModel", "CreateModelPackage", "CreateEndpoint") == []
    jobs = aws.client("sagemaker").list_training_jobs()["TrainingJobSummaries"]
    assert job not in [one["TrainingJobName"] for one in jobs]


@pytest.mark.parametrize(
    "role",
    [
        f"arn:aws:iam::{ACCOUNT}:role/administrator",
        f"arn:aws:iam::{ACCOUNT}:role/slipway-airflow",
        f"arn:aws:iam::{ACCOUNT}:role/slipway-cloudformation",
        f"arn:aws:iam::{ACCOUNT}:role/slipway-endpoint-iris-model",
        f"arn:aws:iam::{STRANGER}:role/slipway-training-iris-model",
    ],
)
def test_a_foreign_role_is_not_handed_over(aws, release, role):
    error, job, calls = release(RoleArn=role)
    assert "assumed-role/slipway-airflow/" in error
    assert f"is not authorized to perform: iam:PassRole on resource: {role}" in error
    check_nothing_was_made(aws, job, calls)


@pytest.mark.parametrize(
    ("bucket", "prefix"), [(THEIRS, "secrets/"), (BUCKET, "wine-model/input/train/"), (BUCKET, "releases/")]
)
def test_foreign_data_is_not_read(aws, release, bucket, prefix):
    error, job, calls = release(**{INPUT: f"s3://{bucket}/{prefix}"})
    assert f'the role "{TRAINING}" has "s3:ListBucket" permissions on bucket "{bucket}"' in error
    assert f'{AS_TRAINING} is not authorized to perform: s3:ListBucket on resource: "arn:aws:s3:::{bucket}"' in error
    check_nothing_was_made(aws, job, calls)


@pytest.mark.parametrize(
    ("bucket", "folder"),
    [(THEIRS, "x"), (BUCKET, "wine-model"), (BUCKET, "releases/iris-model"), (BUCKET, "templates")],
)
def test_nothing_is_written_to_foreign_places(aws, release, bucket, folder):
    """AWS finds out when the job uploads its artefact."""
    error, job, calls = release(**{OUTPUT: f"s3://{bucket}/{folder}"})
    assert "Artifact upload failed" in error
    place = f"{folder}/{job}/output/model.tar.gz"
    assert f'{AS_TRAINING} is not authorized to perform: s3:PutObject on resource: "arn:aws:s3:::{bucket}/' in error
    assert place in error
    assert made(calls, "CreateModel", "CreateModelPackage", "CreateEndpoint", "CreateMultipartUpload") == []
    found = aws.client("s3").list_object_versions(Bucket=bucket, Prefix=f"{folder}/{job}")
    assert "Versions" not in found


def test_a_strangers_image_is_not_run(aws, release):
    error, job, calls = release(**{IMAGE: f"{STRANGER}.dkr.ecr.{REGION}.amazonaws.com/sagemaker-xgboost:1.7-1"})
    assert (
        f"Access denied for repository: sagemaker-xgboost in registry ID: {STRANGER}. Please check if your ECR "
        f"repository and image exist and role {TRAINING} has proper pull permissions for SageMaker: "
        "ecr:BatchCheckLayerAvailability, ecr:BatchGetImage, ecr:GetDownloadUrlForLayer"
    ) in error
    check_nothing_was_made(aws, job, calls)


def test_a_tag_that_claims_another_model_starts_no_job(aws, release):
    """SageMaker refuses it, and not IAM: Slipway's own tag has the same key."""
    error, job, calls = release(Tags=[{"Key": "slipway:model-prefix", "Value": "wine-model"}])
    assert "Duplicate tag keys" in error
    check_nothing_was_made(aws, job, calls)
