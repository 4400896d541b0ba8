"""What a person has set: environment variables first, then ~/.config/slipway/config.toml, which `login` writes."""

from __future__ import annotations

import json
import os
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from slipway.command.errors import CommandError
from slipway.command.exits import Exit

URL, TOKEN = "SLIPWAY_AIRFLOW_URL", "SLIPWAY_AIRFLOW_TOKEN"
USER, PASSWORD = "SLIPWAY_AIRFLOW_USER", "SLIPWAY_AIRFLOW_PASSWORD"


@dataclass(frozen=True)
class Login:
    """Who somebody is at one Airflow."""

    user: str
    token: str = field(repr=False)


def config_file() -> Path:
    """The configuration file; it need not exist.

    https://specifications.freedesktop.org/basedir-spec/latest/
    """
    folder = os.environ.get("XDG_CONFIG_HOME")
    return (Path(folder) if folder else Path.home() / ".config") / "slipway" / "config.toml"


@dataclass
class Settings:
    """The settings of one person.

    :param url: Airflow's address, without a slash at its end; None if none is known
    :param logins: by address
    """

    url: str | None = None
    logins: dict[str, Login] = field(default_factory=dict)

    @classmethod
    def read(cls) -> Settings:
        """Read the configuration file and the environment.

        :raises CommandError: when the file is no TOML or has something else in it
        """
        found = _stored()
        if url := os.environ.get(URL):
            found.url = checked_url(url)
        return found

    @property
    def airflow_url(self) -> str:
        """Airflow's address.

        :raises CommandError: when nobody has named one
        """
        if self.url is None:
            raise CommandError(
                "Airflow's address is not known",
                why=f"{URL} is not set, and {config_file()} names none",
                fix="slipway login --url https://airflow.example.com; for the local system: source .slipway/env",
                code=Exit.NO_ACCESS,
            )
        return self.url

    def write(self) -> Path:
        """Write the configuration file, which only its owner may read: it has tokens.

        :returns: the file
        """
        lines = [f"url = {_quoted(self.url)}"] if self.url else []
        for url, login in sorted(self.logins.items()):
            lines += ["", f"[logins.{_quoted(url)}]"]
            lines += [f"user = {_quoted(login.user)}", f"token = {_quoted(login.token)}"]
        path = config_file()
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        partial = path.with_name(f"{path.name}.{os.getpid()}")
        partial.unlink(missing_ok=True)
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
            stream.write("\n".join(lines) + "\n")
        partial.replace(path)
        return path


def _stored() -> Settings:
    path = config_file()
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
        logins = {
            checked_url(url): Login(str(one["user"]), str(one["token"]))
            for url, one in document.get("logins", {}).items()
        }
        url = document.get("url")
        return Settings(checked_url(url) if url else None, logins)
    except FileNotFoundError:
        return Settings()
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CommandError(
            "The configuration file cannot be read",
            where=str(path),
            why=f"{type(error).__name__}: {error}",
            fix="correct it, or remove it and run: slipway login",
            code=Exit.USAGE,
        ) from error


def checked_url(url: str) -> str:
    """Return an address without the slash at its end.

    :raises CommandError: when it is no address of a web server
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise CommandError(
            "This is not the address of an Airflow",
            where=url,
            why="expected http://HOST or https://HOST, with a port or a path if it has one",
            fix="copy the address of Airflow's home page from your browser",
            code=Exit.USAGE,
        )
    if parts.username or parts.password:
        raise CommandError(
            "The address has a name or a password in it",
            where=f"{parts.scheme}://{parts.hostname}",
            why="it would be stored and shown",
            fix=f"leave it out; set {USER} and {PASSWORD}, or answer the questions of slipway login",
            code=Exit.USAGE,
        )
    return url.rstrip("/")


def _quoted(text: str) -> str:
    """Write a text as TOML, whose basic strings JSON's are. https://toml.io/en/v1.0.0#string"""
    return json.dumps(text, ensure_ascii=False)
