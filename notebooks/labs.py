"""What the notebooks of the labs share: who they are in AWS, and Airflow's public API.

Nothing here names a machine. `source .slipway/env` sets what is needed for the local AWS; for a real account set
AWS_DEFAULT_REGION and the usual credentials, and AIRFLOW_URL and AIRFLOW_USER of your Airflow.
"""

from __future__ import annotations

import csv
import getpass
import io
import json
import logging
import os
import re
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import boto3

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from demo.follow import APPROVAL, STAGES, Release  # noqa: E402 (found by the line above)
from tools.airflow_api import AirflowApi, ApiError  # noqa: E402, F401

# The stack slipway-labs makes it.
ROLE = "slipway-labs"
# An upload starts its release within seconds; on a busy machine the first one also waits for its DAG to be parsed.
PATIENCE_SECONDS = 180
# The states of tasks that follow() prints.
SHOWN = ("running", "deferred", "awaiting_input", "success", "failed", "skipped", "up_for_retry")
# The SDK asks IAM whether the role could also do what no lab needs, such as to join a VPC, and refuses one that cannot.
os.environ.setdefault("SAGEMAKER_VALIDATE_ROLE", "false")
# The SDK logs each client that it makes. The cells print what matters.
logging.disable(logging.INFO)


def session() -> boto3.Session:
    """Return a session of the role of the labs, which it assumes unless it is that role already.

    https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
    """
    own = boto3.Session()
    sts = own.client("sts")
    caller = sts.get_caller_identity()
    if f":assumed-role/{ROLE}/" in caller["Arn"]:
        return own
    partition = caller["Arn"].split(":")[1]
    role = f"arn:{partition}:iam::{caller['Account']}:role/{ROLE}"
    key = sts.assume_role(RoleArn=role, RoleSessionName="labs")["Credentials"]
    return boto3.Session(key["AccessKeyId"], key["SecretAccessKey"], key["SessionToken"], region_name=own.region_name)


def airflow(user: str | None = None) -> AirflowApi:
    """Return Airflow's public API for a user, by default the one of the environment.

    A password that is not in the environment is that of `make up`, or is asked for.
    """
    named = os.environ.get("AIRFLOW_USER", "admin")
    user = user or named
    password = os.environ.get("AIRFLOW_PASSWORD") if user == named else None
    return AirflowApi(os.environ["AIRFLOW_URL"], user, password or _password(user))


def _password(user: str) -> str:
    kept = Path(os.environ.get("SLIPWAY_HOME", ROOT / ".slipway")) / "passwords.json"
    known = json.loads(kept.read_text()) if kept.exists() else {}
    return known.get(user) or getpass.getpass(f"Airflow's password of {user}: ")


def to_csv(rows: Iterable[Iterable[float]]) -> str:
    """Return rows as SageMaker's algorithms read them: commas, no header."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([f"{value:g}" for value in row] for row in rows)
    return text.getvalue()


def find_run(api: AirflowApi, model: str, version_id: str) -> str:
    """Wait until the upload of a zip has started its release, and return the id of the run.

    :param version_id: S3's version of the zip
    :raises TimeoutError: when nothing starts
    """
    for _ in range(PATIENCE_SECONDS):
        for run in api.runs(model):
            if (run["conf"] or {}).get("version_id") == version_id:
                return str(run["dag_run_id"])
        time.sleep(1)
    raise TimeoutError(f"No release of version {version_id} started. Look at the DAGs intake and {model} in {api.url}")


def waiting_run(api: AirflowApi, model: str) -> str:
    """Return the newest release that waits for a decision.

    :raises LookupError: when there is none
    """
    for run in api.runs(model):
        if run["state"] == "running" and api.approval(model, run["dag_run_id"], APPROVAL):
            return str(run["dag_run_id"])
    raise LookupError(f"No release of {model} waits for a decision. Run lab2a_AutomateTheRelease first")


def follow(api: AirflowApi, model: str, run_id: str, *, past_question: bool = False) -> Release:
    """Print each task of a release as it changes, until the release has ended or asks a person.

    :param past_question: go on after the question, which somebody has answered
    :raises RuntimeError: when the release has failed, with the reason
    """
    release, shown = Release(api, model, run_id), {}
    while True:
        release.poll()
        for task, what in STAGES.items():
            state = release.tasks.get(task, {}).get("state") or "waiting"
            line = f"{task:15} {state:10} {release.notes.get(task) or what}"
            if state in SHOWN and shown.get(task) != line:
                shown[task] = line
                print(line)
        if release.state == "failed":
            reasons = [f"{task}: {line}" for task in release.failures() for line in release.error_of(task)]
            raise RuntimeError("\n".join(["The release failed.", *reasons]))
        if release.finished or (release.waits_for_person and not past_question):
            return release
        time.sleep(1)


def run_to_end(api: AirflowApi, dag_id: str, conf: dict[str, Any]) -> str:
    """Start a run of a DAG as its form does, wait for its end, and return its id.

    A stress test that breaks a limit is a failed run, too: its log says so here, and its report says it in figures.

    :param conf: the fields of the form
    """
    run_id = api.trigger(dag_id, conf)
    print(api.run_url(dag_id, run_id))
    while (state := api.run(dag_id, run_id)["state"]) not in ("success", "failed"):
        time.sleep(1)
    print(f"{dag_id}: {state}")
    for name, task in api.tasks(dag_id, run_id).items():
        if task["state"] == "failed":
            lines = api.log_lines(dag_id, run_id, name, task["try_number"])
            print("\n".join(line for line in lines if "Fix: " in line or "Error" in line))
    return run_id


def stress_report(s3: Any, bucket: str, model: str, run_id: str) -> dict[str, Any]:
    """Return the report of a stress test, the part for programs.

    :raises FileNotFoundError: when the run has sent nothing
    """
    # Slipway writes a run's id with other signs in the key, so that any name may be in a link.
    folder = f"stress/{model}/{re.sub('[^A-Za-z0-9._-]', '-', run_id)}"
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=folder)
    for item in (item for page in pages for item in page.get("Contents", [])):
        if item["Key"].endswith("report.json"):
            report: dict[str, Any] = json.loads(s3.get_object(Bucket=bucket, Key=item["Key"])["Body"].read())
            return report
    raise FileNotFoundError(f"No report below s3://{bucket}/{folder}: the log above says why")
