"""The container `init` of docker-compose.yaml: make databases, people, and the local AWS's set-up stacks.

What is there already stays as it is.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

from tools.people import APPROVER_PERMISSIONS, ROLES

PASSWORDS_FILE = Path("/run/passwords.json")
AIRFLOW_DATABASE = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"
SHARED = (Path("/opt/airflow/logs"), Path("/opt/airflow/model-copies"))
PLUGINS = "/opt/airflow/plugins"
AIRFLOW_PRINCIPAL = "arn:aws:iam::123456789012:user/slipway-airflow"


def make_result_database(airflow: str, results: str) -> None:
    """Make the database for the ends of tasks, and a role that owns it and cannot enter Airflow's.

    :param airflow: the URL of Airflow's database
    :param results: that of the other one, as Celery takes it
    """
    import psycopg2
    from psycopg2.sql import SQL, Identifier, Literal

    wanted = urlsplit(results)
    name, role = Identifier(wanted.path.removeprefix("/")), Identifier(wanted.username or "")
    with contextlib.closing(psycopg2.connect(airflow.replace("+psycopg2", "", 1))) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (wanted.username,))
            verb = SQL("ALTER" if cursor.fetchone() else "CREATE")
            cursor.execute(SQL("{} ROLE {} LOGIN PASSWORD {}").format(verb, role, Literal(wanted.password)))
            cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", (wanted.path.removeprefix("/"),))
            if not cursor.fetchone():
                cursor.execute(SQL("CREATE DATABASE {} OWNER {}").format(name, role))
            own = Identifier(connection.info.dbname)
            cursor.execute(SQL("REVOKE CONNECT ON DATABASE {} FROM PUBLIC").format(own))


def make_people(passwords: dict[str, str]) -> None:
    """Create Flask-AppBuilder's role of approvers and the users that are missing.

    A user's own password, or other roles that an administrator has given, are kept.
    https://airflow.apache.org/docs/apache-airflow-providers-fab/stable/auth-manager/access-control.html

    :param passwords: user → first password
    """
    from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder

    with get_application_builder() as builder:
        people = builder.sm
        approver = people.add_role("Approver")
        for action, resource in APPROVER_PERMISSIONS:
            people.add_permission_to_role(approver, people.create_permission(action, resource))
        for name, roles in ROLES.items():
            if people.find_user(name) is None:
                found = [people.find_role(role) for role in roles]
                people.add_user(name, name, name, f"{name}@example.com", found, passwords[name])
                print(f"Made the user {name}: {', '.join(roles)}", flush=True)


def main() -> int:
    """Do what is missing; the exit code is that of the first step that fails."""
    for folder in SHARED:
        # The other containers may run as another user of the same group.
        if folder.stat().st_uid == os.getuid():
            folder.chmod(0o775)
    subprocess.run(["airflow", "db", "migrate"], check=True)  # noqa: S607
    make_result_database(os.environ[AIRFLOW_DATABASE], os.environ["AIRFLOW__CELERY__RESULT_BACKEND"])
    make_people(json.loads(PASSWORDS_FILE.read_text()))
    if os.environ.get("AWS_ENDPOINT_URL"):
        # A real account is set up by its administrator: docs/aws-account.md.
        bootstrap = [
            sys.executable,
            "-m",
            "slipway.command",
            "bootstrap",
            "--yes",
            "--airflow-principal",
            AIRFLOW_PRINCIPAL,
        ]
        subprocess.run(bootstrap, check=True, env={**os.environ, "PYTHONPATH": PLUGINS})
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
