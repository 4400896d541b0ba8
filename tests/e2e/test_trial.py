"""Another model, from its file to its teardown: a trial decided by a person, promotion and roll-back amid kills.

Airflow's processes are killed one by one while production changes.
"""

from __future__ import annotations

import random
import signal
from collections import Counter
from dataclasses import dataclass, field

import pytest

from demo import training_job, upload
from demo.datasets import load, to_csv
from tests.faults.chaos import victims
from tests.faults.injection import FaultInjection
from tools.airflow_api import ApiError

pytestmark = pytest.mark.e2e

WINE, PRODUCTION, STACK = "wine-model", "wine-model-production", "mlops-deploy-wine-model-prd"
TRIAL = "\ntrial: {minutes: 0.05, bake_minutes: 0.2}\n"
DATA = 'assets: [{asset: wine-data, data: "s3://mlops-{region}-{account}/wine-model/input/"}]\n'
# model-a's and model-b's shares: of the trial, of the steps, and of one variant that has all.
SHARES = {(0.9, 0.1), (0.5, 0.5), (0.0, 1.0), (1.0,)}
AIRFLOW = ("triggerer", "scheduler", "API server")


@dataclass
class Killing:
    """Kills Airflow's processes while a task is at work, each kind once, and notes what production serves by."""

    slipway: object
    run_id: str
    task_id: str
    left: list[str] = field(default_factory=lambda: ["task", *AIRFLOW])
    killed: Counter[str] = field(default_factory=Counter)
    shares: set[tuple[float, ...]] = field(default_factory=set)
    _chance: random.Random = field(default_factory=lambda: random.Random(7))

    def to_the_end(self) -> str:
        """:returns: the run's state"""
        return self.slipway.wait(f"the end of {self.run_id}", self._look)

    def _look(self) -> str | None:
        self.shares.add(shares(self.slipway))
        try:
            task = self.slipway.api().tasks(WINE, self.run_id)[self.task_id]["state"]
            state = self.slipway.api().run(WINE, self.run_id)["state"]
        except (ApiError, OSError):
            # It was killed a moment ago.
            return None
        if self.left and task in ("running", "deferred"):
            # A worker lives for moments only: it is asked for first, whenever there is one.
            kinds = ["task", *self.left] if "task" in self.left else self.left
            for kind in dict.fromkeys(kinds):
                victim = victims.find(self.slipway.settings, kind, self._chance)
                if victim and victim.send(signal.SIGKILL):
                    self.left.remove(kind)
                    self.killed[kind] += 1
                    break
        return state if state in ("success", "failed") else None


def shares(slipway) -> tuple[float, ...]:
    variants = slipway.client("sagemaker").describe_endpoint(EndpointName=PRODUCTION)["ProductionVariants"]
    weights = {variant["VariantName"]: variant["CurrentWeight"] for variant in variants}
    return tuple(round(weights[name] / sum(weights.values()), 3) for name in sorted(weights))


def package(slipway, run_id: str) -> dict:
    arn = slipway.api().xcom(WINE, run_id, "register")["model_package_arn"]
    return slipway.client("sagemaker").describe_model_package(ModelPackageName=arn)


def release(slipway, seed: int) -> str:
    """Upload a model of its own and approve it."""
    body = training_job.build(WINE, slipway.settings.bucket, {"seed": str(seed)})
    run_id = slipway.release(WINE, body)
    slipway.wait_approval(WINE, run_id)
    slipway.api("alice").answer(WINE, run_id, "approve", "Approve")
    return run_id


@dataclass(frozen=True)
class First:
    """The release that brought the first model into production."""

    run_id: str
    accuracy: float


@pytest.fixture(scope="module")
def slipway(struck):
    """Here, too, processes are killed. No file after this one uses the instance, so it does not go on beside them."""
    yield struck
    struck.services("down")


@pytest.fixture(scope="module")
def first(slipway) -> First:
    models = slipway.include / "models"
    text = (models / "iris-model.yaml").read_text().replace("iris", "wine")
    (models / f"{WINE}.yaml").write_text(text + TRIAL + DATA)
    slipway.make_model_roles()
    upload.upload_data(slipway.settings, WINE, "wine")
    # Nobody asks Airflow to look: it does by itself.
    slipway.wait("the model's DAG", lambda: WINE in slipway.api().dag_ids())
    run_id = release(slipway, 1)
    assert slipway.wait_end(WINE, run_id) == "success", slipway.story(WINE, run_id)
    return First(run_id, slipway.ask(PRODUCTION, "wine").accuracy)


