"""Real training jobs, run by the compute without a local AWS's API."""

import io
import tarfile
from pathlib import Path

import pytest

from demo.training_job import HYPERPARAMETERS
from tests.local_aws.compute.support import (
    BUCKET,
    IMAGE,
    OLD_IMAGE,
    channel,
    csv,
    job,
    libsvm,
    rows,
    wait_until,
)

pytestmark = pytest.mark.local_aws

REGRESSION = {"objective": "reg:squarederror", "num_round": "20"}
ENDLESS = HYPERPARAMETERS | {"num_round": "100000000"}


@pytest.fixture(scope="module")
def s3(bucket):
    for key, text in {
        "clusters/train/a.csv": csv(rows(count=60)),
        "clusters/train/b.csv": csv(rows(count=30, seed=2)),
        "clusters/train/_SUCCESS": "",
        "clusters/train/": "",
        "clusters/validation/data.csv": csv(rows(count=30, seed=3)),
        "sparse/train/data.libsvm": libsvm(rows()),
        "sparse/validation/data.libsvm": libsvm(rows(seed=3)),
        "words/train/data.csv": "label,x,y\n1,2,3\n",
        "ragged/train/data.csv": "1,2,3\n0,1\n",
        "labels/train/data.csv": csv([(7, 1.0, 2.0), (0, 1.0, 2.0)]),
    }.items():
        bucket.put_object(Bucket=BUCKET, Key=key, Body=text.encode())
    return bucket


@pytest.fixture(scope="module")
def completed(compute):
    return compute.train(**job("completed"))


def members(s3, uri):
    body = s3.get_object(Bucket=BUCKET, Key=uri.removeprefix(f"s3://{BUCKET}/"))["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(body)) as archive:
        return archive.getnames()


def test_a_job_completes_with_its_artifact(completed, s3):
    assert completed["status"] == "Completed"
    assert completed["failure_reason"] is None
    assert completed["artifacts"] == f"s3://{BUCKET}/out/completed/output/model.tar.gz"
    assert members(s3, completed["artifacts"]) == ["xgboost-model"]


def test_a_job_passes_through_every_status(completed):
    assert completed["statuses"] == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    assert completed["messages"][2] == "Training image download completed. Training in progress."


def test_final_metrics_are_the_last_of_the_log(completed):
    assert set(completed["metrics"]) == {"train:merror", "validation:merror"}
    assert completed["metrics"]["validation:merror"] <= 0.1


def test_the_log_has_a_line_of_metrics_per_round(completed, local_aws):
    rounds = rounds_logged(local_aws, "completed")
    assert len(rounds) == int(HYPERPARAMETERS["num_round"])
    assert rounds[0].startswith("[0]#011train-merror:0.")
    assert "#011validation-merror:0." in rounds[-1]


def test_from_version_1_3_on_classification_is_judged_by_log_loss(compute):
    result = compute.train(**job("newer", image=IMAGE))
    assert set(result["metrics"]) == {"train:mlogloss", "validation:mlogloss"}


def test_several_metrics_and_early_stopping(compute):
    hyperparameters = HYPERPARAMETERS | {
        "num_round": "500",
        "eval_metric": "mlogloss,merror",
        "early_stopping_rounds": "2",
    }
    result = compute.train(**job("early", hyperparameters=hyperparameters))
    assert result["status"] == "Completed", result
    assert set(result["metrics"]) == {
        f"{channel}:{metric}" for channel in ("train", "validation") for metric in ("merror", "mlogloss")
    }


@pytest.mark.parametrize("content_type", ["text/libsvm", None])
def test_libsvm(compute, content_type):
    channels = [channel(name, f"sparse/{name}/", content_type) for name in ("train", "validation")]
    result = compute.train(**job(f"libsvm-{str(content_type)[:4]}", channels=channels))
    assert result["status"] == "Completed", result
    assert result["metrics"]["validation:merror"] <= 0.1


def test_regression_without_validation(compute):
    channels = [channel("train", "clusters/train")]
    result = compute.train(**job("regression", hyperparameters=REGRESSION, channels=channels))
    assert result["status"] == "Completed", result
    assert set(result["metrics"]) == {"train:rmse"}


def test_metric_definitions_of_the_request_are_read_too(compute):
    definitions = [["rounds", r"^\[([0-9]+)\]"], ["absent", "never (.*)"], ["words", "(matrix)"]]
    result = compute.train(**job("defined", metric_definitions=definitions))
    assert result["metrics"]["rounds"] == 29
    assert not {"absent", "words"} & set(result["metrics"])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"num_round": None}, "Missing required hyperparameter: num_round"),
        ({"num_class": None}, "Require input for parameter 'num_class' for multi-classification"),
        ({"num_round": "many"}, "Hyperparameter num_round: could not parse value"),
        ({"eta": "2"}, "Hyperparameter eta: 2.0 is not in [0, 1]"),
        ({"surprise": "1"}, "Extraneous hyperparameter found: surprise"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_wrong_hyperparameters_fail_the_job(compute, change, reason):
    hyperparameters = {name: value for name, value in (HYPERPARAMETERS | change).items() if value is not None}
    result = compute.train(**job("bad-hyperparameters", hyperparameters=hyperparameters))
    assert result["status"] == "Failed"
    assert result["failure_reason"].startswith(f"ClientError: {reason}")
    assert result["failure_reason"].endswith(", exit code: 1")
    assert result["statuses"] == ["Starting", "Downloading", "Training", "Failed"]
    assert result["artifacts"] is None


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("words/train", "'data.csv' cannot be read: could not convert string to float: 'label'"),
        ("ragged/train", "'data.csv' cannot be read"),
        ("labels/train", "label must be discrete values in the range of [0, num_class)"),
        ("nothing/here", "Data download failed:No S3 objects found under S3 URL"),
    ],
)
def test_wrong_data_fails_the_job(compute, key, reason):
    result = compute.train(**job("bad-data", channels=[channel("train", key)]))
    assert result["status"] == "Failed"
    assert result["failure_reason"].startswith("ClientError: ")
    assert reason in result["failure_reason"]


