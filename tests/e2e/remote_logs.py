"""Logs in S3: what a trigger wrote, and what the task keeps of it where Airflow removes it."""

from __future__ import annotations

import json

import pytest

from demo import training_job, upload
from tests.instance import SHORT_PATIENCE, Instance
from tools.environment import OPTION_PREFIX
from tools.settings import AIRFLOW_ROLE, REGION

pytestmark = pytest.mark.e2e

BUCKET = "airflow-logs"
ROUNDS = 60
# What docs/aws-account.md says that Airflow's role needs.
POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": AIRFLOW_ROLE}, "Action": actions, "Resource": resource}
        for actions, resource in [
            ("s3:ListBucket", f"arn:aws:s3:::{BUCKET}"),
            (["s3:GetObject", "s3:PutObject"], f"arn:aws:s3:::{BUCKET}/logs/*"),
        ]
    ],
}


def remote_logging(delete_local_logs: str = "False") -> dict[str, str]:
    """The variables of an instance whose Airflow keeps its logs in S3."""
    return {
        f"{OPTION_PREFIX}LOGGING__REMOTE_LOGGING": "True",
        f"{OPTION_PREFIX}LOGGING__REMOTE_BASE_LOG_FOLDER": f"s3://{BUCKET}/logs",
        f"{OPTION_PREFIX}LOGGING__REMOTE_LOG_CONN_ID": "aws_default",
        f"{OPTION_PREFIX}LOGGING__DELETE_LOCAL_LOGS": delete_local_logs,
    }


def keep_logs(instance: Instance) -> None:
    """Makes the bucket of the logs."""
    s3 = instance.client("s3")
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps(POLICY))


@pytest.fixture(scope="module", params=["False", "True"], ids=["copies stay", "copies are deleted"])
def logging_slipway(request, tmp_path_factory, free_ports):
    """An instance whose Airflow keeps its logs in S3; its own copies stay or are deleted."""
    remote = remote_logging(request.param)
    instance = Instance.in_folder(tmp_path_factory.mktemp("logs"), free_ports(2), SHORT_PATIENCE | remote)
    try:
        instance.services("up")
        keep_logs(instance)
        yield instance
    finally:
        instance.services("down")


def test_a_training_log_stays_readable_when_its_task_has_ended(logging_slipway):
    check_training_log(logging_slipway)


def check_training_log(slipway: Instance) -> None:
    upload.upload_data(slipway.settings, "iris-model", "iris")
    body = training_job.build("iris-model", slipway.settings.bucket, {"num_round": str(ROUNDS)})
    run_id = slipway.release("iris-model", body)
    slipway.wait_task("iris-model", run_id, "train", "success")
    # Airflow uploads what the task wrote after it has ended.
    end = f"[{ROUNDS - 1}]#011train-merror"
    slipway.wait("the end of the training log", lambda: end in slipway.log("iris-model", run_id, "train"))
    log = slipway.log("iris-model", run_id, "train")
    assert f"s3://{BUCKET}/logs/" in log
    job = slipway.api().xcom("iris-model", run_id, "process_request")["training_job_name"]
    assert f"group /aws/sagemaker/TrainingJobs, streams {job}/" in log
