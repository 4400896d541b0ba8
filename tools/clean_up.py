"""Remove what Slipway's set-up made in an account, as an administrator, and list what is left.

`python -m tools.clean_up` does it in the AWS that the environment's AWS_* variables name. It comes last, after the DAG
teardown has removed each model's endpoints, and removes nothing while one of their stacks is there.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from slipway.command.stacks import ACCOUNT_STACK, IMAGES_STACK, LABS_STACK
from tools import models
from tools.settings import Settings

WAIT = {"Delay": 2, "MaxAttempts": 300}
JOB_LOGS = "/aws/sagemaker/TrainingJobs"
ENDPOINT_LOGS = "/aws/sagemaker/Endpoints/"
# endpoint.yaml tags what it makes.
TAG = "slipway:model-prefix"
# The stacks of CloudFormation's list that still exist.
# https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_ListStacks.html
_DELETED = "DELETE_COMPLETE"


class CleanUpError(Exception):
    """Something must be done first; the message says what."""


@dataclass(frozen=True)
class Account:
    """What Slipway made in one account and region.

    :param client: makes a client of a service
    :param prefixes: of the models that were released there
    """

    client: Callable[[str], Any]
    prefixes: tuple[str, ...]

    @property
    def bucket(self) -> str:
        sts = self.client("sts")
        return f"mlops-{sts.meta.region_name}-{sts.get_caller_identity()['Account']}"

    def is_ours(self, name: str) -> bool:
        """Return whether a name is of the set-up, of a model's release or of the labs."""
        return name.startswith(("slipway-", "lab-", *self.prefixes, *(f"mlops-{prefix}" for prefix in self.prefixes)))

    def named(self, service: str, operation: str, items: str, name: str, **arguments: Any) -> list[str]:
        """Return the names of what is ours in a listing."""
        pages = self.client(service).get_paginator(operation).paginate(**arguments)
        return [item[name] for page in pages for item in page[items] if self.is_ours(item[name])]

    def stacks(self) -> list[str]:
        pages = self.client("cloudformation").get_paginator("list_stacks").paginate()
        found = [one for page in pages for one in page["StackSummaries"] if one["StackStatus"] != _DELETED]
        deployments = tuple(f"mlops-deploy-{prefix}-" for prefix in self.prefixes)
        return [one["StackName"] for one in found if one["StackName"].startswith(("slipway-", *deployments))]

    def log_groups(self) -> list[str]:
        """Return the log groups of endpoints, and the one of training jobs while it has a log of ours."""
        pages = self.client("logs").get_paginator("describe_log_groups").paginate(logGroupNamePrefix=ENDPOINT_LOGS)
        groups = [group["logGroupName"] for page in pages for group in page["logGroups"]]
        ours = [group for group in groups if self.is_ours(group.removeprefix(ENDPOINT_LOGS))]
        return [*ours, *([JOB_LOGS] if self.job_logs() else [])]

    def job_logs(self) -> list[str]:
        """Return the log streams of our training jobs."""
        try:
            return self.named("logs", "describe_log_streams", "logStreams", "logStreamName", logGroupName=JOB_LOGS)
        except ClientError as error:
            if error.response["Error"]["Code"] == "ResourceNotFoundException":
                return []
            raise

    def objects(self) -> Iterator[list[dict[str, str]]]:
        """Yield all versions of all objects in the bucket, a page at a time; none where there is no bucket."""
        try:
            for page in self.client("s3").get_paginator("list_object_versions").paginate(Bucket=self.bucket):
                found = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
                yield [{"Key": item["Key"], "VersionId": item["VersionId"]} for item in found]
        except ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchBucket":
                raise

    def has_bucket(self) -> bool:
        buckets = self.client("s3").list_buckets()["Buckets"]
        return any(bucket["Name"] == self.bucket for bucket in buckets)

    def served(self, operation: str, kind: str) -> list[str]:
        """Return what a listing of SageMaker has of ours; CloudFormation chose most names, so their tag tells.

        :param kind: as in the answer's fields, such as Endpoint in EndpointName
        """
        sagemaker = self.client("sagemaker")
        found = [item for page in sagemaker.get_paginator(operation).paginate() for item in page[f"{kind}s"]]

        def is_tagged(arn: str) -> bool:
            return any(tag["Key"] == TAG for tag in sagemaker.list_tags(ResourceArn=arn)["Tags"])

        return [one[f"{kind}Name"] for one in found if self.is_ours(one[f"{kind}Name"]) or is_tagged(one[f"{kind}Arn"])]

    def left(self) -> dict[str, list[str]]:
        """Return the names of what is there, by kind."""
        groups = ("list_model_package_groups", "ModelPackageGroupSummaryList", "ModelPackageGroupName")
        return {
            "endpoints": self.served("list_endpoints", "Endpoint"),
            "endpoint configurations": self.served("list_endpoint_configs", "EndpointConfig"),
            "models": self.served("list_models", "Model"),
            "model package groups": self.named("sagemaker", *groups),
            "stacks": self.stacks(),
            "log groups": self.log_groups(),
            "bucket": [self.bucket] if self.has_bucket() else [],
        }


