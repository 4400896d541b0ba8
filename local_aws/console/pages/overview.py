"""The first page: how much there is of everything, and what ran last."""

from local_aws.console import ledger_lines
from local_aws.console.html import Content, tag
from local_aws.console.parts import moment, plain, section, state, table
from local_aws.console.request import Asked, Page
from local_aws.console.sources import Sources
from local_aws.front.ledger import OK

_LAST = 8
# Of the ledger.
_READ_BYTES = 1024 * 1024


def overview(asked: Asked, sources: Sources) -> Page:
    """Show counts, the last jobs and endpoints, alarms that fire, and the last refused calls."""
    scope, views = asked.scope, sources.views
    firing = [one for one in views.alarms.alarms(scope) if one["StateValue"] == "ALARM"]
    counts = (
        ("jobs", "training jobs", sources.sagemaker.count(scope, "training_jobs")),
        ("endpoints", "endpoints", sources.sagemaker.count(scope, "endpoints")),
        ("groups", "model packages", sources.sagemaker.count(scope, "model_packages")),
        ("stacks", "stacks", len(views.stacks.stacks(scope))),
        ("buckets", "buckets", len(views.objects.buckets(scope))),
        ("alarms", "alarms in ALARM", len(firing)),
    )
    cards = [
        tag("li", tag("strong", plain(count)), asked.link(name, path, state="ALARM" if path == "alarms" else ""))
        for path, name, count in counts
    ]
    jobs = [
        (asked.link(one["TrainingJobName"], "job", name=one["TrainingJobName"]), state(one["TrainingJobStatus"]),
         moment(one["CreationTime"]))
        for one in sources.sagemaker.newest(scope, "training_jobs", _LAST).documents
    ]  # fmt: skip
    endpoints = [
        (asked.link(one["EndpointName"], "endpoint", name=one["EndpointName"]), state(one["EndpointStatus"]),
         moment(one["LastModifiedTime"]))
        for one in sources.sagemaker.newest(scope, "endpoints", _LAST).documents
    ]  # fmt: skip
    alarms = [
        (asked.link(one["AlarmName"], "alarm", name=one["AlarmName"]), moment(one.get("StateUpdatedTimestamp")))
        for one in firing[:_LAST]
    ]
    refused = ledger_lines.read(
        sources.ledger_path, lambda call: call.get("outcome") != OK, _LAST, None, most_bytes=_READ_BYTES
    ).calls
    calls = [
        (
            moment(one.get("time")),
            f"{one.get('service')} {one.get('operation')}",
            one.get("outcome"),
            one.get("resource"),
        )
        for one in refused
    ]
    content: list[Content] = [
        tag("p", f"Account {scope.account_id}, {scope.region}.", class_="note"),
        tag("ul", cards, class_="cards"),
        section("Training jobs", table("The newest training jobs", ("job", "status", "created (UTC)"), jobs)),
        section("Endpoints", table("The newest endpoints", ("endpoint", "status", "changed (UTC)"), endpoints)),
        section("Alarms", table("Alarms in ALARM", ("alarm", "since (UTC)"), alarms)),
        section("Errors", table("The last calls with an error", ("time (UTC)", "call", "outcome", "resource"), calls)),
    ]
    return Page("The local AWS", content, "")
