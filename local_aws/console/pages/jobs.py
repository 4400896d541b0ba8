"""Training jobs."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from local_aws.console.html import Content, Markup, tag
from local_aws.console.parts import (
    Cells,
    cut,
    facts,
    field,
    long,
    moment,
    number,
    onward,
    pairs,
    search,
    section,
    state,
    table,
)
from local_aws.console.plots import Points, plot
from local_aws.console.request import ROWS, Asked, Missing, Page
from local_aws.console.sources import Sources

LOG_GROUP = "/aws/sagemaker/TrainingJobs"
_LINES = 200
# A line may have a quarter of a megabyte.
_LINE_CHARACTERS = 4000
# More of a log is not read for the plots.
_READ_LINES = 20_000
# The built-in XGBoost's metric lines. A tab is written as #011, as in SageMaker's logs.
_ROUND = re.compile(r"\[(\d{1,9})\]((?:(?:#011|\s)+[\w.@-]{1,100}:[-+.\w]{1,30}){1,50})\s*")
_VALUE = re.compile(r"([\w.@-]+):([-+.\w]+)")


def jobs(asked: Asked, sources: Sources) -> Page:
    """List the jobs, the newest first."""
    name = asked.get("containing")
    found = sources.sagemaker.newest(asked.scope, "training_jobs", ROWS, asked.position(), containing=name)
    rows = [
        (
            asked.link(job["TrainingJobName"], "job", name=job["TrainingJobName"]),
            state(job["TrainingJobStatus"]),
            job["SecondaryStatus"],
            moment(job["CreationTime"]),
            moment(job.get("TrainingEndTime")),
            number(job.get("TrainingTimeInSeconds")),
            job["ResourceConfig"].get("InstanceType", ""),
        )
        for job in found.documents
    ]
    heads = ("job", "status", "secondary status", "created (UTC)", "ended", "seconds", "instance")
    form = search(asked, "Training jobs", field("Name contains", "containing", name))
    older = found.next and asked.link("Older jobs", "jobs", containing=name, before="{} {}".format(*found.next))
    newest = asked.get("before") and asked.link("Newest jobs", "jobs", containing=name)
    return Page("Training jobs", (table("Training jobs", heads, rows), onward(newest, older)), "jobs", form)


def job(asked: Asked, sources: Sources) -> Page:
    """Show one job: what it was asked for, its metrics, its log."""
    name = asked.get("name")
    found = sources.sagemaker.described(asked.scope, "DescribeTrainingJob", TrainingJobName=name)
    if found is None:
        raise Missing(f"There is no training job {name}.")
    events = _log(asked, sources, found["TrainingJobName"])
    content: list[Content] = [
        facts(
            [
                ("status", (state(found["TrainingJobStatus"]), f", {found['SecondaryStatus']}")),
                ("failure reason", found.get("FailureReason")),
                ("created (UTC)", moment(found["CreationTime"])),
                ("training began", moment(found.get("TrainingStartTime"))),
                ("training ended", moment(found.get("TrainingEndTime"))),
                ("image", found["AlgorithmSpecification"].get("TrainingImage")),
                ("role", found["RoleArn"]),
                ("instance", _instance(found["ResourceConfig"])),
                ("model artefact", found["ModelArtifacts"]["S3ModelArtifacts"]),
                ("ARN", found["TrainingJobArn"]),
            ]
        ),
        section("Metrics", _metrics(found, events)),
        section("Log", _tail(asked, found["TrainingJobName"], events)),
        section("Hyperparameters", pairs("Hyperparameters", found.get("HyperParameters", {}))),
        section("Input and output", _channels(found)),
        section("Status transitions", _transitions(found)),
        section("Tags", pairs("Tags", sources.sagemaker.tags(asked.scope, found["TrainingJobArn"]), "key")),
    ]
    return Page(found["TrainingJobName"], content, "jobs")


def _log(asked: Asked, sources: Sources, name: str) -> list[Mapping[str, Any]]:
    views = sources.views.alarms
    streams = views.log_streams(asked.scope, LOG_GROUP, f"{name}/")
    return [event for stream, _ in streams for event in views.log_events(asked.scope, LOG_GROUP, stream)[-_READ_LINES:]]


def _metrics(job: Mapping[str, Any], events: Iterable[Mapping[str, Any]]) -> Content:
    final = [
        (metric["MetricName"], str(metric["Value"]) if isinstance(metric["Value"], str) else number(metric["Value"]),
         moment(metric["Timestamp"]))
        for metric in job.get("FinalMetricDataList", [])
    ]  # fmt: skip
    rounds = metrics_of(str(event["message"]) for event in events)
    grouped: defaultdict[str, list[tuple[str, Points]]] = defaultdict(list)
    for name, points in rounds.items():
        grouped[name.partition("-")[2] or name].append((name.partition("-")[0], points))
    drawn = [plot(f"{metric} by round", series, along="round") for metric, series in grouped.items()]
    return (
        tag("div", drawn, class_="plots") if drawn else None,
        table("Final metrics", ("metric", "value", "time (UTC)"), final, "There are none yet."),
    )


def metrics_of(lines: Iterable[str]) -> dict[str, list[tuple[float, float]]]:
    """Read the built-in XGBoost's metrics of each round from a log.

    https://docs.aws.amazon.com/sagemaker/latest/dg/xgboost-tuning.html

    :param lines: of the log
    :returns: round and value, by metric
    """
    found: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)
    for line in lines:
        if match := _ROUND.fullmatch(line):
            for name, value in _VALUE.findall(match[2].replace("#011", " ")):
                try:
                    found[name].append((float(match[1]), float(value)))
                except ValueError:
                    continue
    return found


def _tail(asked: Asked, name: str, events: list[Mapping[str, Any]]) -> Content:
    if not events:
        return tag("p", "There are no lines yet.", class_="nothing")
    lines = log_lines(events[-_LINES:])
    note = f"The last {min(_LINES, len(events))} of {len(events):,} lines."
    whole = asked.link("The whole log", "log", group=LOG_GROUP, stream=f"{name}/")
    return tag("p", note, " ", whole, class_="note"), lines


def log_lines(events: Iterable[Mapping[str, Any]]) -> Markup:
    """Return lines of a log, which stay at their end while there are more; a long line is cut."""
    lines = "\n".join(cut(str(event["message"]), _LINE_CHARACTERS) for event in events)
    return tag("pre", lines, class_="wrapped follow", id="log", tabindex="0", role="region", aria_label="Log")


def _instance(resources: Mapping[str, Any]) -> str:
    count, kind = resources.get("InstanceCount", ""), resources.get("InstanceType", "")
    return f"{count} of {kind}" if kind else ""


def _channels(job: Mapping[str, Any]) -> Markup:
    rows: list[Cells] = [
        (one["ChannelName"], long(one["DataSource"].get("S3DataSource", {}).get("S3Uri")), one.get("ContentType", ""))
        for one in job.get("InputDataConfig", [])
    ]
    rows.append(("output", long(job["OutputDataConfig"]["S3OutputPath"]), ""))
    return table("Channels", ("channel", "S3", "content type"), rows)


def _transitions(job: Mapping[str, Any]) -> Markup:
    rows = [
        (one["Status"], moment(one["StartTime"]), moment(one.get("EndTime")), one.get("StatusMessage", ""))
        for one in job["SecondaryStatusTransitions"]
    ]
    return table("Status transitions", ("status", "began (UTC)", "ended", "message"), rows)
