"""`slipway approve`, `reject` and `trial`: answers to a release's questions, by the route of the board's buttons."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any

import typer

from slipway.command import session
from slipway.command.airflow import Airflow, quoted
from slipway.command.errors import CommandError
from slipway.command.exits import Exit
from slipway.command.follow import Follower, conclude
from slipway.command.options import AsJson, Comment, Model, RunId, Yes, confirm
from slipway.command.output import Output, moment
from slipway.command.views import show_figures

_APPROVE, _TRIAL = "approve", "decide_trial"
Follow = Annotated[bool, typer.Option("--follow", "-f", help="Then follow the release to its end.", show_default=False)]


class Verdict(StrEnum):
    """What may become of the model on trial."""

    PROMOTE = "promote"
    KEEP = "keep"
    RETIRE = "retire"


def approve(
    model: Model,
    run_id: RunId = None,
    comment: Comment = "",
    yes: Yes = False,
    follow: Follow = False,
    as_json: AsJson = False,
) -> None:
    """Approve the release that waits: it goes into production.

    Only the people whom the model file names may; Airflow's guard checks it and keeps who approved, when, and why.
    """
    _answer(model, _APPROVE, "Approve", run_id, comment, Output(as_json=as_json), yes=yes, follow=follow)


def reject(
    model: Model,
    run_id: RunId = None,
    comment: Comment = "",
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Reject the release that waits: it ends, and production stays as it is."""
    _answer(model, _APPROVE, "Reject", run_id, comment, Output(as_json=as_json), yes=yes, follow=False)


def trial(
    model: Model,
    verdict: Annotated[Verdict | None, typer.Argument(help="What to do with the model on trial.")] = None,
    run_id: RunId = None,
    comment: Comment = "",
    yes: Yes = False,
    follow: Follow = False,
    as_json: AsJson = False,
) -> None:
    """Decide the trial that waits; without a verdict, show its figures.

    promote puts the new model step by step in the live one's place, keep leaves both where they are, retire removes the
    new one.
    """
    output = Output(as_json=as_json)
    if verdict:
        _answer(model, _TRIAL, verdict.value.capitalize(), run_id, comment, output, yes=yes, follow=follow)
        return
    decision = _open_question(session.connect(output), model, _TRIAL, run_id)
    output.json({"decision": decision, "exit_code": int(Exit.WAITS)})
    _show(model, decision, output)
    raise typer.Exit(Exit.WAITS)


def _answer(
    model: str,
    task_id: str,
    option: str,
    run_id: str | None,
    comment: str,
    output: Output,
    *,
    yes: bool,
    follow: bool,
) -> None:
    airflow = session.connect(output)
    decision = _open_question(airflow, model, task_id, run_id)
    button = next((one for one in decision["options"] if one["name"] == option), None)
    if button is None or button["refusal"]:
        raise CommandError(
            "You may not answer this" if button else "There is no such answer",
            where=f"{model}, {task_id} of {decision['run_id']}",
            why=button["refusal"] if button else f"the answers are {_names(decision)}",
            fix="ask somebody who may" if button else "choose one of them",
            code=Exit.REFUSED,
        )
    _show(model, decision, output)
    confirm(f"{option}: {button['effect']} Go on?", output, yes=yes)
    airflow.answer(model, decision, option, comment)
    if follow:
        release, result = Follower(airflow, model, decision["run_id"], output).follow(past_questions=True)
        raise typer.Exit(conclude(release, result, airflow, output))
    output.json({"model": model, "run_id": decision["run_id"], "answer": option, "comment": comment, "exit_code": 0})
    output.text(f"Your answer is stored: {option}. The release goes on by itself.", style="green")
    output.text(f"Follow it: slipway status {model} '{decision['run_id']}' --follow")


def _open_question(airflow: Airflow, model: str, task_id: str, run_id: str | None) -> dict[str, Any]:
    """Find the question that waits.

    :raises CommandError: when none does, or several do and nobody said which
    """
    found = airflow.board(f"models/{quoted(model)}")["row"]["decisions"]
    asked = [one for one in found if one["task_id"] == task_id and run_id in (None, one["run_id"])]
    if len(asked) == 1:
        decision: dict[str, Any] = asked[0]
        return decision
    others = ", ".join(f"{one['task_id']} of {one['run_id']}" for one in found)
    raise CommandError(
        "Several releases wait" if asked else "No release waits for this answer",
        where=model,
        why=f"open questions: {others}" if others else "no question is open",
        fix="name one with --run" if asked else f"see where its releases are: slipway status {model}",
        code=Exit.USAGE if asked else Exit.NOT_FOUND,
    )


def _show(model: str, decision: Mapping[str, Any], output: Output) -> None:
    version = f" version {decision['version']}" if decision["version"] else ""
    output.text(f"{model}{version}: {decision['subject']}", style="bold")
    uploader = f"; uploaded by {decision['uploader']}" if decision["uploader"] else ""
    ends = f", until {moment(decision['ends_at'])}" if decision["ends_at"] else ""
    output.text(f"{decision['waits_for']}; asked {moment(decision['asked_at'])}{ends}{uploader}")
    for one in decision["approvals"]:
        output.text(one)
    show_figures(decision["figures"], output)
    changes = decision["changes"]
    if changes and changes["same_zip"]:
        output.text("The zip is that of the live release.")
    elif changes and changes["live_version"]:
        rows = [[one["name"], one["new"] or "", one["live"] or ""] for one in changes["contents"]]
        output.table(["in the zip", "new", "live"], [row for row in rows if row[1] != row[2]])
    for one in decision["options"]:
        output.text(f"{one['name']}: {one['effect']}{' (' + one['refusal'] + ')' if one['refusal'] else ''}")


def _names(decision: Mapping[str, Any]) -> str:
    return ", ".join(one["name"] for one in decision["options"])
