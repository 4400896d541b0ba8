"""The set-up stack (bucket, topic, roles, Model Registry groups), deployed by CloudFormation like on any account.

`python -m tools.bootstrap_stack` deploys it to the AWS that the environment's AWS_* variables name.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError, WaiterError

from tools import models
from tools.settings import Settings

STACK_NAME = "slipway-bootstrap"
# Parameter of the template that lists the models.
PREFIXES_PARAMETER = "ModelPrefixes"
WAIT = {"Delay": 1, "MaxAttempts": 120}
# CloudFormation's words for a change set that would change nothing.
NO_CHANGES = ("didn't contain changes", "No updates are to be performed")


class StackError(Exception):
    """The set-up stack could not be deployed; the message has CloudFormation's reason."""


def deploy(cloudformation: Any, include: Path) -> None:
    """Creates or updates the stack by a change set, as `aws cloudformation deploy` does.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-updating-stacks-changesets.html

    :param cloudformation: a client of the account and region
    :param include: the folder with cfn/bootstrap.yaml and the model files
    :raises StackError: with the reason of the first resource that failed.
    """
    try:
        status = _status(cloudformation)
        if status == "ROLLBACK_COMPLETE":  # a creation that failed can only be deleted
            cloudformation.delete_stack(StackName=STACK_NAME)
            cloudformation.get_waiter("stack_delete_complete").wait(StackName=STACK_NAME, WaiterConfig=WAIT)
            status = None
        kind = "CREATE" if status in (None, "REVIEW_IN_PROGRESS") else "UPDATE"
        if _create_change_set(cloudformation, include, kind, name := f"up-{time.time_ns()}"):
            cloudformation.execute_change_set(StackName=STACK_NAME, ChangeSetName=name)
            waiter = cloudformation.get_waiter(f"stack_{kind.lower()}_complete")
            waiter.wait(StackName=STACK_NAME, WaiterConfig=WAIT)
    except (ClientError, WaiterError) as error:
        raise StackError(f"Stack {STACK_NAME} could not be deployed: {_reason(cloudformation) or error}") from error


def _status(cloudformation: Any) -> str | None:
    try:
        status: str = cloudformation.describe_stacks(StackName=STACK_NAME)["Stacks"][0]["StackStatus"]
    except ClientError as error:
        if "does not exist" in str(error):
            return None
        raise
    return status


def _create_change_set(cloudformation: Any, include: Path, kind: str, name: str) -> bool:
    """Returns whether there is something to execute; an empty change set is deleted again."""
    # A model that came later has its group from its first release; a stack cannot create what exists.
    prefixes: dict[str, Any] = {"UsePreviousValue": True}
    if kind == "CREATE":
        prefixes = {"ParameterValue": ",".join(models.read(include).prefixes)}
    cloudformation.create_change_set(
        StackName=STACK_NAME,
        ChangeSetName=name,
        ChangeSetType=kind,
        TemplateBody=(include / "cfn" / "bootstrap.yaml").read_text(),
        Parameters=[{"ParameterKey": PREFIXES_PARAMETER, **prefixes}],
        Capabilities=["CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],
    )
    try:
        waiter = cloudformation.get_waiter("change_set_create_complete")
        waiter.wait(StackName=STACK_NAME, ChangeSetName=name, WaiterConfig=WAIT)
    except WaiterError:
        made = cloudformation.describe_change_set(StackName=STACK_NAME, ChangeSetName=name)
        if not any(text in made.get("StatusReason", "") for text in NO_CHANGES):
            raise
        cloudformation.delete_change_set(StackName=STACK_NAME, ChangeSetName=name)
        return False
    return True


def _reason(cloudformation: Any) -> str | None:
    """Why the first resource failed in the stack's last operation."""
    try:
        events = cloudformation.describe_stack_events(StackName=STACK_NAME)["StackEvents"]
    except ClientError:
        return None
    failed = [event for event in events if event["ResourceStatus"].endswith("_FAILED")]
    if not failed:
        return None
    return f"{failed[-1]['LogicalResourceId']}: {failed[-1].get('ResourceStatusReason', 'no reason given')}"


def main() -> int:
    """Entry point for an AWS other than that of `make up`."""
    import boto3

    parser = argparse.ArgumentParser(prog="tools.bootstrap_stack", description=__doc__)
    parser.add_argument("--include", type=Path, default=Settings.from_environment().include_folder)
    try:
        deploy(boto3.client("cloudformation"), parser.parse_args().include)
    except StackError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"Stack {STACK_NAME} is deployed.")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
