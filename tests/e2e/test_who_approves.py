"""Who gets a release into production, and who does not: over the real API, and in a real browser.

After test_release.py, whose tests want to know what production serves.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tools import environment
from tools.airflow_api import ApiError

pytestmark = pytest.mark.e2e

IRIS, PRODUCTION = "iris-model", "iris-model-production"
PATIENCE_MS = 120_000
DAG = f"/dags/{IRIS}"
SUCCESS = {"new_state": "success"}
# Method, path and body of every way in; {run} and {tasks} are filled in.
WAYS: dict[str, tuple[str, str, Any]] = {
    "approve": ("PATCH", "{tasks}/approve/-1/hitlDetails", {"chosen_options": ["Approve"], "params_input": {}}),
    "reject": ("PATCH", "{tasks}/approve/-1/hitlDetails", {"chosen_options": ["Reject"], "params_input": {}}),
    "mark success": ("PATCH", "{tasks}/approve", SUCCESS),
    "mark failed": ("PATCH", "{tasks}/approve", {"new_state": "failed"}),
    "mark skipped": ("PATCH", "{tasks}/approve", {"new_state": "skipped"}),
    "mark by map index": ("PATCH", "{tasks}/approve/-1", SUCCESS),
    "an odd path": ("PATCH", "{tasks}/%61pprove", SUCCESS),
    "dry run": ("PATCH", "{tasks}/approve/dry_run", SUCCESS),
    "as a later task's upstream": ("PATCH", "{tasks}/deploy_prd", {**SUCCESS, "include_upstream": True}),
    "as an earlier task's downstream": (
        "PATCH",
        "{tasks}/test_dev",
        {"new_state": "failed", "include_downstream": True},
    ),
    "bulk mark": ("PATCH", "{tasks}", {"actions": [{"action": "update", "entities": ["{task}"]}]}),
    "bulk mark anywhere": (
        "PATCH",
        "/dags/~/dagRuns/~/taskInstances",
        {"actions": [{"action": "update", "entities": ["{task}"]}]},
    ),
    "bulk delete": ("PATCH", "{tasks}", {"actions": [{"action": "delete", "entities": ["{key}"]}]}),
    "delete the task": ("DELETE", "{tasks}/approve", None),
    "mark the run success": ("PATCH", "{run}", {"state": "success"}),
    "mark the run failed": ("PATCH", "{run}", {"state": "failed"}),
    "bulk mark runs": (
        "PATCH",
        f"{DAG}/dagRuns",
        {"actions": [{"action": "update", "entities": [{"dag_run_id": "{run_id}", "state": "success"}]}]},
    ),
    "clear the task": ("POST", f"{DAG}/clearTaskInstances", {"task_ids": ["approve"]}),
    "clear from train on": ("POST", f"{DAG}/clearTaskInstances", {"task_ids": ["train"], "include_downstream": True}),
    "clear the run": ("POST", "{run}/clear", {"dry_run": False, "only_failed": False}),
    "clear a partition": (
        "POST",
        f"{DAG}/clearPartitions",
        {"run_id": "{run_id}", "clear_task_instances": True, "dry_run": False},
    ),
    "forge an XCom": (
        "POST",
        "{tasks}/approve/xcomEntries",
        {"key": "return_value", "value": {"decision": "Approved"}},
    ),
    "change an XCom": ("PATCH", "{tasks}/process_request/xcomEntries/return_value", {"value": {}}),
    "delete an XCom": ("DELETE", "{tasks}/register/xcomEntries/return_value", None),
    "forge an answer": ("PUT", "{tasks}/approve/state-store/answer/0", {"value": {"approve": True, "by": "alice"}}),
    "delete the answers": ("DELETE", "{tasks}/approve/state-store", None),
    "roll back": ("POST", f"{DAG}/dagRuns", {"logical_date": None, "conf": {"roll_back_to": "previous"}}),
    "forge an order": ("PUT", "{tasks}/deploy_prd/state-store/ordered", {"value": {"by": "alice"}}),
    "delete the DAG": ("DELETE", DAG, None),
    "change a question": ("PATCH", "{tasks}/approve/state-store/asked", {"value": {}}),
    "forge an answer by an encoded letter": ("PUT", "{tasks}/%61pprove/state-store/answer/0", {"value": {}}),
    "hide uploads": ("PUT", "/assets/{asset}/state-store/intake", {"value": {"done": {}, "announced": {}}}),
    "forget uploads": ("DELETE", "/assets/{asset}/state-store", None),
    "take an upload's run id": ("POST", f"{DAG}/dagRuns", {"dag_run_id": "s3__bobs", "logical_date": None}),
    "make the connection": ("POST", "/connections", {"connection_id": "aws_default", "conn_type": "aws"}),
    "rename this Airflow": (
        "PATCH",
        "/variables/slipway_airflow_id",
        {"key": "slipway_airflow_id", "value": "another"},
    ),
}
# Refused before it is looked at where they lead: Starlette's patterns match before a final newline.
ODD_WAYS: dict[str, tuple[str, str, Any]] = {
    f"{way}, {control}": (method, f"{path}{control}", body)
    for way, (method, path, body) in {
        "forge an answer": WAYS["forge an answer"],
        "change a question": WAYS["change a question"],
        "change an XCom": WAYS["change an XCom"],
        "forge an XCom": WAYS["forge an XCom"],
        "dry run": WAYS["dry run"],
        "delete the DAG": WAYS["delete the DAG"],
    }.items()
    for control in ("%0A", "%0D%0A", "%00", "%250A")
}
REASONS = (
    "alice, carol",
    "tasks write their results",
    "use its form",
    "only the intake writes it",
    "those are for uploads",
    "only an administrator may",
)
# What an approver may not do by accident: each would decide without naming what.
UNNAMED = ("bulk mark", "mark the run success", "mark the run failed", "mark skipped", "as a later task's upstream")


class Waiting:
    """A release that waits for a decision."""

    def __init__(self, slipway) -> None:
        self.slipway, self.run_id = slipway, slipway.release(IRIS)
        slipway.wait_approval(IRIS, self.run_id)
        self.run = f"{DAG}/dagRuns/{self.run_id}"
        self._written_before = self._written()
        (asset,) = slipway.api().call("GET", "/assets", name_pattern="slipway-uploads-")["assets"]
        self.asset_id = asset["id"]

    def task(self, task_id: str = "approve") -> dict[str, Any]:
        return self.slipway.api().tasks(IRIS, self.run_id)[task_id]

    def package(self) -> dict[str, Any]:
        arn = self.slipway.api().xcom(IRIS, self.run_id, "register")["model_package_arn"]
        return self.slipway.client("sagemaker").describe_model_package(ModelPackageName=arn)

    def records(self) -> int:
        """How often something was written on it since it was asked for, as the ledger has it."""
        return self._written() - self._written_before

    def _written(self) -> int:
        arn = self.package()["ModelPackageArn"]
        return len(self.slipway.ledger(operation="UpdateModelPackage", resource=arn, outcome="ok"))

    def tries(self, user: str, way: str) -> tuple[int, str]:
        """Try a way in. Returns the status and what was said."""
        method, path, body = (WAYS | ODD_WAYS)[way]
        key = {"dag_id": IRIS, "dag_run_id": self.run_id, "task_id": "approve", "map_index": -1}
        text = json.dumps(body)
        for name, value in (("key", key), ("task", {**key, **SUCCESS})):
            text = text.replace(f'"{{{name}}}"', json.dumps(value))
        body = json.loads(text.replace("{run_id}", self.run_id))
        if path.endswith("clearTaskInstances"):
            body |= {"dag_run_id": self.run_id, "dry_run": False, "only_failed": False}
        try:
            path = path.format(run=self.run, tasks=f"{self.run}/taskInstances", asset=self.asset_id)
            self.slipway.api(user).call(method, path, body)
        except ApiError as error:
            return error.status, error.detail
        return 200, ""


@pytest.fixture(scope="module")
def waiting(slipway, first_release) -> Waiting:
    return Waiting(slipway)


@pytest.fixture(scope="module")
def production(slipway, waiting) -> str:
    """The configuration that production served while nobody had approved."""
    return slipway.endpoint_config(PRODUCTION)


class TestWhoIsNoApprover:
    @pytest.mark.parametrize("way", WAYS)
    def test_gets_nowhere(self, waiting, production, way):
        before = waiting.task()
        status, why = waiting.tries("bob", way)
        assert (status, any(reason in why for reason in REASONS)) == (403, True), why
        after = waiting.task()
        assert (after["state"], after["id"]) == ("deferred", before["id"])

    @pytest.mark.parametrize("way", ODD_WAYS)
    def test_gets_nowhere_by_an_odd_path(self, waiting, production, way):
        before = waiting.task()
        assert waiting.tries("bob", way)[0] == 400
        after = waiting.task()
        assert (after["state"], after["id"]) == ("deferred", before["id"])

    def test_gets_nowhere_with_the_uis_cookie(self, slipway, waiting, production):
        user = {"username": "bob", "password": environment.passwords(slipway.settings)["bob"]}
        token = _send(slipway.settings.airflow_url, "POST", "/auth/token", user)[1]["access_token"]
        path = f"/api/v2{waiting.run}/taskInstances/approve"
        status, answer = _send(slipway.settings.airflow_url, "PATCH", path, SUCCESS, Cookie=f"_token={token}")
        assert (status, "bob may not" in answer["detail"]) == (403, True)

    def test_has_changed_nothing(self, slipway, waiting, production):
        assert waiting.package()["ModelApprovalStatus"] == "PendingManualApproval"
        assert waiting.records() == 0
        assert slipway.endpoint_config(PRODUCTION) == production


class TestAnApprover:
    @pytest.mark.parametrize("way", UNNAMED)
    def test_decides_nothing_by_the_way(self, waiting, production, way):
        status, why = waiting.tries("alice", way)
        assert (status, "waits for a decision" in why) == (409, True), why
        assert waiting.task()["state"] == "deferred"

    def test_marks_the_task_success_in_the_browser_and_the_release_goes_on(
        self, slipway, waiting, production, chromium: Browser
    ):
        told = len(slipway.ledger(service="sns", operation="Publish", outcome="ok"))
        page = chromium.new_page(viewport={"width": 1500, "height": 1000}, locale="en-US")
        page.set_default_timeout(PATIENCE_MS)
        try:
            marks_success(page, slipway, waiting.run)
        except Exception:
            page.screenshot(path=str(Path(slipway.settings.home) / "browser.png"))
            raise
        finally:
            page.close()
        status, why = waiting.tries("carol", "reject")
        assert (status, "alice approved it at" in why or "alice decided Approved" in why) == (409, True), why
        assert slipway.wait_end(IRIS, waiting.run_id) == "success", slipway.story(IRIS, waiting.run_id)
        package = waiting.package()
        assert package["ModelApprovalStatus"] == "Approved"
        properties = package["CustomerMetadataProperties"]
        assert properties["slipway-decided-by"] == "alice"
        assert properties["slipway-decided-how"] == "marked success in Airflow"
        # The decision and, from deploy_prd, what production served before.
        assert waiting.records() == 2
        assert slipway.endpoint_config(PRODUCTION) != production
        assert len(slipway.ledger(service="sns", operation="Publish", outcome="ok")) == told + 1

    def test_who_clears_an_older_deployment_moves_nothing(self, slipway, waiting, first_release):
        live = slipway.endpoint_config(PRODUCTION)
        body = {"dag_run_id": first_release.run_id, "task_ids": ["deploy_prd"], "dry_run": False, "only_failed": False}
        slipway.api("bob").call("POST", f"{DAG}/clearTaskInstances", body | {"reset_dag_runs": True})
        slipway.wait_task(IRIS, first_release.run_id, "deploy_prd", "skipped")
        assert slipway.endpoint_config(PRODUCTION) == live


def test_of_two_answers_at_once_one_stands_and_outlives_the_process_that_takes_it(slipway, waiting):
    release = Waiting(slipway)
    live, told = slipway.endpoint_config(PRODUCTION), {}
    for user in ("alice", "carol"):
        slipway.api(user).dag_ids()  # logs in
    answers = [
        threading.Thread(target=lambda user=user, way=way: told.update({user: release.tries(user, way)}))
        for user, way in (("alice", "reject"), ("carol", "mark failed"))
    ]
    for answer in answers:
        answer.start()
    for answer in answers:
        answer.join()
    (winner,) = [user for user, (status, _) in told.items() if status == 200]
    (loser,) = {"alice", "carol"} - {winner}
    assert (told[loser][0], f"{winner} rejected it at" in told[loser][1]) == (409, True), told
    last = kill_running(release)
    assert slipway.wait_end(IRIS, release.run_id) == "failed"
    package = release.package()
    assert package["ModelApprovalStatus"] == "Rejected"
    assert package["CustomerMetadataProperties"]["slipway-decided-by"] == winner
    assert release.records() == 1
    assert release.task()["try_number"] == last
    assert slipway.endpoint_config(PRODUCTION) == live


def test_who_acts_as_airflow_in_aws_approves_nothing(slipway, waiting):
    """As a task of any other DAG can, by Airflow's own role."""
    release = Waiting(slipway)
    live, arn = slipway.endpoint_config(PRODUCTION), release.package()["ModelPackageArn"]
    airflow = slipway.airflow_client("sagemaker")
    forged = {
        "slipway-decision": "Approved",
        "slipway-decided-by": "alice",
        "slipway-decided-at": "2026-01-01T00:00:00+00:00",
        "slipway-decided-how": "Airflow",
        "slipway-approval-1": f"2026-01-01T00:00:00+00:00/approval/Airflow/{'A' * 97}/alice",
    }
    for properties, why in ((forged, "signature of Airflow's API server"), ({}, "Airflow itself and no person")):
        kept = release.package()["CustomerMetadataProperties"]
        airflow.update_model_package(
            ModelPackageArn=arn, ModelApprovalStatus="Approved", CustomerMetadataProperties=kept | properties
        )
        # A task cleared before the scheduler has ended the run stays in a run that ends all the same.
        assert slipway.wait_end(IRIS, release.run_id) == "failed"
        assert why in slipway.story(IRIS, release.run_id)
        slipway.client("sagemaker").update_model_package(
            ModelPackageArn=arn,
            ModelApprovalStatus="PendingManualApproval",
            CustomerMetadataPropertiesToRemove=list(properties),
        )
        body = {"dag_run_id": release.run_id, "task_ids": ["approve"], "dry_run": False, "only_failed": False}
        slipway.api("alice").call("POST", f"{DAG}/clearTaskInstances", body | {"reset_dag_runs": True})
        slipway.wait_task(IRIS, release.run_id, "approve", "deferred")
    assert slipway.endpoint_config(PRODUCTION) == live
    # A person whom IAM lets decide there does.
    slipway.client("sagemaker").update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Rejected")
    assert slipway.wait_end(IRIS, release.run_id) == "failed"
    assert "slipway-admin" in release.package()["CustomerMetadataProperties"]["slipway-decided-by"]


