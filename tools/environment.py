"""The environment variables of every process: the AWS to talk to, and Airflow's configuration."""

from __future__ import annotations

import base64
import json
import os
import secrets
import shlex
import sys
from collections.abc import Iterable
from pathlib import Path

from local_aws.host.credentials import VARIABLES, AccessKey, Credentials, kept
from tools import approval_keys, database, fleet
from tools.settings import AIRFLOW_ROLE, OPERATORS, REGION, ROOT, Settings

# Without letters and digits that look alike, such as l and 1: people type passwords from a screen.
READABLE_CHARACTERS = "abcdefghkmnpqrstuvwxyzABCDEFGHKMNPQRSTUVWXYZ23456789"
# Settings of the caller that could lead to a real account or another Airflow.
CALLERS_PREFIXES = ("AWS_", "AIRFLOW", "_AIRFLOW")
CALLERS_VARIABLES = ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME", *VARIABLES.values())
# Airflow options that the caller sets for this instance: SLIPWAY_AIRFLOW__SECTION__OPTION. They and the database's URL
# may hold passwords, and only Airflow's processes get them.
OPTION_PREFIX = "SLIPWAY_AIRFLOW__"
# What a person's shell may have of another account, and what would lead a client past AWS_ENDPOINT_URL.
# https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html
SHELL_FORGETS = (
    "AWS_DEFAULT_PROFILE",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    "AWS_PROFILE",
    "AWS_SECURITY_TOKEN",
    "AWS_SESSION_TOKEN",
    "AWS_USE_DUALSTACK_ENDPOINT",
    "AWS_USE_FIPS_ENDPOINT",
)
# Where Python finds the module that keeps clients with an address of their own on this machine.
LOCAL_ONLY = ROOT / "tools" / "local_only"
# The connection as docs/aws-account.md says it: the role that AWS_* variables, or any other credentials, may assume.
_CONNECTION_EXTRA = {"region_name": REGION, "role_arn": AIRFLOW_ROLE}
AIRFLOW_CONNECTION = json.dumps({"conn_type": "aws", "extra": _CONNECTION_EXTRA})
DATABASE_VARIABLE = "SLIPWAY_DATABASE_URL"
# Every process below the supervisor inherits it, so that all of them can be found and stopped.
MARKER = "SLIPWAY_SUPERVISED_HOME"


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, without ever leaving it half-written."""
    partial = path.with_name(path.name + ".partial")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
        stream.write(text)
    partial.replace(path)


def passwords(settings: Settings, users: Iterable[str] = ("admin", *OPERATORS)) -> dict[str, str]:
    """Return the users' passwords, made at the first call; a new user gets one at the next."""
    known: dict[str, str] = {}
    if settings.passwords_file.exists():
        known = json.loads(settings.passwords_file.read_text())
    missing = {
        user: "".join(secrets.choice(READABLE_CHARACTERS) for _ in range(16)) for user in users if user not in known
    }
    if missing:
        write_private(settings.passwords_file, json.dumps(known | missing, indent=2) + "\n")
    return known | missing


def signing_keys(settings: Settings) -> dict[str, str]:
    """Return the keys of Airflow and the guard, made at the first call: they must be the same after each start."""
    known: dict[str, str] = {}
    if settings.secrets_file.exists():
        known = json.loads(settings.secrets_file.read_text())
    if "approval_signing_key" in known:
        return known
    signing_key, public_keys = approval_keys.new()
    made = {
        "fernet_key": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "jwt_secret": secrets.token_urlsafe(48),
        "secret_key": secrets.token_urlsafe(48),
        "approval_signing_key": signing_key,
        "approval_public_keys": public_keys,
    }
    write_private(settings.secrets_file, json.dumps(made | known, indent=2) + "\n")
    return made | known


def aws_credentials(settings: Settings) -> Credentials:
    """Return the access keys of this instance's local AWS, made at the first call."""
    return kept(settings.aws_state)


