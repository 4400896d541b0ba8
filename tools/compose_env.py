"""Write .env for docker-compose.yaml, with generated secrets and this user's id: `python3 -m tools.compose_env`.

It needs the standard library and openssl only. A second call keeps existing values.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
from pathlib import Path

from local_aws.host.credentials import Credentials
from tools import approval_keys
from tools.environment import passwords, write_private
from tools.settings import OPERATORS, ROOT, Settings

ENV_FILE = ROOT / ".env"
# The official Airflow image's own user: https://airflow.apache.org/docs/docker-stack/entrypoint.html
IMAGE_UID = 50000


def container_uid() -> int:
    """Return the user id of Airflow in the containers: this user, who owns the passwords file, but never root."""
    return os.getuid() or IMAGE_UID


def variables(settings: Settings) -> dict[str, str]:
    """Return the variables that docker-compose.yaml needs."""
    signing_key, public_keys = approval_keys.new()
    users = ["admin:admin", *(f"{user}:op" for user in OPERATORS)]
    return {
        "AIRFLOW_UID": str(container_uid()),
        "AIRFLOW_USERS": ",".join(users),
        "POSTGRES_PASSWORD": secrets.token_urlsafe(24),
        "FERNET_KEY": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "JWT_SECRET": secrets.token_urlsafe(48),
        "API_SECRET_KEY": secrets.token_urlsafe(48),
        "APPROVAL_SIGNING_KEY": signing_key,
        "APPROVAL_PUBLIC_KEYS": public_keys,
        **Credentials.new().variables(),
        "SLIPWAY_HOME": str(settings.home),
        "SLIPWAY_AIRFLOW_PORT": str(settings.airflow_port),
        "SLIPWAY_AWS_PORT": str(settings.aws_port),
    }


def main() -> None:
    """Write the files that are missing."""
    home = Path(os.environ.get("SLIPWAY_HOME") or ROOT / ".slipway" / "compose").resolve()
    ports = Settings.from_environment()
    settings = Settings(home, ports.airflow_port, ports.aws_port)
    settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    logins = passwords(settings)
    if os.getuid() == 0:
        os.chown(settings.passwords_file, IMAGE_UID, 0)
    written = ENV_FILE.read_text() if ENV_FILE.exists() else ""
    there = {line.partition("=")[0] for line in written.splitlines()}
    # A newer version's variables are added. Existing secrets stay: the volumes depend on them.
    added = "".join(f"{name}={value}\n" for name, value in variables(settings).items() if name not in there)
    if added:
        write_private(ENV_FILE, written + ("" if not written or written.endswith("\n") else "\n") + added)
        print(f"Wrote {ENV_FILE}.")
    else:
        print(f"{ENV_FILE} already exists. For new secrets, remove it and the volumes, which hold the old ones.")
    print(f"Logins ({settings.passwords_file}): {json.dumps(logins)}")


if __name__ == "__main__":
    main()