def clean_up(account: Account, *, data: bool) -> None:
    """Delete the set-up stacks, the logs and, on request, the bucket with everything in it.

    :param data: delete the bucket, which the stack keeps because it holds the data
    :raises CleanUpError: while a model is deployed
    """
    stacks = account.stacks()
    deployed = [stack for stack in stacks if stack.startswith("mlops-deploy-")]
    if deployed:
        raise CleanUpError(
            f"Nothing was removed, because these stacks serve a model: {', '.join(deployed)}. "
            "Trigger the DAG teardown for each model first"
        )
    cloudformation = account.client("cloudformation")
    # The roles of models are kept within boundaries of the account's stack and the images' one, which so come last.
    order = sorted(stacks, key=lambda stack: (stack in (ACCOUNT_STACK, IMAGES_STACK), stack != LABS_STACK))
    for stack in order:
        print(f"Deleting stack {stack}", flush=True)
        cloudformation.delete_stack(StackName=stack)
        cloudformation.get_waiter("stack_delete_complete").wait(StackName=stack, WaiterConfig=WAIT)
    _delete_logs(account)
    if data and account.has_bucket():
        _delete_bucket(account)


def _delete_logs(account: Account) -> None:
    """Delete the logs of our jobs and endpoints; those of others in the same group stay.

    https://docs.aws.amazon.com/sagemaker/latest/dg/logging-cloudwatch.html
    """
    logs = account.client("logs")
    for stream in account.job_logs():
        logs.delete_log_stream(logGroupName=JOB_LOGS, logStreamName=stream)
    for group in account.log_groups():
        logs.delete_log_group(logGroupName=group)


def _delete_bucket(account: Account) -> None:
    """Empty the bucket of all versions, and delete it.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/delete-bucket.html
    """
    print(f"Deleting bucket {account.bucket} with everything in it", flush=True)
    s3 = account.client("s3")
    for versions in account.objects():
        if versions:
            s3.delete_objects(Bucket=account.bucket, Delete={"Objects": versions, "Quiet": True})
    for upload in s3.list_multipart_uploads(Bucket=account.bucket).get("Uploads", []):
        s3.abort_multipart_upload(Bucket=account.bucket, Key=upload["Key"], UploadId=upload["UploadId"])
    s3.delete_bucket(Bucket=account.bucket)


def show(left: dict[str, list[str]]) -> bool:
    """Print what is left by kind, and return whether nothing is."""
    for kind, found in left.items():
        print(f"{kind:24} {len(found):3}  {', '.join(found)}".rstrip())
    return not any(left.values())


def main() -> int:
    """Clean up, or only look; the exit code is 0 when nothing is left."""
    import boto3

    def client(service: str) -> Any:
        return boto3.client(service)  # type: ignore[call-overload]  # its overloads list the services by literal name

    parser = argparse.ArgumentParser(prog="tools.clean_up", description=__doc__)
    parser.add_argument("--include", type=Path, default=Settings.from_environment().include_folder)
    parser.add_argument("--look", action="store_true", help="only list what is there")
    parser.add_argument("--data", action="store_true", help="also delete the bucket: data, zips, artefacts, reports")
    chosen = parser.parse_args()
    account = Account(client, tuple(models.read(chosen.include).prefixes))
    try:
        if not chosen.look:
            clean_up(account, data=chosen.data)
    except CleanUpError as error:
        print(error, file=sys.stderr)
        return 1
    return 0 if show(account.left()) else 1


if __name__ == "__main__":
    raise SystemExit(main())
