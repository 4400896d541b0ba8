"""Gathers the evidence of an instance where nothing moves any more."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from slipway.formats.encoding import decoded
from slipway.names import endpoint_name, model_package_group, source_key, stack_name
from slipway.plan import TAG_REVISION
from slipway.registry.metadata import REVISION, RUN
from slipway.registry.record import HOW_OUTSIDE, LATE_ANSWER, decision_of
from slipway.states import Environment
from slipway.training.owner import STOPPED_BY_TAG, JobOwner
from tests.faults.chaos.evidence import Answer, Evidence, Job, Package, Process, Production, Run, Upload
from tests.faults.chaos.models import MODELS
from tests.faults.chaos.workload import OUTSIDE, runs_of
from tests.instance import Instance

_NOT_BEGUN = (None, "skipped", "upstream_failed", "removed")
_FOR_EVER = "9999"
_OWN_DAGS = ("intake", "reaper")


def gather(instance: Instance, uploads: list[Upload], answers: list[Answer], strays: list[Process]) -> Evidence:
    """Read everything.

    :param instance: it runs, and all its parts answer
    :param uploads: what was uploaded and acknowledged
    :param answers: what was answered
    :param strays: processes that nobody is responsible for
    """
    packages = [package for model in MODELS for package in _packages(instance, model.prefix)]
    return Evidence(
        uploads=_uploads(instance, uploads),
        answers=answers,
        runs=[_run(instance, model.prefix, run) for model in MODELS for run in runs_of(instance.api(), model.prefix)],
        packages=packages,
        jobs=_jobs(instance),
        productions=[_production(instance, model.prefix) for model in MODELS],
        busy=_busy(instance),
        strays=strays,
        created=_created(instance),
    )


def _uploads(instance: Instance, acknowledged: list[Upload]) -> list[Upload]:
    """What S3 has, and what it has forgotten: an upload may have been performed though nobody was told."""
    found = {}
    for model in MODELS:
        pages = instance.client("s3").get_paginator("list_object_versions")
        for page in pages.paginate(Bucket=instance.settings.bucket, Prefix=source_key(model.prefix)):
            for version in page.get("Versions", []):
                at = version["LastModified"].isoformat()
                found[version["VersionId"]] = Upload(model.prefix, version["VersionId"], at)
    return [*found.values(), *(one for one in acknowledged if one.version_id not in found)]


def _run(instance: Instance, prefix: str, run: dict[str, Any]) -> Run:
    tasks = instance.api().tasks(prefix, run["dag_run_id"])
    states = {name: task["state"] for name, task in tasks.items()}
    newer = None
    if "skipped" in states.values():
        named = (instance.api().xcom(prefix, run["dag_run_id"], name, "newer_release") for name in tasks)
        newer = next((one["run_id"] for one in named if one), None)
    deploy = tasks.get("deploy_prd", {})
    until = "" if deploy.get("state") in _NOT_BEGUN else _iso(deploy.get("end_date")) or _FOR_EVER
    return Run(
        prefix=prefix,
        run_id=run["dag_run_id"],
        version_id=(run["conf"] or {}).get("version_id") or "",
        state=run["state"],
        tasks=states,
        newer=newer,
        deployed_until=until,
    )


def _packages(instance: Instance, prefix: str) -> list[Package]:
    sagemaker = instance.client("sagemaker")
    found, group = [], model_package_group(prefix)
    listed = sagemaker.get_paginator("list_model_package_groups").paginate(NameContains=group)
    if group not in {one["ModelPackageGroupName"] for page in listed for one in page["ModelPackageGroupSummaryList"]}:
        # A release makes it.
        return found
    for page in sagemaker.get_paginator("list_model_packages").paginate(ModelPackageGroupName=group):
        for summary in page["ModelPackageSummaryList"]:
            found.append(
                _package(prefix, sagemaker.describe_model_package(ModelPackageName=summary["ModelPackageArn"]))
            )
    return found


def _package(prefix: str, described: dict[str, Any]) -> Package:
    properties = described["CustomerMetadataProperties"]
    package = Package(
        arn=described["ModelPackageArn"],
        prefix=prefix,
        revision=properties[REVISION],
        run_id=decoded(properties[RUN].rpartition("/")[2]),
        status=described["ModelApprovalStatus"],
        late=properties.get(LATE_ANSWER, ""),
    )
    decision = decision_of(described)
    if decision is None:
        return package
    by = OUTSIDE if decision.how == HOW_OUTSIDE else decision.decided_by
    return replace(package, by=by, how=decision.how, at=decision.decided_at)


def _jobs(instance: Instance) -> list[Job]:
    sagemaker = instance.client("sagemaker")
    found = []
    for page in sagemaker.get_paginator("list_training_jobs").paginate():
        for summary in page["TrainingJobSummaries"]:
            job = sagemaker.describe_training_job(TrainingJobName=summary["TrainingJobName"])
            tags = {tag["Key"]: tag["Value"] for tag in sagemaker.list_tags(ResourceArn=job["TrainingJobArn"])["Tags"]}
            owner = JobOwner.from_tags(tags)
            found.append(
                Job(
                    name=job["TrainingJobName"],
                    revision=tags.get(TAG_REVISION, ""),
                    run_id=owner.run_id if owner else "",
                    status=job["TrainingJobStatus"],
                    reason=job.get("FailureReason", ""),
                    stopped_for_person=STOPPED_BY_TAG in tags,
                )
            )
    return found


def _created(instance: Instance) -> dict[str, int]:
    names = [str(line["resource"]) for line in instance.ledger(operation="CreateTrainingJob", outcome="ok")]
    return {name: names.count(name) for name in names}


def _production(instance: Instance, prefix: str) -> Production:
    name = stack_name(prefix, Environment.PRODUCTION)
    changes = tuple(
        line["time"] for line in instance.ledger(operation="ExecuteChangeSet", outcome="ok") if line["resource"] == name
    )
    stacks = [stack for stack in _stacks(instance) if stack["StackName"] == name]
    if not stacks:
        return Production(prefix, "", "", changes)
    outputs = {one["OutputKey"]: one["OutputValue"] for one in stacks[0].get("Outputs", [])}
    return Production(prefix, stacks[0]["StackStatus"], outputs.get("Revision", ""), changes)


def _stacks(instance: Instance) -> list[dict[str, Any]]:
    stacks: list[dict[str, Any]] = instance.client("cloudformation").describe_stacks()["Stacks"]
    return stacks


def _busy(instance: Instance) -> list[str]:
    """What is neither a release nor at rest."""
    sagemaker = instance.client("sagemaker")
    names = {endpoint_name(model.prefix, environment) for model in MODELS for environment in Environment}
    stacks = [
        f"stack {stack['StackName']} is {stack['StackStatus']}"
        for stack in _stacks(instance)
        if stack["StackStatus"] not in ("CREATE_COMPLETE", "UPDATE_COMPLETE")
    ]
    endpoints = [
        f"endpoint {one['EndpointName']} is {one['EndpointStatus']}"
        for one in sagemaker.list_endpoints(MaxResults=100)["Endpoints"]
        if one["EndpointStatus"] != "InService" or one["EndpointName"] not in names
    ]
    runs = [
        f"{dag_id} {run['dag_run_id']} is {run['state']}"
        for dag_id in _OWN_DAGS
        for run in runs_of(instance.api(), dag_id)
        # One that was killed four times has failed; the watcher has rung again for what it left undone.
        if run["state"] not in ("success", "failed")
    ]
    return stacks + endpoints + runs


def _iso(text: str | None) -> str:
    """Airflow writes Z where others write +00:00; times are compared as text."""
    return (text or "").replace("Z", "+00:00")