@dataclass(frozen=True)
class Promoted:
    """The second release, which alice has promoted after bob was refused."""

    run_id: str
    refusal: ApiError
    asked_of: str
    killing: Killing


@pytest.fixture(scope="module")
def promoted(slipway, first) -> Promoted:
    run_id = release(slipway, 2)
    slipway.wait_task(WINE, run_id, "decide_trial", "deferred", "awaiting_input")
    screen = slipway.wait("the question", lambda: slipway.api().approval(WINE, run_id, "decide_trial"))
    with pytest.raises(ApiError) as refused:
        slipway.api("bob").answer(WINE, run_id, "decide_trial", "Promote")
    slipway.api("alice").answer(WINE, run_id, "decide_trial", "Promote", comment="better on the early rows")
    killing = Killing(slipway, run_id, "settle_trial")
    assert killing.to_the_end() == "success", slipway.story(WINE, run_id)
    return Promoted(run_id, refused.value, screen["body"], killing)


def test_a_model_file_is_all_that_another_model_takes(first):
    assert first.accuracy >= 0.9


def test_only_an_approver_decides_and_the_package_says_who(slipway, promoted):
    assert promoted.refusal.status == 403
    assert "bob" in promoted.refusal.detail
    assert "model-b" in promoted.asked_of
    said = package(slipway, promoted.run_id)["CustomerMetadataProperties"]
    assert said["slipway-trial-verdict"] == "promote"
    assert said["slipway-trial-outcome"] == "promoted"
    assert "alice" in said["slipway-trial-decided"]
    assert "better on the early rows" in said["slipway-trial-why"]
    note = slipway.api().run(WINE, promoted.run_id)["note"].split("\n\n")
    assert [line.partition(" by alice, ")[0] for line in note[1:]] == ["approved", "trial: promote, decided"]
    assert note[-1].endswith(": better on the early rows")


def test_a_promotion_whose_processes_are_killed_ends_with_the_new_model_alone(slipway, promoted, record_property):
    record_property("killed during a promotion", dict(promoted.killing.killed))
    assert set(promoted.killing.killed) >= set(AIRFLOW)
    assert promoted.killing.shares <= SHARES
    assert shares(slipway) == (1.0,)
    assert outputs(slipway)["ModelPackageArn"] == package(slipway, promoted.run_id)["ModelPackageArn"]
    assert outputs(slipway)["TrialOutcome"] == "promoted"
    steps = slipway.ledger(operation="UpdateEndpointWeightsAndCapacities", outcome="ok")
    assert len([call for call in steps if call["resource"] == PRODUCTION]) == 2


def test_a_roll_back_whose_processes_are_killed_ends_with_the_model_before(slipway, first, promoted, record_property):
    # The task would be over before anybody has looked.
    slow = {"service": "cloudformation", "operation": "ExecuteChangeSet", "latency_seconds": 4}
    with FaultInjection(slipway.settings.aws_url).injected(**slow):
        run_id = slipway.api("alice").trigger(WINE, {"roll_back_to": "previous"})
        killing = Killing(slipway, run_id, "deploy_prd", left=["task", "triggerer"])
        assert killing.to_the_end() == "success", slipway.story(WINE, run_id)
    record_property("killed during a roll-back", dict(killing.killed))
    assert killing.killed["task"]
    assert killing.shares <= SHARES
    assert shares(slipway) == (1.0,)
    assert outputs(slipway)["ModelPackageArn"] == package(slipway, first.run_id)["ModelPackageArn"]


