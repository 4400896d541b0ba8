"""The environment variables of every process: the AWS to talk to, and Airflow's configuration."""

from __future__ import annotations

import base64
import json
import os
import secrets
import shlex
import sys
from pathlib import Path

from local_aws.host.credentials import VARIABLES, AccessKey, Credentials, kept
from tools import approval_keys
from tools.settings import OPERATORS, REGION, ROOT, Settings

# Without these letters and digits nobody has to tell l from 1 when typing a password off a screen.
READABLE_CHARACTERS = "abcdefghkmnpqrstuvwxyzABCDEFGHKMNPQRSTUVWXYZ23456789"
# An AWS or Airflow setting of the caller must neither reach a real account nor another Airflow.
CALLERS_PREFIXES = ("AWS_", "AIRFLOW", "_AIRFLOW")
CALLERS_VARIABLES = ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME", *VARIABLES.values())
# Airflow's options as the caller wants them for this instance: SLIPWAY_AIRFLOW__SECTION__OPTION. They and the
# database's URL may hold passwords, and reach no process but Airflow's own.
OPTION_PREFIX = "SLIPWAY_AIRFLOW__"
DATABASE_VARIABLE = "SLIPWAY_DATABASE_URL"
# Every process below the supervisor inherits it, so that none is overlooked when all must end.
MARKER = "SLIPWAY_SUPERVISED_HOME"


def write_private(path: Path, text: str) -> None:
    """Writes a file that only its owner may read, never leaving a half-written one."""
    partial = path.with_name(path.name + ".partial")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
        stream.write(text)
    partial.replace(path)


def passwords(settings: Settings) -> dict[str, str]:
    """The users' passwords, made at the first call; a user added since then gets one."""
    known: dict[str, str] = {}
    if settings.passwords_file.exists():
        known = json.loads(settings.passwords_file.read_text())
    missing = {
        user: "".join(secrets.choice(READABLE_CHARACTERS) for _ in range(16))
        for user in ("admin", *OPERATORS)
        if user not in known
    }
    if missing:
        write_private(settings.passwords_file, json.dumps(known | missing, indent=2) + "\n")
    return known | missing


def signing_keys(settings: Settings) -> dict[str, str]:
    """Airflow's keys and the guard's, made at the first call: they must be the same after each start."""
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
    """The access keys of this instance's local AWS, made at the first call."""
    return kept(settings.aws_state)


def aws_variables(settings: Settings, key: AccessKey | None = None) -> dict[str, str]:
    """What leads boto3, the AWS CLI and Airflow's hooks to the local AWS, as an IAM user that may do everything.

    :param key: the user's; the operator's unless given
    """
    key = key or aws_credentials(settings).operator
    return {
        "AWS_ENDPOINT_URL": settings.aws_url,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION,
        "AWS_ACCESS_KEY_ID": key.access_key_id,
        "AWS_SECRET_ACCESS_KEY": key.secret_access_key,
        # Neither another profile nor the machine's own role may answer instead.
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def base_variables(settings: Settings) -> dict[str, str]:
    """The caller's environment without foreign AWS and Airflow settings, with this instance's; no access key."""
    dropped = (*CALLERS_PREFIXES, OPTION_PREFIX, DATABASE_VARIABLE)
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(dropped) and name not in CALLERS_VARIABLES
    }
    instance = {name: value for name, value in settings.variables().items() if name != DATABASE_VARIABLE}
    own = {
        # The virtual environment that runs this.
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{inherited.get('PATH', os.defpath)}",
        "PYTHONUNBUFFERED": "1",
        # All that is talked to is on this machine; a proxy of the caller's must not be asked for it.
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
        MARKER: str(settings.home),
    }
    return inherited | instance | own


def database_url(settings: Settings) -> str:
    """Where Airflow keeps its own state."""
    # The time a writer waits for another one's lock; Airflow itself switches the file to WAL mode.
    return settings.database_url or f"sqlite:///{settings.airflow_home / 'airflow.db'}?timeout=60"


def callers_options() -> dict[str, str]:
    """Airflow's options that the caller sets for this instance: SECTION__OPTION → value."""
    return {
        name.removeprefix(OPTION_PREFIX): value for name, value in os.environ.items() if name.startswith(OPTION_PREFIX)
    }


