"""`slipway status`: where the models and their releases are, as the board has it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from slipway.command import session
from slipway.command.airflow import Airflow, quoted
from slipway.command.errors import CommandError
from slipway.command.exits import Exit
from slipway.command.follow import Follower, conclude
from slipway.command.options import AsJson
from slipway.command.output import Output, moment
from slipway.command.run import failures, newest_run, task_states
from slipway.command.views import show_failure, show_figures
from slipway.image_names import build_dag_id

STAGES = ("source", "train", "development", "approval", "production", "trial")


def status(
    model: Annotated[str | None, typer.Argument(metavar="MODEL", help="One model instead of all.")] = None,
    run_id: Annotated[str | None, typer.Argument(metavar="RUN_ID", help="One of its releases.")] = None,
    releases: Annotated[
        int, typer.Option("--releases", "-n", min=1, max=100, metavar="N", help="How many releases of MODEL to list.")
    ] = 5,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Follow the release, or the newest of MODEL, to its end.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show all models, one model, or one release.

    Without MODEL: a line a model, what waits for a person first. With MODEL: its stages, what is live, open questions,
    failures and the newest releases. With RUN_ID as well: everything about that release.
    """
    output = Output(as_json=as_json)
    airflow = session.connect(output)
    if follow and model:
        run_id = run_id or _newest(airflow, model)
        release, result = Follower(airflow, model, run_id, output).follow(past_questions=True)
        raise typer.Exit(conclude(release, result, airflow, output))
    if model is None:
        _all(airflow, output)
    elif run_id is None:
        _model(airflow, model, releases, output)
    else:
        show_release(airflow.board(f"releases/{quoted(model)}/{quoted(run_id)}"), airflow, output)


def _newest(airflow: Airflow, model: str) -> str:
    found = airflow.board(f"models/{quoted(model)}")["row"]["newest_run_id"]
    if found:
        return str(found)
    raise CommandError(
        "There is no release yet", where=model, why="nothing was uploaded", fix="slipway submit", code=Exit.NOT_FOUND
    )


def _all(airflow: Airflow, output: Output) -> None:
    page = airflow.releases()
    output.json(page)
    if not page["models"]:
        output.text("There are no models. A model file in include/models/ makes one: slipway init")
        return
    rows = [[row["model"], row["need"], *_states(row["stages"]), moment(row["newest_at"])] for row in page["models"]]
    output.table(["model", "need", *STAGES, "newest"], rows)
    for row in page["models"]:
        _questions(row["model"], row["decisions"], output)
        if row["failure"]:
            show_failure(row["failure"], output, f"{row['model']}: ")


def _model(airflow: Airflow, model: str, count: int, output: Output) -> None:
    found = airflow.board(f"models/{quoted(model)}")
    past = airflow.board(f"models/{quoted(model)}/releases", limit=count)
    output.json({"model": found, "releases": past["releases"], "total": past["total"]})
    row = found["row"]
    output.text(f"{model}{': ' + found['description'] if found['description'] else ''}", style="bold")
    if row["paused"]:
        output.text("Its DAG is paused: no release starts.", style="yellow")
    output.table(["stage", "state", "version", "since", ""], [_stage(one) for one in row["stages"]])
    if found["survey"]["say"]:
        output.text(found["survey"]["say"], style="yellow")
    elif not row["served"]:
        # The stages tell of the newest release, also after a teardown.
        output.text("No endpoint of this model exists.")
    for one in row["served"]:
        variants = ", ".join(_variant(variant) for variant in one["variants"])
        output.text(f"{one['environment']}: {one['endpoint']} {one['status']}; {variants}")
        for line in one["drift"]:
            output.text(f"  changed by hand: {line}", style="yellow")
        for alarm in one["alarms"]:
            if alarm.get("state") == "ALARM":
                output.text(f"  alarm: {alarm['name']}", style="bold red")
    _questions(model, row["decisions"], output)
    if row["failure"]:
        show_failure(row["failure"], output)
    if found.get("builds_image", True) and not output.as_json:
        _image(airflow, model, output)
    output.text()
    lines = [
        [
            one["name"] or one["version"] or "",
            one["state"],
            "live" if one["is_live"] else "",
            "; ".join(map(_decided, one["decided"])),
            moment(one["started"]),
            one["run_id"],
        ]
        for one in past["releases"]
    ]
    output.table(["release", "state", "", "decided", "started", "run id"], lines)
    output.text(f"{airflow.url}/dags/{quoted(model)}")


def _image(airflow: Airflow, model: str, output: Output) -> None:
    """Print how the newest build of the model's own image stands, if there was one."""
    dag_id = build_dag_id(model)
    run = newest_run(airflow, dag_id)
    if run is None:
        return
    run_id = run["dag_run_id"]
    output.text(f"newest build of its image: {run['state']}, {airflow.run_url(dag_id, run_id)}")
    if run["state"] == "failed":
        for failure in failures(airflow, dag_id, run_id, task_states(airflow, dag_id, run_id)):
            show_failure(failure, output)


def show_release(release: Mapping[str, Any], airflow: Airflow, output: Output) -> None:
    """Print everything about one release."""
    output.json(release)
    output.text(f"{release['model']} {release['name'] or release['run_id']}: {release['state']}", style="bold")
    output.table(["stage", "state", "version", "since", ""], [_stage(one) for one in release["stages"]])
    for failure in release["failures"]:
        show_failure(failure, output)
    _questions(release["model"], release["decisions"], output)
    for one in release["decided"]:
        output.text(f"{one['task_id']}: {_decided(one)}{': ' + one['comment'] if one['comment'] else ''}")
    show_figures(release["figures"], output)
    output.table(["task", "state", "started", "ended", "tries"], [_task(one) for one in release["tasks"]])
    output.text(airflow.run_url(release["model"], release["run_id"]))


def _questions(model: str, decisions: list[Mapping[str, Any]], output: Output) -> None:
    for one in decisions:
        version = f" version {one['version']}" if one["version"] else ""
        output.text(f"{model}{version} asks: {one['subject']} {one['waits_for']}", style="bold yellow")
        command = "trial" if one["task_id"] == "decide_trial" else "approve (or reject)"
        output.text(f"  slipway {command} {model}, asked {moment(one['asked_at'])}")


def _states(stages: list[Mapping[str, Any]]) -> list[str]:
    found = {one["stage"]: one["state"] for one in stages}
    return [found.get(name, "none") for name in STAGES]


def _stage(one: Mapping[str, Any]) -> list[str]:
    note = one["waits_for"] or (one["task_id"] if one["state"] not in ("done", "none") else "") or ""
    return [one["stage"], one["state"], one["version"] or "", moment(one["since"]), note]


def _task(one: Mapping[str, Any]) -> list[str]:
    return [
        one["task_id"],
        one["state"] or "",
        moment(one["started"]),
        moment(one["ended"]),
        str(one["tries"] or ""),
    ]


def _variant(one: Mapping[str, Any]) -> str:
    version = f" version {one['version']}" if one["version"] else ""
    share = f" {one['share']:.0%}" if one["share"] is not None else ""
    return f"{one['name']}{version}{share} on {one['instances']} {one['instance_type']}"


def _decided(one: Mapping[str, Any]) -> str:
    return f"{one['decision']} by {one['by']}"