def aws_variables(settings: Settings, key: AccessKey | None = None) -> dict[str, str]:
    """Return the variables that point boto3, the AWS CLI and Airflow's hooks to the local AWS.

    :param key: of the IAM user; by default the operator, who uploads, reads and invokes
    """
    key = key or aws_credentials(settings).operator
    return {
        "AWS_ENDPOINT_URL": settings.aws_url,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION,
        "AWS_ACCESS_KEY_ID": key.access_key_id,
        "AWS_SECRET_ACCESS_KEY": key.secret_access_key,
        # So that no other profile and no role of the machine is used.
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def base_variables(settings: Settings) -> dict[str, str]:
    """Return the caller's environment with this instance's AWS and Airflow settings only, and no access key."""
    dropped = (*CALLERS_PREFIXES, OPTION_PREFIX, DATABASE_VARIABLE)
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(dropped) and name not in CALLERS_VARIABLES
    }
    instance = {name: value for name, value in settings.variables().items() if name != DATABASE_VARIABLE}
    own = {
        # The virtual environment of this process.
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{inherited.get('PATH', os.defpath)}",
        "PYTHONUNBUFFERED": "1",
        # Everything is on this machine: the caller's proxy must not be used.
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
        MARKER: str(settings.home),
    }
    return inherited | instance | own


def callers_options() -> dict[str, str]:
    """Return the Airflow options that the caller sets for this instance: SECTION__OPTION → value."""
    return {
        name.removeprefix(OPTION_PREFIX): value for name, value in os.environ.items() if name.startswith(OPTION_PREFIX)
    }


