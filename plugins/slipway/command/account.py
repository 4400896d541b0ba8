"""What `doctor` asks AWS, by reading only: credentials, the set-up stacks, the bucket, roles, and quotas."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from slipway import image_names, names
from slipway.command.aws import Aws, Caller
from slipway.command.findings import Finding, State, looking, not_checked, ok, problem, unknown
from slipway.command.set_up import endpoint_template_key
from slipway.command.stacks import ACCOUNT_STACK, IMAGES_STACK, Stacks

if TYPE_CHECKING:
    from slipway.model.config import ModelConfig

_BOOTSTRAP = "run slipway bootstrap with an administrator's credentials; for the local system: make up, again"
# Where uploads are looked for, and the keys there; a model file may name another one for its zips.
_PLACES = {
    "training_jobs/": "training_jobs/PREFIX/trainingjob.zip",
    image_names.SOURCE_PREFIX: image_names.source_key("PREFIX"),
}
# The two endpoints, and the second variant of a trial.
_ENDPOINT_INSTANCES = 3


def examine(aws: Aws, models: list[ModelConfig], *, all_models: bool = True) -> list[Finding]:
    """Look at the account.

    :param aws: AWS, with the person's credentials
    :param models: the models whose parts are looked for
    :param all_models: whether these are all that there are, so that what is none of theirs is nobody's
    """
    found: list[Finding] = []
    with looking("your AWS credentials", found, then=("the set-up of the account", "the bucket", "the quotas")):
        caller = aws.caller
        found.append(ok("your AWS credentials", f"{caller.arn}, region {caller.region}"))
        with looking("the set-up of the account", found, otherwise=State.UNKNOWN):
            found += _stacks(aws, caller, models)
        without = f"the stack {ACCOUNT_STACK}"
        is_missing = any(one.about == without and one.state is State.PROBLEM for one in found)
        for bucket in sorted({_resolved(model.source.bucket, caller) for model in models} or {_bucket(caller)}):
            if is_missing and bucket == _bucket(caller):
                found.append(not_checked(f"the bucket {bucket}", without))
                continue
            with looking(f"the bucket {bucket}", found):
                found.append(_versions(aws, bucket))
            mine = [model for model in models if _resolved(model.source.bucket, caller) == bucket]
            with looking(f"uploads to {bucket}", found, otherwise=State.UNKNOWN):
                found += unread_uploads(aws, bucket, mine) if all_models else []
        with looking("the quotas", found, otherwise=State.UNKNOWN):
            found += _quotas(aws, models)
    return found


def _resolved(text: str, caller: Caller) -> str:
    return text.replace("{region}", caller.region).replace("{account}", caller.account)


def _bucket(caller: Caller) -> str:
    return f"mlops-{caller.region}-{caller.account}"


def _stacks(aws: Aws, caller: Caller, models: list[ModelConfig]) -> Iterator[Finding]:
    stacks = Stacks(aws)
    parameters = stacks.parameters(ACCOUNT_STACK)
    if parameters is None:
        yield problem(f"the stack {ACCOUNT_STACK}", "it is not there: no bucket, no roles", _BOOTSTRAP)
        for model in models:
            yield not_checked(f"the roles of {model.prefix}", f"the stack {ACCOUNT_STACK}")
        return
    yield ok(f"the stack {ACCOUNT_STACK}", "the bucket, and the roles of Airflow and CloudFormation")
    key = endpoint_template_key()
    about = "the template of endpoints"
    if any(url.endswith(f"{_bucket(caller)}/{key}") for url in parameters.get("EndpointTemplateUrls", "").split(",")):
        yield ok(about, "Airflow may deploy that of this version")
    else:
        yield problem(about, "Airflow may deploy that of another version only", _BOOTSTRAP)
    if any(model.image for model in models):
        about = f"the stack {IMAGES_STACK}"
        if stacks.parameters(IMAGES_STACK) is None:
            yield problem(about, "it is not there: no model may build an image", _BOOTSTRAP)
        else:
            yield ok(about, "the boundary of the roles that build images")
    for model in models:
        stack = f"slipway-model-{model.prefix}"
        if stacks.parameters(stack) is None:
            yield problem(f"the roles of {model.prefix}", f"the stack {stack} is not there", _BOOTSTRAP)
        else:
            yield ok(f"the roles of {model.prefix}", stack)


def _versions(aws: Aws, bucket: str) -> Finding:
    """Look whether a bucket keeps versions, which a release needs.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html
    """
    about, s3 = f"the bucket {bucket}", aws.client("s3")
    with aws.calling("The bucket cannot be looked at", bucket):
        listed = s3.list_object_versions(Bucket=bucket, MaxKeys=1).get("Versions", [])
    if not listed:
        return ok(about, "it is there, and empty")
    # The VersionId of an object that was written without versioning.
    # https://docs.aws.amazon.com/AmazonS3/latest/userguide/versioning-workflows.html
    if listed[0]["VersionId"] == "null":
        return problem(about, "it keeps no versions", "turn versioning on: a release is of one version of the zip")
    return ok(about, "it keeps versions")


def unread_uploads(aws: Aws, bucket: str, models: list[ModelConfig]) -> Iterator[Finding]:
    """Name the uploads that start nothing, because no model has their key. Only the first of many are looked at.

    :param models: all whose zips are uploaded to the bucket
    """
    keys = {model.source.key for model in models}
    keys |= {image_names.source_key(model.prefix) for model in models if model.image}
    s3 = aws.client("s3")
    for place, form in _PLACES.items():
        with aws.calling("The bucket cannot be looked at", bucket):
            listed = s3.list_objects_v2(Bucket=bucket, Prefix=place).get("Contents", [])
        for key in [one["Key"] for one in listed if one["Size"] and one["Key"] not in keys]:
            # Only zips of the usual key wait: a source of an image is watched from when its model builds one.
            waits = key == names.source_key(key.split("/")[1])
            more = "; the newest uploads wait for one" if waits else f". Expected {form}"
            yield unknown(f"s3://{bucket}/{key}", f"it starts nothing: no model file has this key{more}")


def _quotas(aws: Aws, models: list[ModelConfig]) -> Iterator[Finding]:
    """Compare the quotas of the instance types that the model files allow with one release of each model.

    https://docs.aws.amazon.com/general/latest/gr/sagemaker.html
    https://docs.aws.amazon.com/servicequotas/2019-06-24/apireference/API_ListServiceQuotas.html
    """
    wanted: dict[str, int] = {}
    for model in models:
        for kind in model.policy.instance_types:
            for use, count in (
                ("training job", model.policy.training.max_instance_count),
                ("endpoint", _ENDPOINT_INSTANCES),
            ):
                name = f"{kind} for {use} usage"
                wanted[name] = wanted.get(name, 0) + count
    if not wanted:
        return
    values = _values(aws)
    for name, count in sorted(wanted.items()):
        about = f"the quota {name}"
        if name not in values:
            yield unknown(about, "Service Quotas has none of this name")
        elif values[name] < count:
            fix = "ask for more in the Service Quotas console, or allow another type in the model file"
            yield problem(about, f"{values[name]:g}, and one release of each model needs {count}", fix)
        else:
            yield ok(about, f"{values[name]:g}")


def _values(aws: Aws) -> dict[str, float]:
    """Return the defaults, then the values of the account: the second list leaves some out."""
    client: Any = aws.client("service-quotas", retries={"total_max_attempts": 2})
    found: dict[str, float] = {}
    with aws.calling("The quotas cannot be looked at", "Service Quotas", fix="look at them in AWS's console"):
        for operation in ("list_aws_default_service_quotas", "list_service_quotas"):
            for page in client.get_paginator(operation).paginate(ServiceCode="sagemaker"):
                found |= {one["QuotaName"]: one["Value"] for one in page["Quotas"]}
    return found
