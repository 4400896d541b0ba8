"""The settings of one instance of Slipway: its ports and the files in its state folder."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REGION = "us-west-2"
ACCOUNT = "123456789012"
# The identity of Airflow's workers and triggerer in the local AWS; only it may assume slipway-airflow.
AIRFLOW_PRINCIPAL = f"arn:aws:iam::{ACCOUNT}:user/slipway-airflow"
# Who the shell is in the local AWS after `source .slipway/env`.
OPERATOR_PRINCIPAL = f"arn:aws:iam::{ACCOUNT}:user/slipway-operator"
# What Airflow's connection to AWS assumes.
AIRFLOW_ROLE = f"arn:aws:iam::{ACCOUNT}:role/slipway-airflow"
# Users who may operate runs; the model file says which of them may approve a model.
OPERATORS = ("alice", "carol", "bob")


@dataclass(frozen=True)
class Settings:
    """One instance: its state folder and ports. Several instances can run at once when both differ."""

    home: Path
    airflow_port: int = 8080
    aws_port: int = 4566
    pace_seconds: float = 0.0  # how long jobs and endpoints stay in states that otherwise pass at once
    faults: bool = False  # whether calls to the local AWS can be made to fail
    # Airflow's own database: a URL, "sqlite" for a file in the state folder, or empty for the embedded PostgreSQL. It
    # may hold a password and is never shown.
    database_url: str = field(default="", repr=False)
    api_workers: int = 1  # processes that serve Airflow's API
    time_scale: float = 1.0  # how much faster the local AWS's periods, cooldowns and bake times pass
    celery_workers: int = 0  # Celery workers that run the tasks; 0 for the scheduler's own
    compute: str = "process"  # how the local AWS runs images of one's own: process or container

    @classmethod
    def from_environment(cls) -> Settings:
        """Read the variables that `variables` names.

        :raises ValueError: naming the variable whose value is invalid, and what it must be.
        """
        home = Path(os.environ.get("SLIPWAY_HOME") or ROOT / ".slipway").expanduser().resolve()
        ports = (_port("SLIPWAY_AIRFLOW_PORT", 8080), _port("SLIPWAY_AWS_PORT", 4566))
        database_url = os.environ.get("SLIPWAY_DATABASE_URL") or ""
        workers, celery = _count("SLIPWAY_API_WORKERS", 1), _count("SLIPWAY_CELERY_WORKERS", 0)
        pace, scale = _seconds("SLIPWAY_PACE"), _scale("SLIPWAY_TIME_SCALE")
        faults, compute = _switch("SLIPWAY_FAULTS"), _choice("SLIPWAY_COMPUTE", "process", "container")
        return cls(home, *ports, pace, faults, database_url, workers, scale, celery, compute)

    @property
    def airflow_url(self) -> str:
        return f"http://127.0.0.1:{self.airflow_port}"

    @property
    def aws_url(self) -> str:
        return f"http://127.0.0.1:{self.aws_port}"

    @property
    def console_url(self) -> str:
        """Where the local AWS shows what it does."""
        return f"{self.aws_url}/_local_aws"

    @property
    def bucket(self) -> str:
        return f"mlops-{REGION}-{ACCOUNT}"

    @property
    def include_folder(self) -> Path:
        """The folder of model files and templates; SLIPWAY_INCLUDE_FOLDER moves it, also for the plugin."""
        return Path(os.environ.get("SLIPWAY_INCLUDE_FOLDER") or ROOT / "include").resolve()

    @property
    def airflow_home(self) -> Path:
        return self.home / "airflow"

    @property
    def aws_state(self) -> Path:
        return self.home / "aws"

    @property
    def ledger(self) -> Path:
        return self.aws_state / "ledger.jsonl"

    @property
    def logs(self) -> Path:
        return self.home / "log"

    @property
    def parsing_logs(self) -> Path:
        """Where Airflow logs the parsing of DAG files, in a folder for each day."""
        return self.airflow_home / "logs" / "dag_processor"

    @property
    def passwords_file(self) -> Path:
        return self.home / "passwords.json"

    @property
    def secrets_file(self) -> Path:
        return self.home / "secrets.json"

    @property
    def env_file(self) -> Path:
        return self.home / "env"

    @property
    def admin_env_file(self) -> Path:
        return self.home / "admin-env"

    @property
    def aws_config_file(self) -> Path:
        """The AWS configuration of a person's shell: it names the local AWS and nothing else."""
        return self.home / "aws-config"

    @property
    def sagemaker_config_file(self) -> Path:
        """The configuration of the SageMaker Python SDK in a person's shell."""
        return self.home / "sagemaker.yaml"

    @property
    def sdk_bucket(self) -> str:
        """The bucket that the SageMaker SDK makes for itself; it has the name that it has on AWS."""
        return f"sagemaker-{REGION}-{ACCOUNT}"

    @property
    def status_file(self) -> Path:
        return self.home / "services.json"

    @property
    def lock_file(self) -> Path:
        return self.home / "supervisor.lock"

    def variables(self) -> dict[str, str]:
        """Return the settings as the environment variables they are read from."""
        return {
            "SLIPWAY_HOME": str(self.home),
            "SLIPWAY_AIRFLOW_PORT": str(self.airflow_port),
            "SLIPWAY_AWS_PORT": str(self.aws_port),
            "SLIPWAY_PACE": f"{self.pace_seconds:g}",
            "SLIPWAY_FAULTS": str(int(self.faults)),
            "SLIPWAY_DATABASE_URL": self.database_url,
            "SLIPWAY_API_WORKERS": str(self.api_workers),
            "SLIPWAY_TIME_SCALE": f"{self.time_scale:g}",
            "SLIPWAY_CELERY_WORKERS": str(self.celery_workers),
            "SLIPWAY_COMPUTE": self.compute,
        }


def _choice(variable: str, *choices: str) -> str:
    """Return a variable's value, which is one of the choices; the first one where it is not set."""
    text = os.environ.get(variable) or choices[0]
    if text not in choices:
        raise ValueError(f"{variable} must be {' or '.join(choices)}, got {text!r}")
    return text


def _port(variable: str, default: int) -> int:
    text = os.environ.get(variable) or str(default)
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise ValueError(f"{variable} must be a port number (1-65535), got {text!r}")
    return int(text)


def _seconds(variable: str) -> float:
    seconds = _number(variable, 0.0)
    if not 0 <= seconds < float("inf"):
        raise ValueError(f"{variable} must be a number of seconds, 0 or more, got {os.environ[variable]!r}")
    return seconds


def _scale(variable: str) -> float:
    scale = _number(variable, 1.0)
    if not 0 < scale < float("inf"):
        raise ValueError(f"{variable} must be a number above 0, got {os.environ[variable]!r}")
    return scale


def _number(variable: str, default: float) -> float:
    """Return the variable's number, or -1, which is always invalid here, when it is not a number."""
    try:
        return float(os.environ.get(variable) or default)
    except ValueError:
        return -1.0


def _switch(variable: str) -> bool:
    text = os.environ.get(variable) or "0"
    if text not in ("0", "1"):
        raise ValueError(f"{variable} must be 0 or 1, got {text!r}")
    return text == "1"


def _count(variable: str, least: int) -> int:
    """Return the variable's whole number; without one, the least."""
    text = os.environ.get(variable) or str(least)
    if not text.isdecimal() or int(text) < least:
        raise ValueError(f"{variable} must be a whole number, {least} or more, got {text!r}")
    return int(text)