def airflow_variables(settings: Settings) -> dict[str, str]:
    """Return Airflow's whole configuration; airflow.cfg is not used.

    The options are those of
    https://airflow.apache.org/docs/apache-airflow/stable/configurations-ref.html
    """
    keys = signing_keys(settings)
    users = ",".join(["admin:admin", *(f"{user}:op" for user in OPERATORS)])
    options = {
        "CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "CORE__LOAD_EXAMPLES": "False",
        # A new model needs a model file only; nobody has to unpause its DAG.
        "CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        # Airflow's LocalExecutor, which also knows a task that was resumed early: docs/decisions.md, decision 71.
        "CORE__EXECUTOR": "slipway.host.executor.DeferringLocalExecutor",
        # It forks this many workers at once. Waiting tasks do not use one, so few are enough.
        "CORE__PARALLELISM": "8",
        "CORE__FERNET_KEY": keys["fernet_key"],
        "CORE__SIMPLE_AUTH_MANAGER_USERS": users,
        "CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "False",
        "CORE__EXECUTION_API_SERVER_URL": f"{settings.airflow_url}/execution/",
        # A changed model file is a changed DAG within seconds, not after the default half minute.
        "CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL": "2",
        "API__HOST": "127.0.0.1",
        "API__PORT": str(settings.airflow_port),
        # Worker processes of uvicorn: they share this port, the keys and the database only.
        "API__WORKERS": str(settings.api_workers),
        "API__BASE_URL": settings.airflow_url,
        "API__SECRET_KEY": keys["secret_key"],
        # Long lines of logs, such as the reason of a failure, are wrapped and do not run off the screen.
        "API__DEFAULT_WRAP": "True",
        # By default the API server would serve a DAG's old version for an hour.
        "API__DAG_CACHE_TTL": "5",
        "API_AUTH__JWT_SECRET": keys["jwt_secret"],
        # The scheduler makes the token with which a task starts, and the API server refuses one from the future. By
        # default clocks may differ by 10 s; a task that is refused counts as failed.
        "API_AUTH__JWT_LEEWAY": "70",
        "SLIPWAY__APPROVAL_PUBLIC_KEYS": keys["approval_public_keys"],
        "DATABASE__SQL_ALCHEMY_CONN": database.url(settings),
        # A new model file becomes a DAG when dags/release.py is parsed again. Parsing all files takes about four
        # seconds of a core: doing it more often would slow the releases down.
        "DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "20",
        # Only new and removed DAG files are looked for, not those that changed. A new model is no new file there.
        "DAG_PROCESSOR__REFRESH_INTERVAL": "20",
        "DAG_PROCESSOR__PRINT_STATS_INTERVAL": "0",
        # Parsing must not use all cores: they also run Airflow, training and model servers.
        "DAG_PROCESSOR__PARSING_PROCESSES": "1",
        # The next task of a linear DAG starts after one loop; the default sleeps a second in each.
        "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.5",
        "TRIGGERER__JOB_HEARTBEAT_SEC": "2",
        # Another triggerer takes over the triggers after this time without a heartbeat, by default 30 s; a heartbeat
        # comes every two seconds.
        "TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "15",
        # A triggerer whose event loop is silent for this long, by default 30 s, stops its heartbeat; so the supervisor
        # notices within a minute.
        # A task whose worker was killed is noticed after two minutes instead of five. The time must be longer than a
        # restart of the API server, which receives the heartbeats, with the minute by which clocks may differ.
        "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "120",
        # The next scheduler queues the tasks of a killed one again, once the old heartbeat is 30 s old. It looks for
        # them three times a minute instead of every five minutes.
        "SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "20",
        # The first call to a new API server imports much. On a busy machine that takes longer than the default 5 s, and
        # a task that asks for its start twice may be refused.
        "WORKERS__EXECUTION_API_TIMEOUT": "60",
        # A task that starts or ends while the API server restarts retries after random pauses of up to 10 s: twelve
        # retries take about a minute. The default of five may be over in ten seconds.
        "WORKERS__EXECUTION_API_RETRIES": "12",
        "WORKERS__EXECUTION_API_RETRY_WAIT_MAX": "10",
        # A worker looks this often whether its task's process has ended, by default every 5 s. Until then the process
        # holds its slot.
        "WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
        # Heartbeats fail while the API server restarts: with one a second, a task survives a minute of that.
        "WORKERS__MAX_FAILED_HEARTBEATS": "60",
        "LOGGING__BASE_LOG_FOLDER": str(settings.airflow_home / "logs"),
        "LOGGING__DAG_PROCESSOR_CHILD_PROCESS_LOG_DIRECTORY": str(settings.parsing_logs),
        "LOGGING__COLORED_CONSOLE_LOG": "False",
    }
    if settings.celery_workers:
        options |= fleet.options(settings)
    variables = {f"AIRFLOW__{name}": value for name, value in (options | callers_options()).items()}
    variables["AIRFLOW_HOME"] = str(settings.airflow_home)
    # Nobody can open AWS's console, where Airflow's links would lead: docs/decisions.md, decision 76.
    extra = _CONNECTION_EXTRA | {"console_url": settings.console_url}
    variables["AIRFLOW_CONN_AWS_DEFAULT"] = json.dumps({"conn_type": "aws", "extra": extra})
    # Airflow has a user of its own, who may do nothing but assume the connection's role.
    base = base_variables(settings)
    if database.kind(settings) is database.Kind.EMBEDDED:
        # The caller's settings for PostgreSQL, such as PGPORT, are for another server.
        base = {name: value for name, value in base.items() if not name.startswith("PG")}
    return base | aws_variables(settings, aws_credentials(settings).airflow) | variables


def api_server_variables(settings: Settings) -> dict[str, str]:
    """Return Airflow's configuration with what only the API server gets: passwords and the key that signs answers."""
    return airflow_variables(settings) | {
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(settings.passwords_file),
        "AIRFLOW__SLIPWAY__APPROVAL_SIGNING_KEY": signing_keys(settings)["approval_signing_key"],
    }


def admin_variables(settings: Settings) -> dict[str, str]:
    """Return the variables of the local AWS's administrator, who sets the account up and may do everything."""
    return aws_variables(settings, aws_credentials(settings).admin)