def airflow_variables(settings: Settings) -> dict[str, str]:
    """Airflow's whole configuration; no airflow.cfg is read or needed.

    The options are those of
    https://airflow.apache.org/docs/apache-airflow/stable/configurations-ref.html
    """
    keys = signing_keys(settings)
    users = ",".join(["admin:admin", *(f"{user}:op" for user in OPERATORS)])
    options = {
        "CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "CORE__LOAD_EXAMPLES": "False",
        # A pipeline is there to run: a model's file is all that a new one needs.
        "CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "CORE__EXECUTOR": "LocalExecutor",
        # LocalExecutor forks this many workers at once. Waiting tasks hold none, so few are enough.
        "CORE__PARALLELISM": "8",
        "CORE__FERNET_KEY": keys["fernet_key"],
        "CORE__SIMPLE_AUTH_MANAGER_USERS": users,
        "CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "False",
        "CORE__EXECUTION_API_SERVER_URL": f"{settings.airflow_url}/execution/",
        # A changed model file is a changed DAG within seconds, not after the default half minute.
        "CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL": "2",
        "API__HOST": "127.0.0.1",
        "API__PORT": str(settings.airflow_port),
        # Processes of one uvicorn, which start one another: they share this port, the keys and the database only.
        "API__WORKERS": str(settings.api_workers),
        "API__BASE_URL": settings.airflow_url,
        "API__SECRET_KEY": keys["secret_key"],
        # Keeps the API server from serving a DAG's former version for an hour.
        "API__DAG_CACHE_TTL": "5",
        "API_AUTH__JWT_SECRET": keys["jwt_secret"],
        "SLIPWAY__APPROVAL_PUBLIC_KEYS": keys["approval_public_keys"],
        "DATABASE__SQL_ALCHEMY_CONN": database_url(settings),
        # One model file more is one DAG more, noticed when dags/release.py is parsed again. Parsing all files takes
        # about four seconds of a core: more often would slow the releases down.
        "DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "20",
        "DAG_PROCESSOR__REFRESH_INTERVAL": "5",
        "DAG_PROCESSOR__PRINT_STATS_INTERVAL": "0",
        # Two cores run four Airflow processes, training and model servers: parsing must not need both.
        "DAG_PROCESSOR__PARSING_PROCESSES": "1",
        # The next task of a linear DAG starts after one loop; the default sleeps a second in each.
        "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.5",
        "TRIGGERER__JOB_HEARTBEAT_SEC": "2",
        # A trigger of a dead triggerer is taken over after this time without a heartbeat, by default 30 s; they come
        # every two seconds.
        "TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "15",
        # The task whose worker was killed is noticed after a minute instead of five. It must outlast a restart of the
        # API server, which takes the heartbeats.
        "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "60",
        # What a killed scheduler had queued is queued again by the next one, once the dead one's heartbeat is 30 s old:
        # looked for three times a minute instead of every five minutes.
        "SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "20",
        # The first call to a fresh API server imports much; on a busy machine that outlasts the default 5 s, and a task
        # whose start is asked for twice may be refused.
        "WORKERS__EXECUTION_API_TIMEOUT": "60",
        # A task that starts or ends while the API server restarts asks again, after random pauses that grow to 10 s:
        # twelve times take about a minute. The default's five may be over in ten seconds.
        "WORKERS__EXECUTION_API_RETRIES": "12",
        "WORKERS__EXECUTION_API_RETRY_WAIT_MAX": "10",
        # A worker notices its task's end only when this interval is over, 5 s by default. A task that is resumed before
        # then is taken for killed and tried again; triggers wait for twice the interval before they resume one.
        "WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
        # Heartbeats fail while the API server restarts: a task outlasts a minute of that, as many as there are seconds.
        "WORKERS__MAX_FAILED_HEARTBEATS": "60",
        "LOGGING__BASE_LOG_FOLDER": str(settings.airflow_home / "logs"),
        "LOGGING__DAG_PROCESSOR_CHILD_PROCESS_LOG_DIRECTORY": str(settings.airflow_home / "logs" / "dag_processor"),
        "LOGGING__COLORED_CONSOLE_LOG": "False",
    }
    variables = {f"AIRFLOW__{name}": value for name, value in (options | callers_options()).items()}
    variables["AIRFLOW_HOME"] = str(settings.airflow_home)
    # A connection without fields: hooks take AWS's standard chain, which is the AWS_* variables.
    variables["AIRFLOW_CONN_AWS_DEFAULT"] = "aws://"
    # Airflow is a user of its own, so that its calls can be told from a person's.
    return base_variables(settings) | aws_variables(settings, aws_credentials(settings).airflow) | variables


def api_server_variables(settings: Settings) -> dict[str, str]:
    """Airflow's configuration with what no other component gets: people's passwords, the key that signs answers."""
    return airflow_variables(settings) | {
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(settings.passwords_file),
        "AIRFLOW__SLIPWAY__APPROVAL_SIGNING_KEY": signing_keys(settings)["approval_signing_key"],
    }


def user_variables(settings: Settings) -> dict[str, str]:
    """What a person's shell or script needs to use this instance."""
    names = ("AWS_ENDPOINT_URL", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    aws = aws_variables(settings)
    return {name: aws[name] for name in names} | {
        "AIRFLOW_URL": settings.airflow_url,
        "AIRFLOW_USER": "admin",
        "AIRFLOW_PASSWORD": passwords(settings)["admin"],
        "SLIPWAY_BUCKET": settings.bucket,
    }


def write_env_file(settings: Settings) -> None:
    """Writes the shell's `export` lines: `source .slipway/env`."""
    lines = [f"export {name}={shlex.quote(value)}" for name, value in user_variables(settings).items()]
    write_private(settings.env_file, "\n".join(lines) + "\n")
