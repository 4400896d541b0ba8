"""make env: write .env for docker-compose.yaml, with generated secrets, this user's id and the ports.

It needs the standard library and openssl only. A second call keeps existing values.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import urllib.parse
from pathlib import Path

from local_aws.host.credentials import kept
from tools import approval_keys
from tools.environment import passwords, write_private
from tools.people import ROLES
from tools.settings import AIRFLOW_ROLE, REGION, ROOT, Settings

ENV_FILE = ROOT / ".env"
# The official Airflow image's own user: https://airflow.apache.org/docs/docker-stack/entrypoint.html
IMAGE_UID = 50000


def container_uid() -> int:
    """Return the user id of Airflow in the containers: this user, who owns the passwords file, but never root."""
    return os.getuid() or IMAGE_UID


def connection(settings: Settings) -> str:
    """Return Airflow's connection to AWS as a URI: quotes and braces of JSON mean something in .env.

    A browser on this machine opens the links to `console_url`.
    https://airflow.apache.org/docs/apache-airflow/stable/howto/connection.html#uri-format
    """
    extra = {"region_name": REGION, "role_arn": AIRFLOW_ROLE, "console_url": settings.console_url}
    return f"aws://?{urllib.parse.urlencode(extra)}"


def variables(settings: Settings) -> dict[str, str]:
    """Return the variables that docker-compose.yaml needs."""
    signing_key, public_keys = approval_keys.new()
    return {
        # The local AWS is one of the services; without `local` there is none.
        "COMPOSE_PROFILES": "local",
        "AIRFLOW_UID": str(container_uid()),
        "POSTGRES_PASSWORD": secrets.token_urlsafe(24),
        "REDIS_PASSWORD": secrets.token_urlsafe(24),
        # Of the database for the ends of tasks, which workers know.
        "RESULTS_PASSWORD": secrets.token_urlsafe(24),
        "FLOWER_PASSWORD": secrets.token_urlsafe(16),
        "GRAFANA_PASSWORD": secrets.token_urlsafe(16),
        "FERNET_KEY": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "JWT_SECRET": secrets.token_urlsafe(48),
        "API_SECRET_KEY": secrets.token_urlsafe(48),
        "APPROVAL_SIGNING_KEY": signing_key,
        "APPROVAL_PUBLIC_KEYS": public_keys,
        # The demo and the tools read them in the state folder.
        **kept(settings.aws_state).variables(),
        "AIRFLOW_CONNECTION": connection(settings),
        "CONTAINERS_AWS_ENDPOINT_URL": "http://local-aws:4566",
        "SLIPWAY_HOME": str(settings.home),
        "SLIPWAY_AIRFLOW_PORT": str(settings.airflow_port),
        "SLIPWAY_AWS_PORT": str(settings.aws_port),
    }


def write(env_file: Path, made: dict[str, str]) -> bool:
    """Add the variables that a file does not have yet; existing secrets stay, because the volumes depend on them.

    :param env_file: the file, which may not be there yet
    :param made: variable → value
    :returns: whether anything was missing
    """
    written = env_file.read_text() if env_file.exists() else ""
    there = {line.partition("=")[0] for line in written.splitlines()}
    added = "".join(f"{name}={value}\n" for name, value in made.items() if name not in there)
    if added:
        write_private(env_file, written + ("" if not written or written.endswith("\n") else "\n") + added)
    return bool(added)


def main() -> None:
    """Write the files that are missing."""
    home = Path(os.environ.get("SLIPWAY_HOME") or ROOT / ".slipway" / "compose").resolve()
    ports = Settings.from_environment()
    settings = Settings(home, ports.airflow_port, ports.aws_port)
    settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    logins = passwords(settings, ROLES)
    if os.getuid() == 0:
        os.chown(settings.passwords_file, IMAGE_UID, 0)
    env_file = Path(os.environ.get("SLIPWAY_ENV_FILE") or ENV_FILE)
    if write(env_file, variables(settings)):
        print(f"Wrote {env_file}.")
    else:
        print(f"{env_file} already exists. For new secrets, remove it and the volumes, which hold the old ones.")
    people = {name: f"{password} ({', '.join(ROLES[name])})" for name, password in logins.items() if name in ROLES}
    print(f"Logins ({settings.passwords_file}): {json.dumps(people, indent=2)}")


if __name__ == "__main__":
    main()
