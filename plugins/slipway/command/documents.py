"""What `init` writes: a model file, and the two documents of a zip."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

from slipway.command.tabular import Prepared
from slipway.names import ACCOUNT_BUCKET


@dataclass(frozen=True)
class Plan:
    """What somebody wants to release.

    :param prefix: the model's name
    :param image: the URI of AWS's XGBoost
    :param data: the prepared table; None without one
    :param objective: XGBoost's
    :param bucket: the bucket's name
    :param bucket_text: the same as the model file has it, with placeholders
    """

    prefix: str
    image: str
    data: Prepared | None
    objective: str
    bucket: str
    bucket_text: str
    approvers: list[str]
    instance_type: str

    @property
    def is_regression(self) -> bool:
        """Whether the model answers a number and no class."""
        return not self.objective.startswith(("binary:", "multi:", "reg:logistic"))

    @property
    def eval_metric(self) -> str:
        """The metric that training reports for the held-out rows."""
        return "rmse" if self.is_regression else "merror" if self.objective.startswith("multi:") else "error"

    def address(self, place: str) -> str:
        """Return the S3 URI of something of the model's."""
        return f"s3://{self.bucket}/{self.prefix}/{place}"


def training_job(plan: Plan) -> dict[str, Any]:
    """Return trainingjob.json: parameters of CreateTrainingJob. The role is the model file's.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateTrainingJob.html
    """
    given = {"objective": plan.objective, "num_round": "50", "max_depth": "5", "eta": "0.3"}
    if plan.objective.startswith("multi:"):
        given["num_class"] = str(len(plan.data.classes) if plan.data else 3)
    return {
        "AlgorithmSpecification": {"TrainingImage": plan.image, "TrainingInputMode": "File"},
        "HyperParameters": {**given, "eval_metric": plan.eval_metric},
        "InputDataConfig": [_channel(name, plan) for name in ("train", "validation")],
        "OutputDataConfig": {"S3OutputPath": f"s3://{plan.bucket}/{plan.prefix}"},
        "ResourceConfig": {"InstanceCount": 1, "InstanceType": plan.instance_type, "VolumeSizeInGB": 10},
        "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
    }


def deployment(plan: Plan) -> dict[str, Any]:
    """Return deployment.json: the two endpoints."""
    scaling = {
        "MinCapacity": 1,
        "MaxCapacity": 2,
        "TargetValue": 200.0,
        "ScaleInCooldown": 300,
        "ScaleOutCooldown": 60,
        "PredefinedMetricType": "SageMakerVariantInvocationsPerInstance",
    }
    return {
        "EndpointPrefix": plan.prefix,
        "DevelopmentEndpoint": _endpoint("dev", plan) | {"AutoScaling": None},
        "ProductionEndpoint": _endpoint("prd", plan) | {"AutoScaling": scaling},
    }


def _channel(name: str, plan: Plan) -> dict[str, Any]:
    source = {
        "S3DataType": "S3Prefix",
        "S3Uri": plan.address(f"input/{name}/"),
        "S3DataDistributionType": "FullyReplicated",
    }
    return {"ChannelName": name, "ContentType": "text/csv", "DataSource": {"S3DataSource": source}}


def _endpoint(environment: str, plan: Plan) -> dict[str, Any]:
    return {
        "ABTests": False,
        "InferenceMonitoring": True,
        "InferenceMonitoringSampling": 100,
        "InferenceMonitoringOutputBucket": plan.address(f"monitoring/{environment}"),
        "InstanceType": plan.instance_type,
        "InitialInstanceCount": 1,
    }


def images_of(plan: Plan) -> str:
    """Return the lines of the model file that allow AWS's XGBoost."""
    return f"""  images:
    - {plan.image.partition(":")[0]}:*
    - algorithm: xgboost # AWS's own in other regions
"""


def gate_of(plan: Plan) -> str:
    """Return the gate on the metric that XGBoost reports."""
    bound = (plan.data.spread if plan.data else 1.0) if plan.is_regression else 1 - accuracy_of(plan)
    return f"  - metric: validation:{plan.eval_metric}\n    maximum: {bound:.4g}\n"


def accuracy_of(plan: Plan) -> float:
    """Return what always answering the most frequent class has, or what is good enough."""
    return math.floor(plan.data.most_frequent * 1000) / 1000 if plan.data else 0.8


def model_file(plan: Plan) -> str:
    """Return the model file. Account and region are placeholders, so that it fits every account."""
    data, approvers = plan.data, ", ".join(json.dumps(name, ensure_ascii=False) for name in plan.approvers)
    source = "" if plan.bucket_text == ACCOUNT_BUCKET else f"\nsource:\n  bucket: {plan.bucket_text}\n"
    if plan.is_regression:
        bound, why = (data.spread, "what always answering the mean has") if data else (1.0, "what is good enough")
        test, champion = f"rmse_maximum: {bound:.4g} # {why}", ""
    else:
        why = "what always answering the most frequent class has" if data else "what is good enough"
        test = f"accuracy_minimum: {accuracy_of(plan):g} # {why}"
        champion = "\n# The live model answers the same rows.\nchampion:\n  not_worse_than: 0.05 # in accuracy\n"
    return f"""# One such file is one pipeline; docs/model-file.md explains every field.
# {{region}} and {{account}} are those of the AWS connection, filled in when a task runs.

prefix: {plan.prefix}
description: Made by slipway init.
{source}
# What a zip may ask for. Everything else is refused before anything is started.
policy:
{images_of(plan)}  s3_prefixes:
    - s3://{plan.bucket_text}/{plan.prefix}/
  instance_types: [{plan.instance_type}]
  training:
    max_runtime_seconds: 7200
    max_volume_gb: 30
  endpoint:
    max_instance_count: 2

# The release stops unless the training job's last metrics keep these bounds.
gates:
{gate_of(plan)}
# After each deployment the endpoint answers these rows, the label first.
test:
  data: s3://{plan.bucket_text}/{plan.prefix}/input/validation/
  {test}
{champion}
approval:
  approvers: [{approvers}]

# Load for its endpoints: slipway stress.
stress:
  allowed: true
"""
