"""Endpoints: what they serve, and what they were asked lately."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from local_aws.console.html import Content, Markup, tag
from local_aws.console.parts import (
    document,
    facts,
    field,
    folded,
    moment,
    number,
    onward,
    pairs,
    search,
    section,
    state,
    table,
)
from local_aws.console.plots import plot
from local_aws.console.request import ROWS, Asked, Missing, Page
from local_aws.console.sources import Sources

_NAMESPACE = "AWS/SageMaker"
_USAGE = "/aws/sagemaker/Endpoints"
# What is plotted: at least so long, and at most so many points.
_SPAN_SECONDS = 3600
_POINTS = 180
_ACTIVITIES = 20
# Title, then label, namespace, metric and statistic of each line.
_Line = tuple[str, str, str, str]
_PLOTS: tuple[tuple[str, tuple[_Line, ...]], ...] = (
    ("Requests", (("requests", _NAMESPACE, "Invocations", "Sum"),)),
    (
        "Errors",
        (
            ("4xx", _NAMESPACE, "Invocation4XXErrors", "Sum"),
            ("5xx", _NAMESPACE, "Invocation5XXErrors", "Sum"),
            ("model", _NAMESPACE, "InvocationModelErrors", "Sum"),
        ),
    ),
    (
        "Model latency, microseconds",
        (
            ("average", _NAMESPACE, "ModelLatency", "Average"),
            ("p50", _NAMESPACE, "ModelLatency", "p50"),
            ("p99", _NAMESPACE, "ModelLatency", "p99"),
        ),
    ),
    ("CPU of an instance, % of a core", (("average", _USAGE, "CPUUtilization", "Average"),)),
)


def endpoints(asked: Asked, sources: Sources) -> Page:
    """List the endpoints, the newest first."""
    name = asked.get("containing")
    found = sources.sagemaker.newest(asked.scope, "endpoints", ROWS, asked.position(), containing=name)
    rows = [
        (
            asked.link(one["EndpointName"], "endpoint", name=one["EndpointName"]),
            state(one["EndpointStatus"]),
            ", ".join(variant["VariantName"] for variant in one.get("ProductionVariants", [])),
            number(sum(variant["CurrentInstanceCount"] for variant in one.get("ProductionVariants", []))),
            one["EndpointConfigName"],
            moment(one["LastModifiedTime"]),
        )
        for one in found.documents
    ]
    heads = ("endpoint", "status", "variants", "instances", "configuration", "changed (UTC)")
    form = search(asked, "Endpoints", field("Name contains", "containing", name))
    older = found.next and asked.link(
        "Older endpoints", "endpoints", containing=name, before="{} {}".format(*found.next)
    )
    newest = asked.get("before") and asked.link("Newest endpoints", "endpoints", containing=name)
    return Page("Endpoints", (table("Endpoints", heads, rows), onward(newest, older)), "endpoints", form)


def endpoint(asked: Asked, sources: Sources) -> Page:
    """Show one endpoint: its variants, its traffic, its scaling."""
    name = asked.get("name")
    found = sources.sagemaker.described(asked.scope, "DescribeEndpoint", EndpointName=name)
    if found is None:
        raise Missing(f"There is no endpoint {name}.")
    name = found["EndpointName"]
    variants = found.get("ProductionVariants", [])
    pending = found.get("PendingDeploymentSummary", {}).get("ProductionVariants", [])
    content: list[Content] = [
        facts(
            [
                ("status", state(found["EndpointStatus"])),
                ("failure reason", found.get("FailureReason")),
                ("configuration", found["EndpointConfigName"]),
                ("created (UTC)", moment(found["CreationTime"])),
                ("changed", moment(found["LastModifiedTime"])),
                ("ARN", found["EndpointArn"]),
            ]
        ),
        section("Variants", _variants("Serving", variants, found.get("LiveVariants", {}))),
        section("Deployment in progress", _variants("New variants", pending, {})) if pending else None,
        section("Traffic", _traffic(asked, sources, name, [one["VariantName"] for one in variants])),
        section("Scaling", _scaling(asked, sources, name, variants)),
        section("Data capture", document(found["DataCaptureConfig"])) if found.get("DataCaptureConfig") else None,
        section("Tags", pairs("Tags", sources.sagemaker.tags(asked.scope, found["EndpointArn"]), "key")),
    ]
    return Page(name, content, "endpoints")


def _variants(caption: str, variants: Sequence[Mapping[str, Any]], live: Mapping[str, Any]) -> Markup:
    rows = [
        (
            one["VariantName"],
            live.get(one["VariantName"], {}).get("ModelName", ""),
            _change(one.get("CurrentWeight"), one.get("DesiredWeight")),
            _change(one.get("CurrentInstanceCount"), one.get("DesiredInstanceCount")),
            "; ".join(status.get("StatusMessage", "") for status in one.get("VariantStatus", [])),
        )
        for one in variants
    ]
    return table(caption, ("variant", "model", "weight", "instances", "what it does"), rows)


def _change(current: Any, desired: Any) -> str:
    shown = "" if current is None else f"{current:g}"
    return shown if desired in (None, current) else f"{shown} → {desired:g}"


def _traffic(asked: Asked, sources: Sources, name: str, variants: Sequence[str]) -> Content:
    # Metrics are put once a minute of AWS's, which may pass faster.
    minute = sources.settings.clock.real_seconds(60)
    seconds = min(_SPAN_SECONDS, max(600.0, minute * 60))
    period = max(minute, seconds / _POINTS)
    now = time.time()
    span = (now - seconds, now)
    content: list[Content] = [
        tag("p", f"The last {seconds / 60:.0f} minutes, a point for each {period:g} seconds.", class_="note")
    ]
    for variant in variants:
        dimensions = {"EndpointName": name, "VariantName": variant}
        drawn = []
        for title, lines in _PLOTS:
            series = [
                (label, sources.cloudwatch.series(asked.scope, (space, metric, dimensions), statistic, span, period))
                for label, space, metric, statistic in lines
            ]
            drawn.append(plot(f"{variant}: {title}", series, span=span))
        content.append((tag("h3", variant), tag("div", drawn, class_="plots")))
    return content


def _scaling(asked: Asked, sources: Sources, name: str, variants: Sequence[Mapping[str, Any]]) -> Content:
    ids = [f"endpoint/{name}/variant/{one['VariantName']}" for one in variants]
    if not ids:
        return tag("p", "It has no variants yet.", class_="nothing")
    targets = sources.scaling(asked.scope, "DescribeScalableTargets", ResourceIds=ids).get("ScalableTargets", [])
    rows = [
        (one["ResourceId"].rpartition("/")[2], number(one["MinCapacity"]), number(one["MaxCapacity"]))
        for one in targets
    ]
    activities = [
        activity
        for target in targets
        for activity in sources.scaling(
            asked.scope, "DescribeScalingActivities", ResourceId=target["ResourceId"], MaxResults=_ACTIVITIES
        ).get("ScalingActivities", [])
    ]
    shown = [
        (moment(one["StartTime"]), state(one["StatusCode"]), one["Description"], one.get("Cause", ""))
        for one in sorted(activities, key=lambda one: one["StartTime"], reverse=True)[:_ACTIVITIES]
    ]
    listed = table("Activities", ("began (UTC)", "status", "description", "cause"), shown)
    bounds = table("Scalable targets", ("variant", "least", "most"), rows, "Nothing scales it.")
    return (bounds, folded("activities-folded", "Scaling activities", listed)) if targets else bounds
