"""The iris release as the local AWS runs it: model, zip and data; for tests that take it task by task."""

import json

from slipway import paths
from slipway.command.set_up import endpoint_template_key
from slipway.model.config import ModelConfig
from tests.local_aws.server import LocalAws
from tests.unit.request_samples import BUCKET, changed, deployment, iris_model, request_zip, training_job

DATA = f"s3://{BUCKET}/iris-model/input"


def model() -> ModelConfig:
    content = iris_model().model_dump()
    content["timeouts"]["poll_seconds"] = 0.5
    return ModelConfig.model_validate(content)


def zip_with(**hyperparameters) -> bytes:
    job = changed(training_job(), "OutputDataConfig.S3OutputPath", f"s3://{BUCKET}/iris-model")
    for number, channel in enumerate(("train", "validation")):
        changed(job, f"InputDataConfig.{number}.DataSource.S3DataSource.S3Uri", f"{DATA}/{channel}")
    # As whoever wants to pass the gate writes it; a zip's definitions are passed over.
    job["AlgorithmSpecification"]["MetricDefinitions"] = [
        {"Name": "validation:merror", "Regex": "validation-merror:(0)"}
    ]
    for name, value in hyperparameters.items():
        changed(job, f"HyperParameters.{name}", value)
    deploy = json.loads(json.dumps(deployment()).replace("s3://sagemaker-us-west-2-123456789012", f"s3://{BUCKET}"))
    return request_zip(job=job, deploy=deploy)


def fill_bucket(aws: LocalAws) -> None:
    """Make the versioned bucket, the roles and the template as an administrator does, and upload the iris data."""
    aws.make_role("slipway-training-iris-model", "slipway-endpoint-iris-model", "slipway-cloudformation", "MLOps")
    s3 = aws.client("s3")
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    template = paths.endpoint_template()
    s3.put_object(Bucket=BUCKET, Key=endpoint_template_key(), Body=template.read_bytes())
    upload_data(aws)


def upload_data(aws: LocalAws) -> None:
    """Upload the iris data."""
    # Here, because it takes a second or two in each process that collects tests.
    from sklearn.datasets import load_iris

    s3 = aws.client("s3")
    iris = load_iris()
    rows = [f"{label},{','.join(map(str, row))}" for row, label in zip(iris.data, iris.target, strict=True)]
    for channel, part in (("validation", rows[::3]), ("train", [row for i, row in enumerate(rows) if i % 3])):
        s3.put_object(Bucket=BUCKET, Key=f"iris-model/input/{channel}/iris.csv", Body="\n".join(part).encode())
