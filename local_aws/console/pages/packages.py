"""The Model Registry: groups, their packages, and who approved which."""

from collections.abc import Mapping
from typing import Any

from local_aws.console.html import Content, tag
from local_aws.console.parts import facts, field, folded, long, moment, onward, pairs, search, section, state, table
from local_aws.console.request import ROWS, Asked, Missing, Page
from local_aws.console.sources import Sources


def groups(asked: Asked, sources: Sources) -> Page:
    """List the model package groups, the newest first."""
    name = asked.get("containing")
    found = sources.sagemaker.newest(asked.scope, "model_package_groups", ROWS, asked.position(), containing=name)
    rows = [
        (
            asked.link(one["ModelPackageGroupName"], "group", name=one["ModelPackageGroupName"]),
            state(one["ModelPackageGroupStatus"]),
            long(one.get("ModelPackageGroupDescription")),
            moment(one["CreationTime"]),
        )
        for one in found.documents
    ]
    older = found.next and asked.link("Older groups", "groups", containing=name, before="{} {}".format(*found.next))
    newest = asked.get("before") and asked.link("Newest groups", "groups", containing=name)
    form = search(asked, "Model package groups", field("Name contains", "containing", name))
    made = table("Model package groups", ("group", "status", "description", "created (UTC)"), rows)
    return Page("Model registry", (made, onward(newest, older)), "groups", form)


def group(asked: Asked, sources: Sources) -> Page:
    """List the packages of a group, the newest first."""
    name = asked.get("name")
    described = sources.sagemaker.described(asked.scope, "DescribeModelPackageGroup", ModelPackageGroupName=name)
    if described is None:
        raise Missing(f"There is no model package group {name}.")
    name = described["ModelPackageGroupName"]
    found = sources.sagemaker.newest(asked.scope, "model_packages", ROWS, asked.position(), group=name)
    rows = [
        (
            asked.link(f"version {one.get('ModelPackageVersion', '')}", "package", arn=one["ModelPackageArn"]),
            state(one.get("ModelApprovalStatus")),
            long(one.get("ApprovalDescription")),
            moment(one["CreationTime"]),
            _user(one.get("CreatedBy")),
            _user(one.get("LastModifiedBy")),
        )
        for one in found.documents
    ]
    older = found.next and asked.link("Older packages", "group", name=name, before="{} {}".format(*found.next))
    newest = asked.get("before") and asked.link("Newest packages", "group", name=name)
    heads = ("package", "approval", "what was said", "created (UTC)", "created by", "changed by")
    content = (
        facts([("description", described.get("ModelPackageGroupDescription"))]),
        table("Packages", heads, rows),
        onward(newest, older),
        section("Tags", pairs("Tags", sources.sagemaker.tags(asked.scope, described["ModelPackageGroupArn"]), "key")),
    )
    return Page(name, content, "groups")


def package(asked: Asked, sources: Sources) -> Page:
    """Show one package: its approval, its artefact, its metadata."""
    arn = asked.get("arn")
    found = sources.sagemaker.described(asked.scope, "DescribeModelPackage", ModelPackageName=arn)
    if found is None:
        raise Missing(f"There is no model package {arn}.")
    containers = found.get("InferenceSpecification", {}).get("Containers", [])
    group_name = found.get("ModelPackageGroupName", "")
    title = f"{group_name} version {found['ModelPackageVersion']}" if group_name else found["ModelPackageName"]
    content: list[Content] = [
        facts(
            [
                ("approval", state(found.get("ModelApprovalStatus"))),
                ("what was said", found.get("ApprovalDescription")),
                ("group", asked.link(group_name, "group", name=group_name) if group_name else None),
                ("created (UTC)", moment(found["CreationTime"])),
                ("created by", _user(found.get("CreatedBy"))),
                ("changed", moment(found.get("LastModifiedTime"))),
                ("changed by", _user(found.get("LastModifiedBy"))),
                ("description", found.get("ModelPackageDescription")),
                ("ARN", found["ModelPackageArn"]),
            ]
        ),
        table(
            "Containers", ("image", "artefact"), [(one["Image"], long(one.get("ModelDataUrl"))) for one in containers]
        ),
        section("Metadata", pairs("Metadata", found.get("CustomerMetadataProperties", {}))),
    ]
    if metrics := found.get("ModelMetrics"):
        content.append(folded("model-metrics", "Model metrics", tag("pre", str(metrics), class_="wrapped")))
    return Page(title, content, "groups")


def _user(by: Mapping[str, Any] | None) -> str:
    return ((by or {}).get("IamIdentity") or {}).get("Arn", "").rpartition(":")[2]