def test_another_dag_ran_on_each_change_of_what_is_live_and_learnt_which(slipway, first, promoted):
    """After all of the kills: the first release, the trial's winner and the way back, each told once."""

    def told() -> list[dict]:
        runs = [run["dag_run_id"] for run in slipway.api().runs("new_model") if run["state"] == "success"]
        return [extra for run in runs for extra in slipway.api().xcom("new_model", run, "use_it")]

    versions = [package(slipway, run_id)["ModelPackageVersion"] for run_id in (first.run_id, promoted.run_id)]
    changes = {("released", versions[0]), ("promoted", versions[1]), ("rolled back", versions[0])}
    slipway.wait("the runs of the other DAG", lambda: {(one["change"], one["version"]) for one in told()} >= changes)
    said = told()
    assert len(said) == len(changes)
    assert all(one["held_out"]["accuracy"] >= 0.9 for one in said)
    assert {one["rolled_back_by"] for one in said} == {None, "alice"}
    # A task that is cleared and ends well again changes nothing of what is live.
    rolled_back = next(one["run"]["run_id"] for one in said if one["rolled_back_by"])
    again = {"dag_run_id": rolled_back, "task_ids": ["test_prd"], "only_failed": False, "dry_run": False}
    slipway.api("alice").call("POST", f"/dags/{WINE}/clearTaskInstances", again)
    slipway.wait("the second test", lambda: slipway.api().tasks(WINE, rolled_back)["test_prd"]["try_number"] > 1)
    assert slipway.wait_end(WINE, rolled_back) == "success"
    events = slipway.api().call("GET", "/assets/events", source_dag_id=WINE)["asset_events"]
    assert Counter(event["extra"]["change"] for event in events) == Counter(one["change"] for one in said)


def test_an_etl_that_updates_the_data_releases_the_newest_zip_once(slipway, promoted):
    def update() -> list[str]:
        """Run the ETL's DAG, and what waits for its asset. Returns the runs that new data has started."""
        before = len(ended("new_data-wine-model"))
        assert slipway.wait_end("etl", slipway.api("alice").trigger("etl", {})) == "success"
        slipway.wait("a look at the data", lambda: len(ended("new_data-wine-model")) > before)
        return [run["dag_run_id"] for run in slipway.api().runs(WINE) if run["dag_run_id"].startswith("data__")]

    def ended(dag_id: str) -> list[dict]:
        return [run for run in slipway.api().runs(dag_id) if run["state"] == "success"]

    assert update() == []
    key = f"{WINE}/input/train/more.csv"
    slipway.client("s3").put_object(Bucket=slipway.settings.bucket, Key=key, Body=to_csv(load("wine").train[:9]))
    (run_id,) = update()
    slipway.wait_task(WINE, run_id, "source", "success")
    pinned = slipway.api().xcom(WINE, run_id, "source")
    newest = slipway.api().xcom(WINE, promoted.run_id, "source")
    assert (pinned["version_id"], pinned["attempt"]) == (newest["version_id"], newest["attempt"] + 1)
    assert pinned["data"] != newest["data"]
    assert update() == [run_id]
    slipway.api("alice").call("PATCH", f"/dags/{WINE}/dagRuns/{run_id}", {"state": "failed"})


def test_a_teardown_leaves_nothing_of_it(slipway, first):
    refused = slipway.api("alice").trigger("teardown", {"model": WINE, "confirm": "iris-model"})
    assert slipway.wait_end("teardown", refused) == "failed"
    with pytest.raises(ApiError) as refusal:
        slipway.api("bob").trigger("teardown", {"model": WINE, "confirm": WINE})
    assert (refusal.value.status, "only its approvers may" in refusal.value.detail) == (403, True)
    assert [call for call in slipway.ledger(operation="DeleteStack") if "wine" in call["resource"]] == []
    sagemaker = slipway.client("sagemaker")
    for form in ({}, {"remove_record": True}):
        run_id = slipway.api("alice").trigger("teardown", {"model": WINE, "confirm": WINE, **form})
        assert slipway.wait_end("teardown", run_id) == "success", slipway.story("teardown", run_id)
        groups = sagemaker.list_model_package_groups()["ModelPackageGroupSummaryList"]
        assert any("wine" in item["ModelPackageGroupName"] for item in groups) is (not form)
    for names in (
        [item["EndpointName"] for item in sagemaker.list_endpoints()["Endpoints"]],
        [item["EndpointConfigName"] for item in sagemaker.list_endpoint_configs()["EndpointConfigs"]],
        [item["ModelName"] for item in sagemaker.list_models()["Models"]],
        [
            item["ModelPackageGroupName"]
            for item in sagemaker.list_model_package_groups()["ModelPackageGroupSummaryList"]
        ],
    ):
        assert [name for name in names if "wine" in name.lower()] == []
    # The roles stay for a next release, as the documents say.
    stacks = [item["StackName"] for item in slipway.client("cloudformation").describe_stacks()["Stacks"]]
    assert [name for name in stacks if "wine" in name] == [f"slipway-model-{WINE}"]


def outputs(slipway) -> dict[str, str]:
    stack = slipway.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"][0]
    return {one["OutputKey"]: one["OutputValue"] for one in stack["Outputs"]}
