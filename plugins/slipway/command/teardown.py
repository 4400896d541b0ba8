"""`slipway teardown`: the DAG of that name, which removes all of a model's resources."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated

import typer

from slipway.command import session
from slipway.command.airflow import Airflow, quoted
from slipway.command.errors import CommandError
from slipway.command.exits import Exit
from slipway.command.options import AsJson, Model
from slipway.command.output import Output
from slipway.command.run import follow_run, xcom
from slipway.names import TEARDOWN_DAG_ID


def teardown(
    model: Model,
    confirm: Annotated[
        str | None, typer.Option("--confirm", metavar="NAME", help="The model's name again, instead of being asked.")
    ] = None,
    remove_record: Annotated[
        bool,
        typer.Option("--remove-record", help="Also who approved what and when; there is no copy.", show_default=False),
    ] = False,
    no_follow: Annotated[
        bool, typer.Option("--no-follow", help="Return at once; the run's page shows the rest.", show_default=False)
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Remove a model from AWS: both endpoints, their stacks, configurations and models.

    The endpoints stop answering at once. Only the model's approvers may do this. Data, zips and trained models in S3
    stay, and without --remove-record the record of approvals does too; what was kept is listed, with the commands that
    remove it.
    """
    output = Output(as_json=as_json)
    airflow = session.connect(output)
    airflow.board(f"models/{quoted(model)}")
    if confirm is None and output.interactive:
        output.note(f"This removes both endpoints of {model} from AWS.", style="bold red")
        confirm = typer.prompt("Type the model's name to go on", err=True)
    if confirm != model:
        raise CommandError(
            "Nothing was removed",
            where=model,
            why=f"expected the model's name again, found {confirm or 'nothing'}",
            fix=f"give --confirm {model}",
            code=Exit.USAGE,
        )
    at = datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%SZ")
    conf = {"model": model, "confirm": confirm, "remove_record": remove_record}
    run_id = airflow.start(TEARDOWN_DAG_ID, conf, f"teardown_{model}__{at}", f"Teardown of {model}")
    url = airflow.run_url(TEARDOWN_DAG_ID, run_id)
    if no_follow:
        output.json({"model": model, "run_id": run_id, "exit_code": 0})
        output.text(f"The teardown has started: {url}")
        return
    try:
        state, tasks = follow_run(airflow, TEARDOWN_DAG_ID, run_id, output)
    except KeyboardInterrupt as error:
        raise CommandError(
            "You no longer follow the teardown",
            where=url,
            why="you pressed Ctrl-C; it goes on in Airflow",
            fix="look at its page",
            code=Exit.INTERRUPTED,
        ) from error
    if state != "success":
        raise _failure(airflow, run_id, tasks, url)
    kept = xcom(airflow, TEARDOWN_DAG_ID, run_id, "nothing_left", "kept") or []
    output.json({"model": model, "run_id": run_id, "kept": kept, "exit_code": 0})
    output.text(f"{model} is removed.", style="green")
    for one in kept:
        output.text(f"kept: {one}")
    output.text(url)


def _failure(airflow: Airflow, run_id: str, tasks: Mapping[str, str], url: str) -> CommandError:
    failed = next((task_id for task_id, state in tasks.items() if state == "failed"), "remove")
    told = xcom(airflow, TEARDOWN_DAG_ID, run_id, failed, "slipway_failure") or {}
    return CommandError(
        str(told.get("what") or "The teardown failed"),
        where=told.get("where") or url,
        why=told.get("why") or f"the task {failed} failed",
        fix=told.get("fix") or f"read its log: {url}",
    )
