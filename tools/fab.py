"""make test-fab: end-to-end tests with the users of Flask-AppBuilder, which most installations of Airflow have.

`python -m tools.fab test ARGUMENTS` hands the arguments to pytest; `python -m tools.fab users` makes the users.
https://airflow.apache.org/docs/apache-airflow-providers-fab/stable/auth-manager/index.html
"""

from __future__ import annotations

import os
import subprocess
import sys

from tools.airflow_api import AirflowApi
from tools.environment import OPTION_PREFIX, airflow_variables, passwords
from tools.settings import OPERATORS, ROOT, Settings

AUTH_MANAGER = "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager"
# tests/e2e/conftest.py hands it to the instance that it starts.
SWITCH = f"E2E_{OPTION_PREFIX}CORE__AUTH_MANAGER"


def create_users(settings: Settings) -> None:
    """Makes the users of `make up`, with the same names and passwords, in an instance that runs.

    The administrator by the command line, for there is nobody yet to call the API; the others, in the role Op, by the
    provider's API.

    :raises subprocess.CalledProcessError: when the administrator cannot be made.
    :raises tools.airflow_api.ApiError: when another user cannot.
    """
    known = passwords(settings)
    command = [sys.executable, "-m", "airflow", "users", "create", "--role", "Admin", "--username", "admin"]
    command += ["--firstname", "admin", "--lastname", "admin", "--email", "admin@example.com"]
    subprocess.run([*command, "--password", known["admin"]], env=airflow_variables(settings), cwd=ROOT, check=True)
    admin = AirflowApi(settings.airflow_url, "admin", known["admin"])
    for name in OPERATORS:
        person = {"username": name, "first_name": name, "last_name": name, "email": f"{name}@example.com"}
        body = {**person, "password": known[name], "roles": [{"name": "Op"}]}
        admin.send("POST", "/auth/fab/v1/users", body)


def test(arguments: list[str]) -> int:
    """Runs pytest for an instance with FAB's users. Returns the exit code."""
    command = [sys.executable, "-m", "pytest", "-m", "e2e", *arguments]
    return subprocess.run(command, cwd=ROOT, env={**os.environ, SWITCH: AUTH_MANAGER}, check=False).returncode


if __name__ == "__main__":
    if sys.argv[1] == "users":
        create_users(Settings.from_environment())
    else:
        raise SystemExit(test(sys.argv[2:]))