def marks_success(page: Page, slipway, run: str) -> None:
    """Log in as alice, open the approval, and mark it as the UI offers it."""
    page.goto(f"{slipway.settings.airflow_url}/dags/{IRIS}/runs/{run.rpartition('/')[2]}/tasks/approve")
    page.fill("input[name=username]", "alice")
    page.fill("input[name=password]", environment.passwords(slipway.settings)["alice"])
    page.click("button[type=submit]")
    page.get_by_role("button", name="Mark Task Instance as").click()
    page.get_by_role("menuitem", name="Success").click()
    with page.expect_response(
        lambda response: response.request.method == "PATCH" and "dry_run" not in response.url
    ) as marked:
        page.get_by_role("dialog").get_by_role("button", name="Confirm").click()
    assert marked.value.status == 200, marked.value.text()


def kill_running(release: Waiting) -> int:
    """Kill -9 the process that takes the answer, if it is not too fast.

    :returns: the number of the attempt that is to take it: the next one after a kill. It may begin above one: Airflow
        takes an attempt away that is resumed before its executor has heard of the end of the process that asked.
    """

    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        task = release.task()
        if task["state"] == "failed":
            return task["try_number"]
        # A process that has just ended has no folder there.
        children = Path("/proc/{pid}/task/{pid}/children".format_map(task))
        if task["state"] == "running" and children.exists():
            for process in (task["pid"], *map(int, children.read_text().split())):
                os.kill(process, signal.SIGKILL)
            return task["try_number"] + 1
    raise AssertionError(task)


def _send(url: str, method: str, path: str, body: Any, **headers: str) -> tuple[int, Any]:
    """One request without a Bearer token."""
    headers = {"Content-Type": "application/json", **headers}
    request = urllib.request.Request(url + path, json.dumps(body).encode(), headers, method=method)  # noqa: S310
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=60) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)
