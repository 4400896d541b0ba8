"""CloudFormation's stacks."""

from local_aws.console.html import Content
from local_aws.console.parts import facts, long, moment, onward, pairs, section, state, table
from local_aws.console.request import ROWS, Asked, Missing, Page
from local_aws.console.sources import Sources


def stacks(asked: Asked, sources: Sources) -> Page:
    """List the stacks, the last changed first."""
    start = asked.whole("start", 0)
    every = sources.views.stacks.stacks(asked.scope)
    rows = [
        (
            asked.link(one["StackName"], "stack", name=one["StackId"]),
            state(one["StackStatus"]),
            moment(one.get("CreationTime")),
            moment(one.get("LastUpdatedTime")),
            long(one.get("Description")),
        )
        for one in every[start : start + ROWS]
    ]
    heads = ("stack", "status", "created (UTC)", "changed", "description")
    more = start + ROWS < len(every) and asked.link("More stacks", "stacks", start=start + ROWS)
    first = start and asked.link("First stacks", "stacks")
    return Page("Stacks", (table("Stacks", heads, rows), onward(first, more)), "stacks")


def stack(asked: Asked, sources: Sources) -> Page:
    """Show one stack: resources, parameters, outputs, events."""
    name = asked.get("name")
    views = sources.views.stacks
    found = views.stack(asked.scope, name)
    if found is None:
        raise Missing(f"There is no stack {name}.")
    resources = [
        (
            one.get("LogicalResourceId"),
            one.get("ResourceType"),
            state(one.get("ResourceStatus")),
            long(one.get("PhysicalResourceId")),
            moment(one.get("Timestamp")),
        )
        for one in views.resources(found)
    ]
    events = views.events(asked.scope, found["StackId"])
    end = min(asked.whole("end", len(events)), len(events))
    start = max(0, end - ROWS)
    shown = [
        (
            moment(one["Timestamp"]),
            one["LogicalResourceId"],
            one["ResourceType"],
            state(one["ResourceStatus"]),
            long(one.get("ResourceStatusReason")),
        )
        for one in reversed(events[start:end])
    ]
    older = start and asked.link("Earlier events", "stack", name=name, end=start)
    newest = end < len(events) and asked.link("Newest events", "stack", name=name)
    parameters = {one["ParameterKey"]: one["ParameterValue"] for one in found["Parameters"]}
    outputs = [
        (one["OutputKey"], long(one.get("OutputValue")), long(one.get("Description"))) for one in found["Outputs"]
    ]
    content: list[Content] = [
        facts(
            [
                ("status", state(found["StackStatus"])),
                ("reason", found.get("StackStatusReason")),
                ("description", found.get("Description")),
                ("created (UTC)", moment(found.get("CreationTime"))),
                ("changed", moment(found.get("LastUpdatedTime"))),
                ("role", found.get("RoleARN")),
                ("id", found["StackId"]),
            ]
        ),
        section(
            "Resources",
            table("Resources", ("logical id", "type", "status", "physical id", "changed (UTC)"), resources),
        ),
        section("Parameters", pairs("Parameters", parameters)),
        section("Outputs", table("Outputs", ("name", "value", "description"), outputs)),
        section(
            "Events",
            table("Events, the newest first", ("time (UTC)", "resource", "type", "status", "reason"), shown),
            onward(newest, older),
        ),
        section("Tags", pairs("Tags", {one["Key"]: one["Value"] for one in found.get("Tags", [])}, "key")),
    ]
    return Page(found["StackName"], content, "stacks")
