"""A real release to development, watched by what AWS shows; production is approved by nobody here.

Airflow has to run, with the model's DAG unpaused. The script uploads the demo's data and zip; after that it only looks.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from demo import datasets, training_job
from tools.verify_aws.account import Account, NotAllowedError
from tools.verify_aws.findings import Finding, compare, differs, same
from tools.verify_aws.stacks import GOOD, described, template_of

OPERATIONS = frozenset({"PutObject"})
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_SecondaryStatusTransition.html
STATUSES = ["Starting", "Downloading", "Training", "Uploading", "Completed"]
_PASSING = frozenset({"Pending", "LaunchingMLInstances", "PreparingTrainingStack", "DownloadingTrainingImage"})
PLAN = """This releases the demo's model as {prefix} to development, in account {account}, region {region}:
- uploads 100 rows for training and 50 held-out rows to s3://{bucket}/{prefix}/input/, and the zip to {key};
- Airflow, which has to run, trains on one ml.m4.xlarge for minutes (0.24 USD an hour) and registers a model package;
- it makes the endpoint {prefix}-development on one ml.m4.xlarge: 0.24 USD an hour until somebody removes it;
- nothing is approved: answer the approval with Reject, and trigger the DAG teardown when you are done.
Prices: https://aws.amazon.com/sagemaker/pricing/. The details: docs/costs.md."""


@dataclass
class Patience:
    """How long things are waited for.

    :param sleep: waits between two looks
    """

    notice_seconds: float = 900.0
    seconds: float = 5400.0
    pause_seconds: float = 15.0
    sleep: Callable[[float], object] = field(default=time.sleep)

    def until(self, look: Callable[[], Any], seconds: float) -> Any:
        """Look until there is something; return None when time is up."""
        deadline = time.monotonic() + seconds
        while not (found := look()) and time.monotonic() < deadline:
            self.sleep(self.pause_seconds)
        return found


def checks(
    account: Account,
    prefix: str,
    write: Callable[[str], object],
    read: Callable[[str], str],
    patience: Patience | None = None,
) -> Iterator[Finding]:
    """Release the demo's model to development and compare what AWS shows.

    :param write: prints a line
    :param read: asks the person and returns the answer
    :raises NotAllowedError: when the model is unknown or has other data, or the person does not type its name
    """
    patience = patience or Patience()
    _check_model(account, prefix)
    key = f"training_jobs/{prefix}/trainingjob.zip"
    write(PLAN.format(prefix=prefix, account=account.id, region=account.region, bucket=account.bucket, key=key))
    if read(f"Type {prefix} to go on: ").strip() != prefix:
        raise NotAllowedError("The name was not typed. Nothing was uploaded")
    begun = datetime.now(UTC)
    _upload(account, prefix, key)
    job = patience.until(lambda: _job(account, prefix, begun), patience.notice_seconds)
    if not job:
        yield differs("Airflow starts a training job for the upload", "a job", "none", "is the DAG unpaused?")
        return
    yield same("Airflow starts a training job for the upload", _since(begun))
    yield from _trained(account, job, patience)
    yield from _registered(account, prefix, begun, patience)
    yield from _deployed(account, prefix, begun, patience)
    write(
        f"Production is as it was. Reject the release in Airflow, and trigger teardown of {prefix} when you are done."
    )


def _since(begun: datetime) -> str:
    return f"after {(datetime.now(UTC) - begun).total_seconds():.0f} s"


def _check_model(account: Account, prefix: str) -> None:
    if prefix not in account.prefixes:
        raise NotAllowedError(f"No valid model file has the prefix {prefix}; there are {', '.join(account.prefixes)}")
    pages = account.client("s3").get_paginator("list_objects_v2")
    found = pages.paginate(Bucket=account.bucket, Prefix=f"{prefix}/input/")
    keys = {item["Key"] for page in found for item in page.get("Contents", [])}
    others = sorted(keys - {_data_key(prefix, channel) for channel in ("train", "validation")})
    if others:
        raise NotAllowedError(f"{prefix} has data of its own ({others[0]}); choose a model that has none")


def _data_key(prefix: str, channel: str) -> str:
    return f"{prefix}/input/{channel}/iris.csv"


def _upload(account: Account, prefix: str, key: str) -> None:
    s3, split = account.client("s3"), datasets.load("iris")
    for channel, rows in (("train", split.train), ("validation", split.held_out)):
        body = datasets.to_csv(rows)
        s3.put_object(Bucket=account.bucket, Key=_data_key(prefix, channel), Body=body, ContentType="text/csv")
    template = template_of(account, f"slipway-model-{prefix}")
    registry = template.value({"Fn::FindInMap": ["AlgorithmRegistries", account.region, "Account"]})
    _, _, image = training_job.XGBOOST_IMAGE.partition("/")
    job = training_job.training_job(prefix, account.bucket, training_job.HYPERPARAMETERS)
    job["AlgorithmSpecification"]["TrainingImage"] = f"{registry}.dkr.ecr.{account.region}.{account.domain}/{image}"
    job["RoleArn"] = account.arn("iam", f"role/slipway-training-{prefix}")
    body = training_job.pack(job, training_job.deployment(prefix, account.bucket))
    s3.put_object(Bucket=account.bucket, Key=key, Body=body, Metadata={"uploaded-by": "verify-aws"})


