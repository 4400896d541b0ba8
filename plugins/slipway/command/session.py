"""Who the person is: a token from the environment, from a login, or from the answers to two questions."""

from __future__ import annotations

import os

import typer

from slipway.command import settings as places
from slipway.command.airflow import Airflow, login
from slipway.command.errors import CommandError
from slipway.command.exits import Exit
from slipway.command.output import Output
from slipway.command.settings import Login, Settings


def connect(output: Output) -> Airflow:
    """Return Airflow's API for whoever is logged in; at a terminal, ask who is not.

    :raises CommandError: when Airflow's address or the person is not known
    """
    settings = Settings.read()
    url = settings.airflow_url
    if token := os.environ.get(places.TOKEN):
        return Airflow(url, token)
    user, password = os.environ.get(places.USER, ""), os.environ.get(places.PASSWORD)
    if user and password:
        return Airflow(url, login(url, user, password), lambda: login(url, user, password))
    known = settings.logins.get(url)
    if known and user in ("", known.user):
        return Airflow(url, known.token, lambda: _asked(settings, known.user, output))
    if made := _asked(settings, user, output):
        return Airflow(url, made)
    raise CommandError(
        "You are not logged in",
        where=url,
        why=f"neither {places.TOKEN} nor {places.USER} and {places.PASSWORD} are set, and no login is stored",
        fix="slipway login",
        code=Exit.NO_ACCESS,
    )


def _asked(settings: Settings, user: str, output: Output) -> str | None:
    """Ask for name and password, keep the token, and return it; None where nobody can be asked."""
    if not output.interactive:
        return None
    url = settings.airflow_url
    user = user or typer.prompt(f"Your name at {url}", err=True)
    return store(settings, user, login(url, user, typer.prompt(f"Password of {user}", hide_input=True, err=True)))


def store(settings: Settings, user: str, token: str) -> str:
    """Keep a token for the next commands; the password is kept nowhere.

    :returns: the token
    """
    settings.logins[settings.airflow_url] = Login(user, token)
    settings.write()
    return token
