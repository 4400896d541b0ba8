"""Shared parts of the SageMaker tests: a small training set, models trained with it, and waits."""

import io
import random
import tarfile
import time
import uuid

import pytest
from botocore.exceptions import ClientError

BUCKET = "mlops-us-west-2-123456789012"
IMAGE = "246618743249.dkr.ecr.us-west-2.amazonaws.com/sagemaker-xgboost:1.7-1"
ROLE = "arn:aws:iam::123456789012:role/tests"
ROWS_PER_CLASS = 20
# One clear row of each class.
ROWS = {0: "0.0,0.1", 1: "5.0,5.1", 2: "10.0,9.9"}


def unique(prefix):
    """Return a name no other test uses."""
    return f"{prefix}-{uuid.uuid4().hex[:10]}"


def csv(label_shift=0, seed=7):
    """Write headerless CSV, label first: three clusters, their labels rotated."""
    noise = random.Random(seed)
    lines = []
    for _ in range(ROWS_PER_CLASS):
        for label in ROWS:
            x, y = (5.0 * label + noise.uniform(-1, 1) for _ in range(2))
            lines.append(f"{(label + label_shift) % len(ROWS)},{x:.3f},{y:.3f}")
    return "\n".join(lines) + "\n"


def upload(aws, prefix, label_shift=0):
    """Put a training and a validation set under a prefix of the bucket."""
    s3 = aws.client("s3")
    if BUCKET not in {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}:
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    s3.put_object(Bucket=BUCKET, Key=f"{prefix}/input/train/data.csv", Body=csv(label_shift).encode())
    s3.put_object(Bucket=BUCKET, Key=f"{prefix}/input/validation/data.csv", Body=csv(label_shift, seed=8).encode())


def training_request(name, prefix, **changes):
    """Return the parameters of a small real XGBoost training job."""
    return {
        "TrainingJobName": name,
        "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        "RoleArn": ROLE,
        "HyperParameters": {"objective": "multi:softmax", "num_class": "3", "num_round": "5", "eval_metric": "merror"},
        "InputDataConfig": [channel("train", prefix), channel("validation", prefix)],
        "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/{prefix}"},
        "ResourceConfig": {"InstanceType": "ml.m4.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 30},
        "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
    } | changes


def channel(name, prefix):
    """Return an input channel of CSV."""
    source = {
        "S3DataType": "S3Prefix",
        "S3Uri": f"s3://{BUCKET}/{prefix}/input/{name}",
        "S3DataDistributionType": "FullyReplicated",
    }
    return {
        "ChannelName": name,
        "DataSource": {"S3DataSource": source},
        "ContentType": "text/csv",
        "CompressionType": "None",
    }


def wait(look, *unwanted, timeout_seconds=180):
    """Wait until the status is not one of work in progress."""
    deadline = time.monotonic() + timeout_seconds
    while (seen := look()) in unwanted:
        assert time.monotonic() < deadline, f"still {seen} after {timeout_seconds} s"
        time.sleep(0.2)
    return seen


def wait_for_job(aws, name):
    """Wait for a training job's end and describe it."""
    sagemaker = aws.client("sagemaker")
    describe = lambda: sagemaker.describe_training_job(TrainingJobName=name)  # noqa: E731
    wait(lambda: describe()["TrainingJobStatus"], "InProgress", "Stopping")
    return describe()


def wait_for_endpoint(aws, name):
    """Wait until no change of an endpoint is in progress, and describe it."""
    sagemaker = aws.client("sagemaker")
    describe = lambda: sagemaker.describe_endpoint(EndpointName=name)  # noqa: E731
    wait(lambda: describe()["EndpointStatus"], "Creating", "Updating", "RollingBack", "Deleting")
    return describe()


def model_data(aws, label_shift=0):
    """Return the artifact of a trained model; trained once for each server."""
    prefix = f"shared-{label_shift}"
    name = f"shared-model-{label_shift}"
    sagemaker = aws.client("sagemaker")
    try:
        sagemaker.describe_training_job(TrainingJobName=name)
    except ClientError:
        upload(aws, prefix, label_shift)
        sagemaker.create_training_job(**training_request(name, prefix))
    job = wait_for_job(aws, name)
    assert job["TrainingJobStatus"] == "Completed", job
    return job["ModelArtifacts"]["S3ModelArtifacts"]


def lend_model_data(lender, aws, label_shift=0):
    """Copy the artifact of the one server's trained model to another server, and give its URL there."""
    bucket, _, key = model_data(lender, label_shift).removeprefix("s3://").partition("/")
    body = lender.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    upload(aws, "lent")
    aws.client("s3").put_object(Bucket=BUCKET, Key=f"lent/{label_shift}/model.tar.gz", Body=body)
    return f"s3://{BUCKET}/lent/{label_shift}/model.tar.gz"


def broken_model_data(aws):
    """Put an artifact that no XGBoost can load, and give its URL."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        content = b"this is no model"
        member = tarfile.TarInfo("xgboost-model")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    upload(aws, "broken")
    aws.client("s3").put_object(Bucket=BUCKET, Key="broken/model.tar.gz", Body=buffer.getvalue())
    return f"s3://{BUCKET}/broken/model.tar.gz"


def create_model(aws, url, **changes):
    """Create a model of an artifact with a unique name."""
    name = unique("model")
    aws.client("sagemaker").create_model(
        ModelName=name, PrimaryContainer={"Image": IMAGE, "ModelDataUrl": url}, ExecutionRoleArn=ROLE, **changes
    )
    return name


def variant(model_name, name="model-a", **changes):
    """Return a production variant."""
    return {
        "VariantName": name,
        "ModelName": model_name,
        "InitialInstanceCount": 1,
        "InstanceType": "ml.m4.xlarge",
    } | changes


def create_config(aws, *variants, **changes):
    """Create an endpoint configuration with a unique name."""
    name = unique("config")
    aws.client("sagemaker").create_endpoint_config(
        EndpointConfigName=name, ProductionVariants=list(variants), **changes
    )
    return name


def predict(aws, endpoint, row=ROWS[0], **changes):
    """Invoke an endpoint: the class it answers and the variant that answered."""
    answer = aws.client("sagemaker-runtime").invoke_endpoint(
        EndpointName=endpoint, Body=row, ContentType="text/csv", **changes
    )
    return int(float(answer["Body"].read().decode().strip().split(",")[0])), answer["InvokedProductionVariant"]


def refused(call, code, text):
    """Expect an AWS error by its code and a part of its text."""
    with pytest.raises(ClientError) as caught:
        call()
    error = caught.value.response["Error"]
    assert (error["Code"], text in error["Message"]) == (code, True), error
