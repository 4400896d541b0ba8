"""Change sets that are made, looked at and deleted, and drift that is detected; nothing is executed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError, WaiterError

from slipway.command.stacks import ACCOUNT_STACK, NO_CHANGES
from tools.verify_aws.account import Account
from tools.verify_aws.findings import Finding, cannot_tell, differs, refusal, same, unanswered
from tools.verify_aws.stacks import READABLE, parameters

OPERATIONS = frozenset({"CreateChangeSet", "DeleteChangeSet", "DetectStackDrift"})
_DRIFT_SECONDS = 600.0
_WAIT = {"Delay": 1, "MaxAttempts": 120}


def checks(account: Account) -> Iterator[Finding]:
    """Make change sets of the account's stack without changes, and detect the drift of the endpoints' stacks."""
    for mode in ("", "REVERT_DRIFT"):
        yield _empty(account, mode)
    for prefix in account.prefixes:
        for stage in ("dev", "prd"):
            yield _drift(account, f"mlops-deploy-{prefix}-{stage}")


def _empty(account: Account, mode: str) -> Finding:
    """An empty change set fails with a text that Slipway takes for success.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/drift-aware-change-sets.html
    """
    check = f"an empty change set of {ACCOUNT_STACK}" + (f" in the mode {mode}" if mode else "")
    stacks, name = account.client("cloudformation"), f"verify-{time.time_ns()}"
    where = {"StackName": ACCOUNT_STACK, "ChangeSetName": name}
    try:
        known = parameters(account, ACCOUNT_STACK)
        stacks.create_change_set(
            **where,
            ChangeSetType="UPDATE",
            UsePreviousTemplate=True,
            Parameters=[{"ParameterKey": key, "UsePreviousValue": True} for key in known],
            Capabilities=["CAPABILITY_NAMED_IAM"],
            **({"DeploymentMode": mode} if mode else {}),
        )
    except (ClientError, BotoCoreError) as error:
        reason = unanswered(error)
        return cannot_tell(check, reason) if reason else differs(check, "a change set", refusal(error))
    try:
        return _reason(check, stacks, where)
    finally:
        stacks.delete_change_set(**where)


def _reason(check: str, stacks: Any, where: dict[str, str]) -> Finding:
    try:
        stacks.get_waiter("change_set_create_complete").wait(**where, WaiterConfig=_WAIT)
    except WaiterError:
        found = stacks.describe_change_set(**where)
        said = f"{found['Status']}: {found.get('StatusReason', '')}"
        if found["Status"] == "FAILED" and any(text in said for text in NO_CHANGES):
            return same(check)
        return differs(check, f"FAILED: {' or '.join(NO_CHANGES)}", said)
    changed = [one["ResourceChange"]["LogicalResourceId"] for one in stacks.describe_change_set(**where)["Changes"]]
    return differs(check, "no changes", changed, "somebody changed the stack's resources")


def _drift(account: Account, stack: str) -> Finding:
    """Detect the drift of an endpoint's stack: which resources were compared?

    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-stack-drift.html
    """
    check = f"drift detection of {stack} compares what is expected"
    stacks = account.client("cloudformation")
    try:
        detection = stacks.detect_stack_drift(StackName=stack)["StackDriftDetectionId"]
        deadline = time.monotonic() + _DRIFT_SECONDS
        while True:
            status = stacks.describe_stack_drift_detection_status(StackDriftDetectionId=detection)
            if status["DetectionStatus"] != "DETECTION_IN_PROGRESS" or time.monotonic() > deadline:
                break
            time.sleep(2)
        if status["DetectionStatus"] != "DETECTION_COMPLETE":
            said = f"{status['DetectionStatus']}: {status.get('DetectionStatusReason', '')}"
            return differs(check, "DETECTION_COMPLETE", said)
        pages = stacks.get_paginator("list_stack_resources").paginate(StackName=stack)
        resources = [item for page in pages for item in page["StackResourceSummaries"]]
    except (ClientError, BotoCoreError) as error:
        if "does not exist" in str(error):
            return cannot_tell(check, "there was no release yet")
        reason = unanswered(error)
        return cannot_tell(check, reason) if reason else differs(check, "a detection", refusal(error))
    found = {one["ResourceType"]: one["DriftInformation"]["StackResourceDriftStatus"] for one in resources}
    wanted = {kind: "IN_SYNC" if READABLE.get(kind) else "NOT_CHECKED" for kind in found}
    return same(check) if found == wanted else differs(check, wanted, found)
