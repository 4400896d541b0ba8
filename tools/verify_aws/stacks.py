"""The set-up stacks and their templates."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from slipway.command.set_up import endpoint_template_key
from slipway.command.stacks import ACCOUNT_STACK
from slipway.paths import endpoint_template, set_up_template
from tools.verify_aws.account import Account
from tools.verify_aws.findings import CannotTellError, Finding, cannot_tell, compare, same
from tools.verify_aws.template import Template

# https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_Stack.html
GOOD = ("CREATE_COMPLETE", "UPDATE_COMPLETE")
# What drift detection can read by the type's schema: docs/local-aws.md#drift-of-stacks.
# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/resource-import-supported-resources.html
READABLE = {
    "AWS::ApplicationAutoScaling::ScalableTarget": True,
    "AWS::ApplicationAutoScaling::ScalingPolicy": True,
    "AWS::CloudWatch::Alarm": True,
    "AWS::CloudWatch::Dashboard": True,
    "AWS::SageMaker::Endpoint": True,
    "AWS::SageMaker::EndpointConfig": False,
    "AWS::SageMaker::Model": True,
}


def described(account: Account, stack: str) -> dict[str, Any]:
    """Return a stack's description."""
    found: dict[str, Any] = account.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
    return found


def parameters(account: Account, stack: str) -> dict[str, str]:
    """Return a stack's parameters."""
    found = described(account, stack).get("Parameters", [])
    return {item["ParameterKey"]: item.get("ParameterValue", "") for item in found}


def template_of(account: Account, stack: str) -> Template:
    """Read a set-up template of this checkout with the parameters of its stack.

    :raises CannotTellError: when the stack is not there
    """
    try:
        chosen = parameters(account, stack)
        pages = account.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=stack)
        made = [item for page in pages for item in page["StackResourceSummaries"]]
    except ClientError as error:
        if "does not exist" in str(error):
            raise CannotTellError(f"the stack {stack} does not exist") from error
        raise
    pseudo = {
        "AWS::Region": account.region,
        "AWS::AccountId": account.id,
        "AWS::Partition": account.partition,
        "AWS::URLSuffix": account.domain,
    }
    text = account.templates[stack].read_text(encoding="utf-8")
    return Template(text, chosen, pseudo, dict(_arn(account, item) for item in made if "PhysicalResourceId" in item))


def _arn(account: Account, item: dict[str, Any]) -> tuple[str, str]:
    physical, kind = item["PhysicalResourceId"], item["ResourceType"]
    name = physical.rpartition("/")[2]
    arns = {
        "AWS::S3::Bucket": account.arn("s3", name),
        "AWS::SQS::Queue": account.arn("sqs", name),
        "AWS::IAM::Role": account.arn("iam", f"role/{name}"),
        "AWS::KMS::Key": account.arn("kms", f"key/{name}"),
    }
    return item["LogicalResourceId"], arns.get(kind, physical)


def checks(account: Account) -> Iterator[Finding]:
    """Look at the stacks, the templates and the types that drift detection reads."""
    for problem in account.models.errors:
        yield cannot_tell("what a model needs", problem)
    for stack, path in account.templates.items():
        yield _status(account, stack)
        yield compare(
            f"the stack {stack} has the template {path.name} of this checkout",
            _digest(path.read_text(encoding="utf-8")),
            lambda stack=stack: _live_template(account, stack),  # type: ignore[misc]
        )
    yield from _endpoint_template(account)
    for path in (*map(set_up_template, ("bootstrap", "images", "labs", "model")), endpoint_template()):
        yield _valid(account, path)
    for kind, readable in READABLE.items():
        yield compare(
            f"CloudFormation can read a resource of {kind} for drift detection",
            readable,
            lambda kind=kind: _has_reader(account, kind),  # type: ignore[misc]
        )


def _status(account: Account, stack: str) -> Finding:
    """A stack in another state is neither deployed nor ready for the next change."""
    check = f"the stack {stack} is complete"
    found = compare(check, " or ".join(GOOD), lambda: described(account, stack)["StackStatus"])
    return same(check) if found.found in GOOD else found


def _digest(text: str) -> str:
    return f"SHA-256 {hashlib.sha256(text.strip().encode()).hexdigest()[:16]}"


def _live_template(account: Account, stack: str) -> str:
    body = account.client("cloudformation").get_template(StackName=stack, TemplateStage="Original")["TemplateBody"]
    return _digest(body if isinstance(body, str) else json.dumps(body))


def _endpoint_template(account: Account) -> Iterator[Finding]:
    path, key = endpoint_template(), endpoint_template_key()
    url = f"https://s3.{account.region}.{account.domain}/{account.bucket}/{key}"

    def allowed() -> bool:
        return url in parameters(account, ACCOUNT_STACK).get("EndpointTemplateUrls", "").split(",")

    def uploaded() -> str:
        body = account.client("s3").get_object(Bucket=account.bucket, Key=key)["Body"].read()
        return hashlib.sha256(body).hexdigest()

    yield compare("Airflow may deploy endpoint.yaml of this checkout", True, allowed)
    yield compare("endpoint.yaml of this checkout is uploaded", hashlib.sha256(path.read_bytes()).hexdigest(), uploaded)
    # CloudFormation fetches this URL with the rights of whoever asks: neither is documented for s3.REGION hosts.
    yield compare(
        "CloudFormation reads endpoint.yaml by its URL",
        [],
        lambda: account.client("cloudformation").get_template_summary(TemplateURL=url).get("Capabilities", []),
    )


def _valid(account: Account, path: Path) -> Finding:
    """Have a template validated; what it declares has to be what CloudFormation understands.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_ValidateTemplate.html
    """
    text = path.read_text(encoding="utf-8")
    declared = sorted(Template(text, {}, {}, {}).declared)

    def look() -> list[str]:
        answer = account.client("cloudformation").validate_template(TemplateBody=text)
        return sorted(item["ParameterKey"] for item in answer["Parameters"])

    return compare(f"CloudFormation takes {path.name}", declared, look)


def _has_reader(account: Account, kind: str) -> bool:
    """Tell whether a type's schema has the handler that reads, which drift detection needs.

    https://docs.aws.amazon.com/cloudformation-cli/latest/userguide/resource-type-schema.html#schema-properties-handlers
    """
    answer = account.client("cloudformation").describe_type(Type="RESOURCE", TypeName=kind)
    return "read" in json.loads(answer["Schema"]).get("handlers", {})
