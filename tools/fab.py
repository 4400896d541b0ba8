"""make test-fab: end-to-end tests with users of Flask-AppBuilder, as most installations of Airflow have.

`python -m tools.fab test ARGUMENTS` passes the arguments to pytest; `python -m tools.fab users` creates the users.
https://airflow.apache.org/docs/apache-airflow-providers-fab/stable/auth-manager/index.html
"""

from __future__ import annotations

import subprocess
import sys

from tools import airflow_program, e2e
from tools.airflow_api import AirflowApi
from tools.environment import OPTION_PREFIX, airflow_variables, passwords
from tools.settings import OPERATORS, ROOT, Settings

AUTH_MANAGER = "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager"
SWITCH = f"{OPTION_PREFIX}CORE__AUTH_MANAGER"


def create_users(settings: Settings) -> None:
    """Create the users of `make up`, with the same names and passwords, in a running instance.

    The administrator is created by the command line, because the API needs a user; the others, in the role Op, by the
    provider's API.

    :raises subprocess.CalledProcessError: when the administrator cannot be created.
    :raises tools.airflow_api.ApiError: when another user cannot be created.
    """
    known = passwords(settings)
    command = airflow_program.command("users", "create", "--role", "Admin", "--username", "admin")
    command += ["--firstname", "admin", "--lastname", "admin", "--email", "admin@example.com"]
    subprocess.run([*command, "--password", known["admin"]], env=airflow_variables(settings), cwd=ROOT, check=True)
    admin = AirflowApi(settings.airflow_url, "admin", known["admin"])
    for name in OPERATORS:
        person = {"username": name, "first_name": name, "last_name": name, "email": f"{name}@example.com"}
        body = {**person, "password": known[name], "roles": [{"name": "Op"}]}
        admin.send("POST", "/auth/fab/v1/users", body)


if __name__ == "__main__":
    if sys.argv[1] == "users":
        create_users(Settings.from_environment())
    else:
        raise SystemExit(e2e.run(sys.argv[2:], {SWITCH: AUTH_MANAGER}))