def test_a_job_needs_a_train_channel(compute):
    result = compute.train(**job("no-train", channels=[channel("validation", "clusters/validation")]))
    assert result["failure_reason"].startswith("ClientError: Missing required channel: train")


def test_a_channel_of_another_content_type_fails(compute):
    result = compute.train(**job("parquet", channels=[channel("train", "clusters/train", "application/x-parquet")]))
    assert "SageMaker's XGBoost takes application/x-parquet too" in result["failure_reason"]


@pytest.mark.parametrize("image", ["someone/else:latest", "123456789012.dkr.ecr.us-west-2.amazonaws.com/kmeans:1"])
def test_an_unknown_image_fails_the_job(compute, image):
    result = compute.train(**job("unknown-image", image=image))
    assert result["status"] == "Failed"
    assert result["statuses"] == ["Starting", "Failed"]
    assert result["failure_reason"].startswith("ClientError: Cannot pull algorithm container.")
    assert image in result["failure_reason"]


def test_an_output_that_cannot_be_written_fails_the_job(compute):
    result = compute.train(**job("no-output", s3_output_uri="s3://there-is-no-such-bucket/out"))
    assert result["status"] == "Failed"
    assert result["failure_reason"].startswith("ClientError: Artifact upload failed:")


def test_a_stopped_job_uploads_what_it_has(compute, s3, local_aws):
    hyperparameters = ENDLESS | {"save_model_on_termination": "true"}
    compute("train", spec=job("stopped", hyperparameters=hyperparameters))
    # The log can be read while the job runs.
    wait_until(lambda: rounds_logged(local_aws, "stopped"))
    # Nothing of the algorithm had to be loaded for it.
    ((_, pid),) = compute.containers()
    assert b"local_aws.compute.fork_parent" in Path(f"/proc/{pid}/cmdline").read_bytes()
    compute("stop_job", job_name="stopped")
    result = compute("result", job_name="stopped")
    assert result["status"] == "Stopped"
    assert result["failure_reason"] is None
    assert result["statuses"][-3:] == ["Stopping", "Uploading", "Stopped"]
    assert members(s3, result["artifacts"]) == ["xgboost-model"]


def rounds_logged(local_aws, name):
    """Return the rounds that a job's log shows so far."""
    logs = local_aws.client("logs")
    group = "/aws/sagemaker/TrainingJobs"
    try:
        streams = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=f"{name}/algo-1-")["logStreams"]
    except logs.exceptions.ResourceNotFoundException:
        return []
    if not streams:
        return []
    events = logs.get_log_events(
        logGroupName=group, logStreamName=streams[0]["logStreamName"], startFromHead=True, limit=100
    )["events"]
    return [event["message"] for event in events if event["message"].startswith("[")]


def test_a_job_that_runs_too_long_is_ended(compute):
    result = compute.train(**job("too-long", hyperparameters=ENDLESS, max_runtime_seconds=5))
    assert result["status"] == "MaxRuntimeExceeded"
    assert result["failure_reason"] is None
    assert result["statuses"][-2:] == ["Uploading", "MaxRuntimeExceeded"]


def test_jobs_leave_no_files_and_no_processes(compute):
    compute.train(**job("tidy", image=OLD_IMAGE, hyperparameters=REGRESSION))
    assert compute.containers() == []
    assert list((compute.state_dir / "training").rglob("tidy")) == []
