"""The access keys of the three users of a local AWS: Airflow, people with their tools, and the administrator.

Standard library only, because the tools that start everything import this too.
"""

from __future__ import annotations

import json
import os
import secrets
import string
from collections.abc import MutableMapping
from dataclasses import asdict, dataclass
from pathlib import Path

FILE_NAME = "credentials.json"
# The IAM users that the keys belong to.
AIRFLOW_USER = "slipway-airflow"
OPERATOR_USER = "slipway-operator"
ADMIN_USER = "slipway-admin"
# The environment variables that bring the keys into a container.
VARIABLES = {
    ("airflow", "access_key_id"): "SLIPWAY_AIRFLOW_ACCESS_KEY_ID",
    ("airflow", "secret_access_key"): "SLIPWAY_AIRFLOW_SECRET_ACCESS_KEY",
    ("operator", "access_key_id"): "SLIPWAY_OPERATOR_ACCESS_KEY_ID",
    ("operator", "secret_access_key"): "SLIPWAY_OPERATOR_SECRET_ACCESS_KEY",
    ("admin", "access_key_id"): "SLIPWAY_ADMIN_ACCESS_KEY_ID",
    ("admin", "secret_access_key"): "SLIPWAY_ADMIN_SECRET_ACCESS_KEY",
}
_ID_CHARACTERS = string.ascii_uppercase + "234567"
_SECRET_CHARACTERS = string.ascii_letters + string.digits


class CredentialsError(Exception):
    """The keys cannot be read; the message says where and what to do."""


@dataclass(frozen=True)
class AccessKey:
    """An access key of an IAM user.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-unique-ids
    """

    access_key_id: str
    secret_access_key: str

    @classmethod
    def new(cls) -> AccessKey:
        """Make a random key."""
        name = "".join(secrets.choice(_ID_CHARACTERS) for _ in range(16))
        return cls(f"AKIA{name}", "".join(secrets.choice(_SECRET_CHARACTERS) for _ in range(40)))

    def __repr__(self) -> str:
        """Keep the secret out of logs."""
        return f"AccessKey({self.access_key_id})"


@dataclass(frozen=True)
class Credentials:
    """The keys of one local AWS.

    :param airflow: what Airflow's own processes sign with
    :param operator: what people's shells, the tools and the demo sign with
    :param admin: what sets the account up, and looks into it in tests
    """

    airflow: AccessKey
    operator: AccessKey
    admin: AccessKey

    @classmethod
    def new(cls) -> Credentials:
        """Make all keys."""
        return cls(AccessKey.new(), AccessKey.new(), AccessKey.new())

    def variables(self) -> dict[str, str]:
        """Return the keys as the environment variables that `from_environment` takes."""
        return {name: asdict(self)[user][part] for (user, part), name in VARIABLES.items()}


def kept(folder: Path) -> Credentials:
    """Read the keys of a state folder, and make them at the first call.

    :param folder: the local AWS's state folder
    :returns: the keys
    :raises CredentialsError: the file is there and holds no keys
    """
    path = folder / FILE_NAME
    if not path.exists():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write_once(path, json.dumps(asdict(Credentials.new()), indent=2) + "\n")
    try:
        found = json.loads(path.read_text())
        keys = {user: AccessKey(**found[user]) for user in ("airflow", "operator")}
        if "admin" not in found:
            # An earlier version had no administrator.
            found |= {"admin": asdict(AccessKey.new())}
            _write(path, json.dumps(found, indent=2) + "\n")
        return Credentials(**keys, admin=AccessKey(**found["admin"]))
    except (ValueError, TypeError, KeyError) as error:
        raise CredentialsError(
            f"{path} holds no access keys of a local AWS ({error!r}). Remove it, and 'make down up' makes new ones."
        ) from None


def from_environment(environment: MutableMapping[str, str]) -> Credentials | None:
    """Remove the keys from the environment, so that no child process inherits them, and return them.

    :param environment: the process's own; it loses them
    :returns: the keys; None where there are none
    :raises CredentialsError: only some of them are there
    """
    found = {part: environment.pop(name, "") for part, name in VARIABLES.items()}
    if not any(found.values()):
        return None
    if missing := [VARIABLES[part] for part, value in found.items() if not value]:
        raise CredentialsError(f"{' and '.join(missing)} must be set too: make env makes them.")
    return Credentials(
        AccessKey(found["airflow", "access_key_id"], found["airflow", "secret_access_key"]),
        AccessKey(found["operator", "access_key_id"], found["operator", "secret_access_key"]),
        AccessKey(found["admin", "access_key_id"], found["admin", "secret_access_key"]),
    )


def _write_once(path: Path, text: str) -> None:
    """Write a private file at once, unless another process has written it."""
    partial = _partial(path, text)
    try:
        os.link(partial, path)
    except FileExistsError:
        # Another process was first.
        return
    finally:
        partial.unlink()


def _write(path: Path, text: str) -> None:
    """Write a private file at once."""
    _partial(path, text).replace(path)


def _partial(path: Path, text: str) -> Path:
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
        stream.write(text)
    return partial
