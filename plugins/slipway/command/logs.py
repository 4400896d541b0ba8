"""`slipway logs`: the log of a release's task, or of its training job."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from slipway.command import session
from slipway.command.airflow import Airflow, quoted, run_path
from slipway.command.aws import Aws
from slipway.command.errors import CommandError
from slipway.command.exits import Exit
from slipway.command.options import AsJson, Model, RunId
from slipway.command.output import Output

# https://docs.aws.amazon.com/sagemaker/latest/dg/logging-cloudwatch.html
_TRAINING_LOG_GROUP = "/aws/sagemaker/TrainingJobs"
# Whose log is shown when no task is named, the first that there is.
_TELLING = ("failed", "up_for_retry", "running", "deferred", "awaiting_input", "success")


def logs(
    model: Model,
    task: Annotated[
        str | None,
        typer.Argument(metavar="TASK", help="Such as train.", show_default="the task that failed, or is at work"),
    ] = None,
    run_id: RunId = None,
    attempt: Annotated[
        int | None,
        typer.Option("--try", min=1, metavar="N", help="Which attempt.", show_default="the last"),
    ] = None,
    training: Annotated[
        bool, typer.Option("--training", help="The training job's log in CloudWatch.", show_default=False)
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show the log of a task, or of the training job."""
    output = Output(as_json=as_json)
    airflow = session.connect(output)
    run_id = run_id or _newest(airflow, model)
    if training:
        job = _training_job(airflow, model, run_id)
        lines = list(_training_lines(Aws(), job))
        output.json({"model": model, "run_id": run_id, "training_job": job, "lines": lines})
    else:
        release = airflow.board(f"releases/{quoted(model)}/{quoted(run_id)}")
        found = _chosen(release, task)
        number = attempt or found["tries"]
        path = f"{run_path(model, run_id)}/taskInstances/{quoted(found['task_id'])}/logs/{number}"
        content = airflow.api("GET", path, full_content="true")["content"]
        lines = [_line(one) for one in content if _is_told(one)]
        where = {"model": model, "run_id": run_id, "task": found["task_id"], "try": number}
        output.json({**where, "lines": lines})
        output.note(f"{found['task_id']}, attempt {number} of {run_id}", style="bold")
    for line in lines:
        output.text(line)


def _newest(airflow: Airflow, model: str) -> str:
    found = airflow.board(f"models/{quoted(model)}")["row"]["newest_run_id"]
    if found is None:
        raise CommandError(
            "There is no release yet",
            where=model,
            why="Airflow has no run of it",
            fix="slipway submit",
            code=Exit.NOT_FOUND,
        )
    return str(found)


def _chosen(release: Mapping[str, Any], task: str | None) -> Mapping[str, Any]:
    begun = [one for one in release["tasks"] if one["tries"]]
    if task is None:
        # Of the tasks that succeeded, the last one.
        found = min(reversed(begun), key=lambda one: _rank(one["state"]), default=None)
    else:
        found = next((one for one in begun if one["task_id"] == task), None)
    if found is None:
        raise CommandError(
            "There is no log",
            where=f"{release['model']}, {task or 'any task'} of {release['run_id']}",
            why=f"the tasks that have begun are {', '.join(one['task_id'] for one in begun) or 'none yet'}",
            fix="name one of them, or another release with --run",
            code=Exit.NOT_FOUND,
        )
    return found


def _rank(state: str | None) -> int:
    return _TELLING.index(state) if state in _TELLING else len(_TELLING)


def _is_told(entry: Any) -> bool:
    """Leave out the marks by which Airflow's page folds a log."""
    return not (isinstance(entry, dict) and str(entry.get("event", "")).startswith(("::group::", "::endgroup::")))


def _line(entry: Any) -> str:
    if not isinstance(entry, dict):
        return str(entry)
    begin = " ".join(str(entry[name])[:19] for name in ("timestamp", "level") if entry.get(name))
    text = f"{begin} {entry.get('event', '')}".strip()
    for detail in entry.get("error_detail") or []:
        text += f"\n{detail.get('exc_type', '')}: {detail.get('exc_value', '')}"
    return text


def _training_job(airflow: Airflow, model: str, run_id: str) -> str:
    path = f"{run_path(model, run_id)}/taskInstances/process_request/xcomEntries/return_value"
    try:
        return str(airflow.api("GET", path, stringify="false")["value"]["training_job_name"])
    except (CommandError, KeyError, TypeError) as error:
        if isinstance(error, CommandError) and error.code is not Exit.NOT_FOUND:
            raise
        raise CommandError(
            "This run has no training job",
            where=f"{model}, {run_id}",
            why="its task process_request has made no plan: it was refused, or it is a roll-back",
            fix=f"slipway logs {model} shows the log of what failed; --run names another release",
            code=Exit.NOT_FOUND,
        ) from error


def _training_lines(aws: Aws, job: str) -> Iterator[str]:
    """Read the log of a training job, each stream in its order.

    https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_GetLogEvents.html
    """
    client = aws.client("logs")
    with aws.calling("Cannot read the training job's log", job, fix="it begins some time after the job has started"):
        pages = client.get_paginator("describe_log_streams").paginate(
            logGroupName=_TRAINING_LOG_GROUP, logStreamNamePrefix=f"{job}/"
        )
        for stream in [one["logStreamName"] for page in pages for one in page["logStreams"]]:
            token: dict[str, str] = {}
            while True:
                found = client.get_log_events(
                    logGroupName=_TRAINING_LOG_GROUP, logStreamName=stream, startFromHead=True, **token
                )
                for event in found["events"]:
                    at = datetime.fromtimestamp(event["timestamp"] / 1000, UTC)
                    yield f"{at:%Y-%m-%dT%H:%M:%S} {event['message'].rstrip()}"
                if not found["events"] or found["nextForwardToken"] == token.get("nextToken"):
                    break
                token = {"nextToken": found["nextForwardToken"]}
