"""The app `slipway`: each command is in a module of its own and imports what is slow when it runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from slipway import __version__
from slipway.command.app import EPILOG, Command, Group
from slipway.command.bootstrap import bootstrap
from slipway.command.build import build
from slipway.command.check import check
from slipway.command.decide import approve, reject, trial
from slipway.command.doctor import doctor
from slipway.command.init import init
from slipway.command.invoke import invoke
from slipway.command.login import login
from slipway.command.logs import logs
from slipway.command.rollback import rollback
from slipway.command.status import status
from slipway.command.stress import stress
from slipway.command.submit import submit
from slipway.command.teardown import teardown

app = typer.Typer(
    name="slipway",
    cls=Group,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_GROUPS: dict[str, tuple[Callable[..., None], ...]] = {
    "Release a model": (init, build, check, submit),
    "Decide": (approve, reject, trial, rollback),
    "Look at it": (status, logs, invoke, stress),
    "Set up": (login, doctor, bootstrap, teardown),
}


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"slipway {__version__}")
        raise typer.Exit


@app.callback()
def slipway(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Release SageMaker models: from a folder to production, through Airflow.

    `slipway init` makes what a first release needs, `slipway check` says what is wrong with it, `slipway submit`
    releases it. Log in with `slipway login`; AWS is reached with your own credentials, as the AWS CLI does.
    """


# The load engine reads the rest of its command line.
_MORE = {stress: {"allow_extra_args": True, "ignore_unknown_options": True}}

for _panel, _commands in _GROUPS.items():
    for _one in _commands:
        app.command(cls=Command, rich_help_panel=_panel, context_settings=_MORE.get(_one))(_one)
