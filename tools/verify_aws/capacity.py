"""What a new account may not have: quotas, images, and the role that scales endpoints."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from slipway.command.stacks import ACCOUNT_STACK
from tools.verify_aws.account import Account
from tools.verify_aws.findings import (
    CannotTellError,
    Finding,
    cannot_tell,
    compare,
    differs,
    refusal,
    same,
    unanswered,
)
from tools.verify_aws.stacks import template_of

# https://docs.aws.amazon.com/sagemaker/latest/dg-ecr-paths/ecr-us-west-2.html; the first is the lab's.
IMAGES = (("sagemaker-xgboost", "1.0-1-cpu-py3"), ("sagemaker-xgboost", "1.7-1"))
# The two endpoints, and the second variant of a trial: docs/costs.md#a-model-of-the-lab-per-hour.
_ENDPOINT_INSTANCES = 3
_SCALING_ROLE = "AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"


def checks(account: Account) -> Iterator[Finding]:
    """Look at quotas, images and the service-linked role."""
    yield from quotas(account)
    yield from _images(account)
    yield _scaling_role(account)


def quotas(account: Account) -> Iterator[Finding]:
    """Compare the quotas of the instance types that the model files allow with one release of each model at a time.

    https://docs.aws.amazon.com/general/latest/gr/sagemaker.html
    https://docs.aws.amazon.com/servicequotas/2019-06-24/apireference/API_ListServiceQuotas.html
    """
    training: Counter[str] = Counter()
    hosting: Counter[str] = Counter()
    for model in account.model_files:
        policy = model.get("policy") or {}
        for kind in policy.get("instance_types") or []:
            training[kind] += int((policy.get("training") or {}).get("max_instance_count") or 1)
            hosting[kind] += _ENDPOINT_INSTANCES
    try:
        found = dict(_values(account))
    except (ClientError, BotoCoreError) as error:
        yield cannot_tell("the quotas of the instance types", unanswered(error) or refusal(error))
        return
    yield from judge_quotas(found, training, hosting)


def _values(account: Account) -> Iterator[tuple[str, float]]:
    """Give the defaults, then the values of the account: the second list leaves some out."""
    client = account.client("service-quotas")
    for operation in ("list_aws_default_service_quotas", "list_service_quotas"):
        for page in client.get_paginator(operation).paginate(ServiceCode="sagemaker"):
            for one in page["Quotas"]:
                yield one["QuotaName"], one["Value"]


def judge_quotas(found: dict[str, Any], training: Counter[str], hosting: Counter[str]) -> Iterator[Finding]:
    """Compare quotas by their names with what is wanted of each instance type."""
    wanted = [(f"{kind} for training job usage", count) for kind, count in sorted(training.items())]
    wanted += [(f"{kind} for endpoint usage", count) for kind, count in sorted(hosting.items())]
    for name, count in wanted:
        check = f"the quota {name}"
        if name not in found:
            yield cannot_tell(check, "Service Quotas has none of this name")
        elif found[name] < count:
            yield differs(check, f"at least {count}", f"{found[name]:g}")
        else:
            yield same(check, f"{found[name]:g}")


def _images(account: Account) -> Iterator[Finding]:
    """Ask for AWS's images in the registry of the region, with the permission that roles need to pull them.

    https://docs.aws.amazon.com/sagemaker/latest/dg-ecr-paths/sagemaker-algo-docker-registry-paths.html
    """
    try:
        template = template_of(
            account, ACCOUNT_STACK if not account.prefixes else f"slipway-model-{account.prefixes[0]}"
        )
        registry = template.value({"Fn::FindInMap": ["AlgorithmRegistries", account.region, "Account"]})
    except (ClientError, BotoCoreError, CannotTellError, KeyError) as error:
        yield cannot_tell("AWS's XGBoost image", unanswered(error) or refusal(error))
        return
    for repository, tag in IMAGES:

        def look(repository: str = repository, tag: str = tag) -> str:
            answer = account.client("ecr").batch_get_image(
                registryId=registry, repositoryName=repository, imageIds=[{"imageTag": tag}]
            )
            failures = [f"{one.get('failureCode')}: {one.get('failureReason')}" for one in answer.get("failures", [])]
            return "there" if answer.get("images") else "; ".join(failures) or "not there"

        image = f"{registry}.dkr.ecr.{account.region}.{account.domain}/{repository}:{tag}"
        yield compare(f"AWS's image {image}", "there", look)


def _scaling_role(account: Account) -> Finding:
    """A first scalable target makes the role; where an organization denies that, no release with AutoScaling ends.

    https://docs.aws.amazon.com/autoscaling/application/userguide/application-auto-scaling-service-linked-roles.html
    """
    check = f"the role {_SCALING_ROLE}"
    try:
        account.client("iam").get_role(RoleName=_SCALING_ROLE)
    except (ClientError, BotoCoreError) as error:
        missing = isinstance(error, ClientError) and error.response["Error"]["Code"] == "NoSuchEntity"
        return cannot_tell(check, "it is made by the first release" if missing else unanswered(error) or refusal(error))
    return same(check)
