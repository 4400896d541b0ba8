"""What another database, more API server processes or other users could break: who may answer, and who was first.

Only for an instance of that kind: make test-postgres, make test-sqlite, make test-fab. On the usual one
test_approval.py says the same.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from demo import upload
from tools.airflow_api import ApiError

pytestmark = pytest.mark.e2e

IRIS = "iris-model"
ROUNDS = 2
Attempt = Callable[[], Any]


def outcome(attempt: Attempt) -> tuple[int, str]:
    """The HTTP status, and the reason of a refusal."""
    try:
        attempt()
    except ApiError as error:
        return error.status, error.detail
    return 200, ""


def at_once(attempts: list[Attempt]) -> list[tuple[int, str]]:
    """Makes all attempts in the same instant."""
    outcomes: list[tuple[int, str]] = []
    start = threading.Barrier(len(attempts))

    def go(attempt: Attempt) -> None:
        start.wait()
        status = outcome(attempt)
        while status[0] == 503:
            # SQLite was locked by another attempt; nothing was changed, and the answer asks to try again.
            status = outcome(attempt)
        outcomes.append(status)

    threads = [threading.Thread(target=go, args=(attempt,)) for attempt in attempts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


class Gate:
    """The approval of one waiting release, and the ways to it."""

    def __init__(self, slipway, run_id: str) -> None:
        self.slipway, self.run_id = slipway, run_id
        self.arn = slipway.api().xcom(IRIS, run_id, "register")["model_package_arn"]
        self.run = f"/dags/{IRIS}/dagRuns/{run_id}"
        self.task = f"{self.run}/taskInstances/approve"

    def answer(self, user: str, option: str) -> Attempt:
        return lambda: self.slipway.api(user).answer(IRIS, self.run_id, "approve", option)

    def mark(self, user: str, state: str) -> Attempt:
        return self.call(user, "PATCH", self.task, {"new_state": state})

    def clear(self, user: str, **more: bool) -> Attempt:
        tasks = ["approve", "deploy_prd", "test_prd"]
        body = {"dag_run_id": self.run_id, "task_ids": tasks, "dry_run": False, "only_failed": False, **more}
        return self.call(user, "POST", f"/dags/{IRIS}/clearTaskInstances", body)

    def call(self, user: str, method: str, path: str, body: Any = None) -> Attempt:
        return lambda: self.slipway.api(user).call(method, path, body)

    def ways(self, user: str) -> dict[str, Attempt]:
        success, xcom = {"new_state": "success"}, {"key": "return_value", "value": {"decision": "Approved"}}
        bulk = {"actions": [{"action": "update", "entities": [{"task_id": "approve", **success}]}]}
        upstream = f"{self.run}/taskInstances/source"
        return {
            "answer": self.answer(user, "Approve"),
            **{f"mark {state}": self.mark(user, state) for state in ("success", "failed", "skipped")},
            "mark with its map index": self.call(user, "PATCH", f"{self.task}/-1", success),
            "mark what it depends on": self.call(user, "PATCH", upstream, {**success, "include_downstream": True}),
            "mark in bulk": self.call(user, "PATCH", f"{self.run}/taskInstances", bulk),
            "mark the run": self.call(user, "PATCH", self.run, {"state": "success"}),
            "clear": self.clear(user),
            "clear the run": self.call(user, "POST", f"{self.run}/clear", {"dry_run": False}),
            "delete the task": self.call(user, "DELETE", self.task),
            "delete the DAG": self.call(user, "DELETE", f"/dags/{IRIS}"),
            "write its XCom": self.call(user, "POST", f"{self.task}/xcomEntries", xcom),
        }

    def package(self) -> dict[str, Any]:
        return self.slipway.client("sagemaker").describe_model_package(ModelPackageName=self.arn)

    def records(self) -> int:
        """How many times something was written on the model package."""
        return len(self.slipway.ledger(operation="UpdateModelPackage", resource=self.arn, outcome="ok"))

    def ask_again(self) -> None:
        """Withdraws the decision, as SageMaker Studio can, and has the release ask anew."""
        self.slipway.client("sagemaker").update_model_package(
            ModelPackageArn=self.arn, ModelApprovalStatus="PendingManualApproval"
        )
        self.clear("alice", reset_dag_runs=True)()
        self.slipway.wait_task(IRIS, self.run_id, "approve", "deferred")


@pytest.fixture(scope="module")
def waiting(slipway) -> Gate:
    upload.upload_data(slipway.settings, IRIS, "iris")
    run_id = slipway.release(IRIS)
    slipway.wait_approval(IRIS, run_id)
    return Gate(slipway, run_id)


@pytest.fixture
def gate(waiting) -> Gate:
    """The approval, undecided."""
    if waiting.package()["ModelApprovalStatus"] != "PendingManualApproval":
        waiting.ask_again()
    return waiting


@pytest.mark.parametrize("user", ["bob", "admin"])
def test_who_is_no_approver_is_refused_whichever_way(slipway, gate, user):
    refused = {name: outcome(way) for name, way in gate.ways(user).items()}
    assert {name: status for name, (status, _) in refused.items()} == dict.fromkeys(refused, 403), refused
    assert slipway.api().tasks(IRIS, gate.run_id)["approve"]["state"] == "deferred"
    assert gate.package()["ModelApprovalStatus"] == "PendingManualApproval"


@pytest.mark.parametrize("round_", range(ROUNDS))
@pytest.mark.parametrize("kinds", ["answer answer", "answer mark", "mark mark", "answer mark answer mark answer mark"])
def test_of_several_at_once_one_decides_and_the_others_are_told_who(slipway, gate, kinds, round_):
    ways = {"answer": lambda user: gate.answer(user, "Reject"), "mark": lambda user: gate.mark(user, "failed")}
    people = ("alice", "carol") * len(kinds)
    for user in ("alice", "carol"):
        slipway.api(user).dag_ids()  # logs in, so that the attempts themselves meet
    before = gate.records()
    outcomes = at_once([ways[kind](user) for kind, user in zip(kinds.split(), people, strict=False)])
    assert sorted(status for status, _ in outcomes) == [200, *[409] * (len(outcomes) - 1)], outcomes
    assert slipway.wait_end(IRIS, gate.run_id) == "failed"
    package = gate.package()
    who = package["CustomerMetadataProperties"]["slipway-decided-by"]
    assert package["ModelApprovalStatus"] == "Rejected"
    assert who in ("alice", "carol")
    assert all(f"{who} rejected it" in reason for status, reason in outcomes if status == 409), outcomes
    assert gate.records() == before + 1


def test_an_approvers_mark_is_an_approval_under_their_name(slipway, gate):
    assert outcome(gate.mark("alice", "success")) == (200, "")
    assert slipway.wait_end(IRIS, gate.run_id) == "success", slipway.story(IRIS, gate.run_id)
    package = gate.package()
    assert package["ModelApprovalStatus"] == "Approved"
    assert package["CustomerMetadataProperties"]["slipway-decided-by"] == "alice"
    assert "marked success" in package["CustomerMetadataProperties"]["slipway-decided-how"]
    assert slipway.ask("iris-model-production").accuracy >= 0.93
