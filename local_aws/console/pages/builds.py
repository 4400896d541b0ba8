"""CodeBuild's builds."""

from typing import Any

from local_aws.console.html import Content
from local_aws.console.parts import facts, long, moment, number, onward, section, state, table
from local_aws.console.request import Asked, Missing, Page
from local_aws.console.sources import Sources


def builds(asked: Asked, sources: Sources) -> Page:
    """List the builds, the newest first."""
    token, project = asked.query.get("token"), asked.query.get("project")
    wanted: dict[str, Any] = {"nextToken": token} if token else {}
    if project:
        listed = sources.builds(asked.scope, "ListBuildsForProject", projectName=project, **wanted)
    else:
        listed = sources.builds(asked.scope, "ListBuilds", **wanted)
    found = sources.builds(asked.scope, "BatchGetBuilds", ids=listed.get("ids", []))
    rows = [
        (
            asked.link(one["id"], "build", id=one["id"]),
            asked.link(one["projectName"], "builds", project=one["projectName"]),
            number(one["buildNumber"]),
            state(one["buildStatus"]),
            one["currentPhase"],
            moment(one["startTime"]),
            moment(one.get("endTime")),
        )
        for one in found.get("builds", [])
    ]
    heads = ("build", "project", "number", "status", "phase", "started (UTC)", "ended")
    of_project = {"project": project} if project else {}
    more = listed.get("nextToken") and asked.link("Older builds", "builds", token=listed["nextToken"], **of_project)
    newest = token and asked.link("Newest builds", "builds", **of_project)
    every = project and asked.link("Builds of all projects", "builds")
    return Page(project or "Builds", (table("Builds", heads, rows), onward(newest, more, every)), "builds")


def build(asked: Asked, sources: Sources) -> Page:
    """Show one build: its phases, what it was started with, and where its log is."""
    found = sources.builds(asked.scope, "BatchGetBuilds", ids=[asked.get("id")]).get("builds")
    if not found:
        raise Missing(f"There is no build {asked.get('id')}.")
    [one] = found
    phases = [
        (
            phase["phaseType"],
            state(phase["phaseStatus"]) if "phaseStatus" in phase else "",
            moment(phase["startTime"]),
            number(phase.get("durationInSeconds")),
            long("; ".join(context["message"] for context in phase.get("contexts", []) if context["message"])),
        )
        for phase in one["phases"]
    ]
    # Of the variables only the names: their values may be secrets of the build.
    variables = [
        (variable["name"], variable.get("type", "PLAINTEXT"))
        for variable in one["environment"].get("environmentVariables", [])
    ]
    exported = [(variable["name"], long(variable["value"])) for variable in one["exportedEnvironmentVariables"]]
    where = one["logs"]
    log: Content = ""
    if "groupName" in where:
        log = asked.link(where["streamName"], "log", group=where["groupName"], stream=where["streamName"])
    content: list[Content] = [
        facts(
            [
                ("status", state(one["buildStatus"])),
                ("project", asked.link(one["projectName"], "builds", project=one["projectName"])),
                ("source", one["source"].get("location")),
                ("version", one.get("resolvedSourceVersion") or one.get("sourceVersion")),
                ("started by", one["initiator"]),
                ("role", one["serviceRole"]),
                ("log", log),
            ]
        ),
        section("Phases", table("Phases", ("phase", "status", "started (UTC)", "seconds", "message"), phases)),
        section("Variables", table("Variables", ("name", "type"), variables)),
        section("Exported", table("Exported variables", ("name", "value"), exported)),
    ]
    return Page(one["id"], content, "builds")
