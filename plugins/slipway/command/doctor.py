"""`slipway doctor`: what is missing between here and production, and how to get it."""

from __future__ import annotations

import platform
from collections import Counter
from typing import Annotated

import typer

from slipway import __version__
from slipway.command import account, airflow_health, session
from slipway.command.aws import Aws
from slipway.command.errors import of_release
from slipway.command.exits import Exit
from slipway.command.findings import Finding, State, looking, ok, problem
from slipway.command.options import AsJson, Models
from slipway.command.output import Output
from slipway.command.release_code import release_code
from slipway.command.settings import Settings
from slipway.command.sources import models_in

_BEHIND_THE_LOGIN = ("the board", "the DAGs", "the DAG files")
_IN_AIRFLOW = ("Airflow's parts, version and guard", "your login", *_BEHIND_THE_LOGIN)


def doctor(
    model: Annotated[str | None, typer.Argument(metavar="MODEL", help="Only this model's parts.")] = None,
    models: Models = None,
    as_json: AsJson = False,
) -> None:
    """Look at Airflow, AWS and the model files, and say what is missing and how to get it.

    It only reads. In Airflow: its parts, version, plugin, guard, DAGs, and what was changed by hand. In AWS: your
    credentials, the set-up stacks, the bucket, the models' roles, and quotas. The exit code is 1 if anything is wrong.
    """
    output = Output(as_json=as_json)
    found = [ok("this computer", f"slipway {__version__}, Python {platform.python_version()}")]
    with looking("Airflow's address", found, then=_IN_AIRFLOW):
        url = Settings.read().airflow_url
        with looking("Airflow answers", found, then=_IN_AIRFLOW):
            found += airflow_health.of_server(url)
            with looking("your login", found, then=_BEHIND_THE_LOGIN):
                found += airflow_health.of_person(session.connect(output), model)
    with release_code(output):
        place, known, errors = models_in(models)
        for error in errors:
            told = of_release(error)
            why = ": ".join(part for part in (told.where, told.why or told.what) if part)
            found.append(problem("the model files", why, told.fix or ""))
        wanted = [one for one in known if model in (None, one.prefix)]
        if known and not errors:
            found.append(ok("the model files", f"{', '.join(one.prefix for one in known)} in {place}"))
        found += account.examine(Aws(), wanted, all_models=model is None and not errors)
    _tell(found, output)
    wrong = any(one.state is State.PROBLEM for one in found)
    output.json({"findings": [one.document() for one in found], "exit_code": int(Exit.FAILED if wrong else Exit.DONE)})
    if wrong:
        raise typer.Exit(Exit.FAILED)


def _tell(found: list[Finding], output: Output) -> None:
    output.table(["", "what", "found"], [[str(one.state), one.about, one.found] for one in found])
    for one in found:
        if one.state is State.PROBLEM:
            output.text(f"{one.about}: {one.found}", style="bold red")
            output.text(f"  Fix: {one.fix}")
    counts = Counter(one.state for one in found)
    output.text(", ".join(f"{state} {counts[state]}" for state in State))
