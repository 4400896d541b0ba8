"""`slipway login`."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from slipway.command import airflow, session
from slipway.command import settings as places
from slipway.command.airflow import Airflow
from slipway.command.errors import CommandError
from slipway.command.exits import Exit
from slipway.command.options import AsJson
from slipway.command.output import Output
from slipway.command.settings import Settings, checked_url, config_file


def login(
    url: Annotated[
        str | None,
        typer.Option("--url", metavar="URL", help="Airflow's address, if SLIPWAY_AIRFLOW_URL does not say it."),
    ] = None,
    user: Annotated[str | None, typer.Option("--user", "-u", metavar="NAME", help="Your name in Airflow.")] = None,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from stdin.", show_default=False)
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Log in to Airflow, and keep the token.

    Airflow gives a token for your name and password; only the token is stored, in a file that only you may read. Where
    people log in by another service, set SLIPWAY_AIRFLOW_TOKEN instead.
    """
    output, settings = Output(as_json=as_json), Settings.read()
    if url:
        settings.url = checked_url(url)
    address = settings.airflow_url
    if address.startswith("http://") and not airflow.is_loopback(address):
        output.note(f"{address} is not encrypted: others in the network can read the password.", style="yellow")
    user = user or os.environ.get(places.USER) or _ask("--user", f"Your name at {address}", output)
    password = (
        sys.stdin.readline().rstrip("\r\n")
        if password_stdin
        else os.environ.get(places.PASSWORD) or _ask("--password-stdin", f"Password of {user}", output, hidden=True)
    )
    token = session.store(settings, user, airflow.login(address, user, password))
    name = Airflow(address, token).user()
    output.text(f"Logged in to {address} as {name}. The token is in {config_file()}.")
    output.json({"url": address, "user": name, "config_file": str(config_file())})


def _ask(option: str, question: str, output: Output, *, hidden: bool = False) -> str:
    if not output.interactive:
        raise CommandError(
            "Name or password is missing",
            where=option,
            why="nobody can be asked, because this is no terminal",
            fix=f"give {option}, or set {places.USER} and {places.PASSWORD}",
            code=Exit.USAGE,
        )
    return str(typer.prompt(question, hide_input=hidden, err=True))
