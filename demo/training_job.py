"""Build trainingjob.zip: the two documents that a team uploads to release a model."""

from __future__ import annotations

import argparse
import io
import json
import zipfile
from pathlib import Path
from typing import Any

from tools.settings import ACCOUNT, REGION

# SageMaker's built-in XGBoost 1.0-1 in us-west-2:
# https://docs.aws.amazon.com/sagemaker/latest/dg-ecr-paths/ecr-us-west-2.html
XGBOOST_IMAGE = "246618743249.dkr.ecr.us-west-2.amazonaws.com/sagemaker-xgboost:1.0-1-cpu-py3"
# From the tuning of the MLU lab; SageMaker takes every hyperparameter as text.
HYPERPARAMETERS = {
    "alpha": "0.42495142279951414",
    "eta": "0.4307531922567607",
    "gamma": "1.8028358018081714",
    "max_depth": "10",
    "min_child_weight": "5.925133573560345",
    "num_class": "3",
    "num_round": "30",
    "objective": "multi:softmax",
    "reg_lambda": "10",
    "silent": "0",
}
# With a fixed time, the same documents give the same bytes.
ZIP_TIME = (2020, 1, 1, 0, 0, 0)


def training_job(
    prefix: str, bucket: str, hyperparameters: dict[str, str], image: str = XGBOOST_IMAGE
) -> dict[str, Any]:
    """Return the parameters of CreateTrainingJob.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateTrainingJob.html

    :param prefix: the model's prefix
    :param bucket: the bucket of the data and of the trained model
    :param image: the container image
    """
    return {
        "AlgorithmSpecification": {"TrainingImage": image, "TrainingInputMode": "File"},
        "RoleArn": f"arn:aws:iam::{ACCOUNT}:role/slipway-training-{prefix}",
        "OutputDataConfig": {"S3OutputPath": f"s3://{bucket}/{prefix}"},
        "ResourceConfig": {"InstanceCount": 1, "InstanceType": "ml.m4.xlarge", "VolumeSizeInGB": 30},
        "HyperParameters": hyperparameters,
        "StoppingCondition": {"MaxRuntimeInSeconds": 360000},
        "InputDataConfig": [_channel(name, prefix, bucket) for name in ("train", "validation")],
        "Tags": [],
    }


def _channel(name: str, prefix: str, bucket: str) -> dict[str, Any]:
    source = {
        "S3DataType": "S3Prefix",
        "S3Uri": f"s3://{bucket}/{prefix}/input/{name}",
        "S3DataDistributionType": "FullyReplicated",
    }
    return {
        "ChannelName": name,
        "DataSource": {"S3DataSource": source},
        "ContentType": "text/csv",
        "CompressionType": "None",
    }


def deployment(prefix: str, bucket: str) -> dict[str, Any]:
    """Return the two endpoints: production also has scaling and a trial beside the live model."""
    scaling = {
        "MinCapacity": 1,
        "MaxCapacity": 10,
        "TargetValue": 200.0,
        "ScaleInCooldown": 30,
        "ScaleOutCooldown": 60,
        "PredefinedMetricType": "SageMakerVariantInvocationsPerInstance",
    }
    production = {"ABTests": True, "InitialVariantWeight": 0.1, "AutoScaling": scaling}
    return {
        "EndpointPrefix": prefix,
        "DevelopmentEndpoint": _endpoint("dev", prefix, bucket) | {"ABTests": False, "AutoScaling": None},
        "ProductionEndpoint": _endpoint("prd", prefix, bucket) | production,
    }


def _endpoint(environment: str, prefix: str, bucket: str) -> dict[str, Any]:
    return {
        "InferenceMonitoring": True,
        "InferenceMonitoringSampling": 100,
        "InferenceMonitoringOutputBucket": f"s3://{bucket}/{prefix}/monitoring/{environment}",
        "InstanceType": "ml.m4.xlarge",
        "InitialInstanceCount": 1,
    }


def pack(job: dict[str, Any], endpoints: dict[str, Any]) -> bytes:
    """Zip the two documents; the same documents give the same bytes."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, document in (("trainingjob.json", job), ("deployment.json", endpoints)):
            member = zipfile.ZipInfo(name, ZIP_TIME)
            member.external_attr = 0o644 << 16
            archive.writestr(member, json.dumps(document, indent=2))
    return stream.getvalue()


def build(prefix: str, bucket: str, hyperparameters: dict[str, str] | None = None, image: str = XGBOOST_IMAGE) -> bytes:
    """Return the demo's trainingjob.zip.

    :param hyperparameters: changes to the lab's of XGBoost; for another image, all of them
    :param image: the container image
    """
    lab = HYPERPARAMETERS if image == XGBOOST_IMAGE else {}
    job = training_job(prefix, bucket, lab | (hyperparameters or {}), image)
    return pack(job, deployment(prefix, bucket))


def main() -> None:
    """Write a zip to edit and upload by hand: python -m demo.training_job --prefix iris-model trainingjob.zip"""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prefix", default="iris-model")
    parser.add_argument("--bucket", default=f"mlops-{REGION}-{ACCOUNT}")
    parser.add_argument("file", type=Path)
    arguments = parser.parse_args()
    arguments.file.write_bytes(build(arguments.prefix, arguments.bucket))


if __name__ == "__main__":
    main()