def shell_variables(settings: Settings, key: AccessKey | None = None) -> dict[str, str]:
    """Return the variables by which every client of AWS in a person's shell calls the local AWS and nothing else.

    :param key: as for `aws_variables`
    """
    return aws_variables(settings, key) | {
        "AWS_CONFIG_FILE": str(settings.aws_config_file),
        # The SageMaker SDK's own configuration:
        # https://sagemaker.readthedocs.io/en/stable/overview.html#configuring-and-using-defaults-with-the-sagemaker-python-sdk
        "SAGEMAKER_USER_CONFIG_OVERRIDE": str(settings.sagemaker_config_file),
    }


def user_variables(settings: Settings) -> dict[str, str]:
    """Return the variables that a person's shell or script needs to use this instance."""
    return shell_variables(settings) | {
        "SLIPWAY_AIRFLOW_URL": settings.airflow_url,
        "AIRFLOW_URL": settings.airflow_url,
        "AIRFLOW_USER": "admin",
        "AIRFLOW_PASSWORD": passwords(settings)["admin"],
        "SLIPWAY_BUCKET": settings.bucket,
    }


def write_env_files(settings: Settings) -> None:
    """Write the files that a person's shell reads: `.slipway/env`, `.slipway/admin-env`, and what they name."""
    write_private(settings.aws_config_file, _aws_config(settings))
    write_private(settings.sagemaker_config_file, _sagemaker_config(settings))
    # The command `slipway` is found, and no program of the environment takes the place of one of the person's.
    path = f'export PATH="$PATH":{shlex.quote(str(Path(sys.executable).parent))}'
    _write_env_file(settings.env_file, user_variables(settings), path)
    _write_env_file(settings.admin_env_file, shell_variables(settings, aws_credentials(settings).admin))


def _write_env_file(path: Path, variables: dict[str, str], *more: str) -> None:
    lines = [
        f"unset {' '.join(SHELL_FORGETS)}",
        # Those of single services, such as AWS_ENDPOINT_URL_STS, which count more than AWS_ENDPOINT_URL.
        r"""for name in $(env | sed -n 's/^\(AWS_ENDPOINT_URL_[A-Z0-9_]*\)=.*/\1/p'); do unset "$name"; done""",
        *(f"export {name}={shlex.quote(value)}" for name, value in variables.items()),
        # What is there already stays, and comes after it once.
        *_first_in("NO_PROXY", ",", "127.0.0.1,localhost"),
        *_first_in("no_proxy", ",", "127.0.0.1,localhost"),
        *_first_in("PYTHONPATH", os.pathsep, str(LOCAL_ONLY)),
        *more,
    ]
    write_private(path, "\n".join(lines) + "\n")


def _first_in(name: str, separator: str, entry: str) -> list[str]:
    """Return the shell's lines that put an entry before those that a variable has, unless it is there."""
    quoted = shlex.quote(entry)
    return [
        f'case "{separator}${{{name}-}}{separator}" in *{separator}{quoted}{separator}*) ;;',
        f'*) export {name}={quoted}"${{{name}:+{separator}${name}}}" ;; esac',
    ]


def _aws_config(settings: Settings) -> str:
    return (
        "# Written by make up; AWS_CONFIG_FILE names it. For a client that does not read AWS_ENDPOINT_URL.\n"
        f"[default]\nregion = {REGION}\nendpoint_url = {settings.aws_url}\ns3 =\n    addressing_style = path\n"
    )


def _sagemaker_config(settings: Settings) -> str:
    return f"""# Written by make up; SAGEMAKER_USER_CONFIG_OVERRIDE names it.
SchemaVersion: "1.0"
SageMaker:
  PythonSDK:
    Modules:
      # Otherwise each call is reported to a bucket of AWS's.
      TelemetryOptOut: true
      Session:
        # The name that the SDK would ask STS for.
        DefaultS3Bucket: {settings.sdk_bucket}
"""
