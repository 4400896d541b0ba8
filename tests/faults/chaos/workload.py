"""What a team does while things die: uploads, approvals, rejections; each remembered before it is done."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from dataclasses import dataclass, field, replace
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from demo import upload
from tests.faults.chaos.evidence import Answer, Upload
from tests.faults.chaos.models import Model, build_zip
from tests.instance import Instance
from tools.airflow_api import AirflowApi, ApiError

_TURN_SECONDS = 1.0
# So many releases of one model are open at once, where they do not come in bursts.
_OPEN_AT_MOST = 2
_BURST = 3
# Who answers by UpdateModelPackage has no name here.
OUTSIDE = "outside"
_WAITING = ("deferred", "awaiting_input")


@dataclass
class Intention:
    """What is going to be answered to a release, once it has asked for a while.

    :param due: in seconds of the monotonic clock
    :param by: who answers; OUTSIDE by UpdateModelPackage
    """

    due: float
    option: str
    by: str


@dataclass
class Workload:
    """Releases models again and again, in a thread of its own.

    :param most: how many uploads there are at most
    """

    instance: Instance
    chance: random.Random
    models: tuple[Model, ...]
    most: int
    uploads: list[Upload] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    runs: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    _intentions: dict[tuple[str, str], Intention] = field(default_factory=dict)
    _enough: threading.Event = field(default_factory=threading.Event)
    _ended: threading.Event = field(default_factory=threading.Event)
    _number: int = 0

    def __post_init__(self) -> None:
        self._thread = threading.Thread(target=self._work, name="workload", daemon=True)

    def start(self) -> None:
        """Begin to upload."""
        self._thread.start()

    def stop_uploads(self) -> None:
        """Upload nothing more; what is asked goes on being answered."""
        self._enough.set()

    def end(self) -> None:
        """Answer nothing more: others may use the instance now."""
        self._ended.set()

    def counts(self) -> dict[str, int]:
        """:returns: how many runs there are in each state"""
        states = [run["state"] for runs in list(self.runs.values()) for run in runs]
        return {state: states.count(state) for state in sorted(set(states))}

    def open_runs(self) -> list[str]:
        """:returns: what has not ended, of what was last seen"""
        return [
            f"{prefix} {run['dag_run_id']}"
            for prefix, runs in list(self.runs.items())
            for run in runs
            if run["state"] not in ("success", "failed")
        ]

    def unnoticed(self) -> list[Upload]:
        """:returns: uploads without a run, of what was last seen"""
        seen = {(run["conf"] or {}).get("version_id") for runs in list(self.runs.values()) for run in runs}
        return [one for one in list(self.uploads) if one.version_id not in seen]

    def _work(self) -> None:
        while not self._ended.wait(_TURN_SECONDS):
            for model in self.models:
                # Whatever is down now: the next turn tries again.
                with contextlib.suppress(OSError, ApiError, BotoCoreError, ClientError):
                    self._turn(model)

    def _turn(self, model: Model) -> None:
        self.runs[model.prefix] = runs_of(self.instance.api(), model.prefix)
        open_runs = [run for run in self.runs[model.prefix] if run["state"] not in ("success", "failed")]
        waiting = len(open_runs) + sum(one.prefix == model.prefix for one in self.unnoticed())
        if waiting < (1 if model.bursts else _OPEN_AT_MOST):
            for _ in range(_BURST if model.bursts else 1):
                if not self._enough.is_set() and self._number < self.most:
                    self._upload(model)
        for run in open_runs:
            self._decide(model, run["dag_run_id"])

    def _upload(self, model: Model) -> None:
        self._number += 1
        body = build_zip(model, self.instance.settings.bucket, self._number)
        done = upload.upload_zip(self.instance.settings, model.prefix, body)
        self.uploads.append(Upload(model.prefix, done.version_id, ""))

    def _decide(self, model: Model, run_id: str) -> None:
        api = self.instance.api()
        tasks = api.tasks(model.prefix, run_id)
        if tasks.get("approve", {}).get("state") not in _WAITING:
            return
        screen = api.approval(model.prefix, run_id, "approve")
        if screen is None or screen.get("response_received"):
            return
        intention = self._intentions.setdefault((model.prefix, run_id), self._intend(model))
        if time.monotonic() >= intention.due or self._enough.is_set():
            self._answer(model.prefix, run_id, intention)

    def _intend(self, model: Model) -> Intention:
        # Of a burst some are left to be overtaken by a newer one.
        patience = self.chance.uniform(0, 60 if model.bursts else 10)
        option = "Reject" if self.chance.random() < 0.2 else "Approve"
        by = self.chance.choice(("alice", "carol", "alice", "carol", OUTSIDE))
        return Intention(time.monotonic() + patience, option, by)

    def _answer(self, prefix: str, run_id: str, intention: Intention) -> None:
        answer = Answer(prefix, run_id, intention.option, intention.by, acknowledged=False)
        self.answers.append(answer)
        if intention.by == OUTSIDE:
            self._answer_outside(prefix, run_id, intention.option)
        else:
            self.instance.api(intention.by).answer(prefix, run_id, "approve", intention.option, comment="chaos")
        self.answers.append(replace(answer, acknowledged=True))

    def _answer_outside(self, prefix: str, run_id: str, option: str) -> None:
        arn = self.instance.api().xcom(prefix, run_id, "register")["model_package_arn"]
        sagemaker = self.instance.client("sagemaker")
        # Who looks in SageMaker Studio decides on what is pending; the API itself would take any change.
        if sagemaker.describe_model_package(ModelPackageName=arn)["ModelApprovalStatus"] != "PendingManualApproval":
            raise OSError("somebody was faster")
        status = {"Approve": "Approved", "Reject": "Rejected"}[option]
        sagemaker.update_model_package(ModelPackageArn=arn, ModelApprovalStatus=status, ApprovalDescription="chaos")


def runs_of(api: AirflowApi, prefix: str) -> list[dict[str, Any]]:
    """:returns: every run of a model's DAG"""
    found: list[dict[str, Any]] = []
    while True:
        page = api.call("GET", f"/dags/{prefix}/dagRuns", order_by="run_after", limit=100, offset=len(found))
        found += page["dag_runs"]
        if not page["dag_runs"] or len(found) >= page["total_entries"]:
            return found
