"""`slipway rollback`: production goes back to an earlier release, by the route of the board's button."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from slipway import names
from slipway.command import session
from slipway.command.airflow import Airflow, quoted
from slipway.command.errors import CommandError
from slipway.command.exits import Exit
from slipway.command.follow import Follower, conclude
from slipway.command.options import AsJson, Model, NoFollow, Yes, confirm
from slipway.command.output import Output

# As in slipway.plan, which imports Airflow.
PREVIOUS, ROLL_BACK_TO = "previous", "roll_back_to"
# The most releases of a page of the board.
_PAGE = 100


def rollback(
    model: Model,
    to: Annotated[
        str, typer.Option("--to", metavar="VERSION", help="A version, the ARN of a model package, or previous.")
    ] = PREVIOUS,
    yes: Yes = False,
    no_follow: NoFollow = False,
    as_json: AsJson = False,
) -> None:
    """Roll production back to an earlier release: nothing is trained, and nobody is asked again.

    Only the model's approvers may. Without --to, it is the release that was live before.
    """
    output = Output(as_json=as_json)
    airflow = session.connect(output)
    found = airflow.board(f"models/{quoted(model)}")
    if found["roll_back_refusal"]:
        raise _refused(model, found["roll_back_refusal"], "ask one of the model's approvers")
    target, name = (PREVIOUS, PREVIOUS) if to == PREVIOUS else _release(airflow, model, to)
    live = next((one["version"] for one in found["row"]["live"] if one["environment"] == "production"), None)
    if to == PREVIOUS and live is None and _nothing_served(found):
        raise _refused(
            model, "nothing is in production", f"release it first, or name a version with --to: slipway status {model}"
        )
    gets = "the release before" if to == PREVIOUS else name
    output.text(f"Production of {model} serves {f'version {live}' if live else 'no known version'}; it gets {gets}.")
    confirm("Go on?", output, yes=yes)
    at = datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%SZ")
    note = f"Roll-back to {name}"
    run_id = airflow.start(model, {ROLL_BACK_TO: target}, f"roll_back_to_{name}__{at}", note)
    if no_follow:
        output.json({"model": model, "run_id": run_id, "exit_code": 0})
        output.text(f"The roll-back has started: slipway status {model} '{run_id}' --follow")
        return
    release, result = Follower(airflow, model, run_id, output).follow(past_questions=True)
    raise typer.Exit(conclude(release, result, airflow, output))


def _nothing_served(found: Mapping[str, Any]) -> bool:
    """Say whether AWS has no production endpoint of the model; False while that is not known."""
    served = any(one["environment"] == "production" for one in found["row"]["served"])
    return found["survey"]["state"] == "fresh" and not served


def _release(airflow: Airflow, model: str, wanted: str) -> tuple[str, str]:
    """Find an earlier release by its version or its package.

    :returns: the package's ARN and its name for people
    :raises CommandError: when there is none, or production cannot go back to it
    """
    path, name = f"models/{quoted(model)}/releases", wanted.removeprefix("v")
    pages: list[dict[str, Any]] = [{"limit": _PAGE}]
    if len(name) <= names.PACKAGE_MAX_CHARS and re.fullmatch(names.PACKAGE_PATTERN, name):
        pages.insert(0, {"limit": _PAGE, "package": name})
    for asked in pages:
        newest = airflow.board(path, **asked)
        # A board of an earlier version answers the first one with its newest releases, too.
        for one in _registered(newest):
            if name in (one["version"], one["package_arn"]):
                return _checked(model, one)
    known = ", ".join(one["version"] for one in _registered(newest)) or "(there are none)"
    if newest["total"] > _PAGE:
        known = f"of the newest {_PAGE} releases {known}, or an older one"
    raise CommandError(
        "There is no such release",
        where=f"{model}, {wanted}",
        why=f"expected previous or one of the versions {known}, found {wanted}",
        fix=f"choose one of them: slipway status {model} --releases {_PAGE}",
        code=Exit.NOT_FOUND,
    )


def _registered(page: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the releases of a page that have a model package of their own."""
    return [one for one in page["releases"] if one["version"] and not one["rolls_back"]]


def _checked(model: str, one: Mapping[str, Any]) -> tuple[str, str]:
    if one["roll_back_refusal"]:
        raise _refused(
            f"{model} version {one['version']}", one["roll_back_refusal"], "choose another release with --to"
        )
    return one["package_arn"], f"v{one['version']}"


def _refused(where: str, why: str, fix: str) -> CommandError:
    return CommandError("Production cannot be rolled back", where=where, why=why, fix=fix, code=Exit.REFUSED)