def _job(account: Account, prefix: str, begun: datetime) -> str | None:
    """Return the name of the newest training job of the model since the upload."""
    answer = account.client("sagemaker").list_training_jobs(
        NameContains=f"mlops-{prefix}-", CreationTimeAfter=begun, SortBy="CreationTime", SortOrder="Descending"
    )
    names = [one["TrainingJobName"] for one in answer["TrainingJobSummaries"]]
    return names[0] if names else None


def _trained(account: Account, job: str, patience: Patience) -> Iterator[Finding]:
    sagemaker = account.client("sagemaker")

    def ended() -> dict[str, Any] | None:
        found: dict[str, Any] = sagemaker.describe_training_job(TrainingJobName=job)
        return found if found["TrainingJobStatus"] in ("Completed", "Failed", "Stopped") else None

    found = patience.until(ended, patience.seconds)
    if not found:
        yield differs("the training job ends", "Completed", f"nothing in {patience.seconds:.0f} s")
        return
    transitions = found.get("SecondaryStatusTransitions", [])
    passed = [one["Status"] for one in transitions if one["Status"] not in _PASSING]
    yield compare("the statuses of the training job", STATUSES, lambda: passed)
    yield same("the seconds in each status", ", ".join(_durations(transitions)))
    metrics = sorted(one["MetricName"] for one in found.get("FinalMetricDataList", []))
    yield compare("the final metrics of the training job", ["train:merror", "validation:merror"], lambda: metrics)
    tags = {tag["Key"] for tag in sagemaker.list_tags(ResourceArn=found["TrainingJobArn"])["Tags"]}
    yield compare("the training job carries the model's tag", True, lambda: "slipway:model-prefix" in tags)

    def stream() -> bool:
        answer = account.client("logs").describe_log_streams(
            logGroupName="/aws/sagemaker/TrainingJobs", logStreamNamePrefix=f"{job}/"
        )
        return any(one["logStreamName"].startswith(f"{job}/algo-1-") for one in answer["logStreams"])

    yield compare("the log of the training job has the name algo-1-…", True, stream)


def _durations(transitions: list[dict[str, Any]]) -> Iterator[str]:
    for one in transitions:
        if "EndTime" in one:
            yield f"{one['Status']} {(one['EndTime'] - one['StartTime']).total_seconds():.0f}"


def _registered(account: Account, prefix: str, begun: datetime, patience: Patience) -> Iterator[Finding]:
    def package() -> str | None:
        answer = account.client("sagemaker").list_model_packages(
            ModelPackageGroupName=f"mlops-{prefix}", CreationTimeAfter=begun
        )
        found = [one["ModelPackageArn"] for one in answer["ModelPackageSummaryList"]]
        return found[0] if found else None

    arn = patience.until(lambda: _or_none(package), patience.notice_seconds)
    if not arn:
        yield differs("the model is registered", "a model package", "none", "look at the release in Airflow")
        return
    found = account.client("sagemaker").describe_model_package(ModelPackageName=arn)
    yield same("the model is registered", _since(begun))
    yield compare("the package waits for its approval", "PendingManualApproval", lambda: found["ModelApprovalStatus"])
    # An approval counts by the identity in LastModifiedBy: docs/approval.md.
    identity = (found.get("CreatedBy") or {}).get("IamIdentity", {}).get("Arn", "no identity")
    check = "SageMaker names who made the package"
    yield compare(check, True, lambda: ":assumed-role/slipway-airflow/" in identity)


def _deployed(account: Account, prefix: str, begun: datetime, patience: Patience) -> Iterator[Finding]:
    name = f"mlops-deploy-{prefix}-dev"

    def settled() -> dict[str, Any] | None:
        stack = described(account, name)
        changed = stack.get("LastUpdatedTime") or stack["CreationTime"]
        return stack if changed >= begun and not stack["StackStatus"].endswith("_IN_PROGRESS") else None

    stack = patience.until(lambda: _or_none(settled), patience.seconds)
    if not stack:
        yield differs("the development stack is deployed", " or ".join(GOOD), "no change", _since(begun))
        return
    status = stack["StackStatus"]
    check = "the development stack is deployed"
    yield same(check, _since(begun)) if status in GOOD else differs(check, " or ".join(GOOD), status)
    role = account.arn("iam", "role/slipway-cloudformation")
    check = "CloudFormation deploys as its own role"
    yield compare(check, role, lambda: stack.get("RoleARN", "none"))
    endpoint = {item["ParameterKey"]: item["ParameterValue"] for item in stack["Parameters"]}["EndpointName"]
    sagemaker = account.client("sagemaker")
    yield compare(
        "the development endpoint serves",
        "InService",
        lambda: sagemaker.describe_endpoint(EndpointName=endpoint)["EndpointStatus"],
    )


def _or_none(look: Callable[[], Any]) -> Any:
    """Return None where there is nothing to look at yet."""
    try:
        return look()
    except ClientError as error:
        if any(text in str(error) for text in ("does not exist", "not found", "Could not find")):
            return None
        raise
