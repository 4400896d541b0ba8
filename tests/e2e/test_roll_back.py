"""Rolling production back through the API: an approver's single request, without training; nobody else's."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tests.e2e.conftest import FirstRelease
from tools.airflow_api import ApiError

pytestmark = pytest.mark.e2e

IRIS, PRODUCTION, STACK = "iris-model", "iris-model-production", "mlops-deploy-iris-model-prd"


@dataclass(frozen=True)
class RolledBack:
    """What alice's roll-back did, after bob's had been refused."""

    first_package: str
    second_package: str
    trial_weights: dict[str, float]
    trial_accuracy: float
    refusal: ApiError
    config_before: str
    config_after_bob: str
    runs_of_bob: list[str]
    run_id: str
    jobs: int


@pytest.fixture(scope="module")
def rolled_back(slipway, first_release: FirstRelease) -> RolledBack:
    """A second release in production, and the way back to the first."""
    first = live_package(slipway)
    second_run = slipway.release(IRIS)
    slipway.wait_approval(IRIS, second_run)
    slipway.api("alice").answer(IRIS, second_run, "approve", "Approve")
    assert slipway.wait_end(IRIS, second_run) == "success", slipway.story(IRIS, second_run)
    second, config = live_package(slipway), slipway.endpoint_config(PRODUCTION)
    endpoint = slipway.client("sagemaker").describe_endpoint(EndpointName=PRODUCTION)
    weights = {variant["VariantName"]: variant["DesiredWeight"] for variant in endpoint["ProductionVariants"]}
    accuracy = slipway.ask(PRODUCTION).accuracy

    runs = {run["dag_run_id"] for run in slipway.api().runs(IRIS)}
    with pytest.raises(ApiError) as refused:
        slipway.api("bob").trigger(IRIS, {"roll_back_to": "previous"})
    bobs = [run["dag_run_id"] for run in slipway.api().runs(IRIS) if run["dag_run_id"] not in runs]
    after_bob = slipway.endpoint_config(PRODUCTION)

    jobs = len(slipway.ledger(operation="CreateTrainingJob"))
    run_id = slipway.api("alice").trigger(IRIS, {"roll_back_to": "previous"})
    assert slipway.wait_end(IRIS, run_id) == "success", slipway.story(IRIS, run_id)
    jobs = len(slipway.ledger(operation="CreateTrainingJob")) - jobs
    return RolledBack(first, second, weights, accuracy, refused.value, config, after_bob, bobs, run_id, jobs)


def live_package(slipway) -> str:
    stack = slipway.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"][0]
    return {one["OutputKey"]: one["OutputValue"] for one in stack["Outputs"]}["ModelPackageArn"]


def test_the_second_model_was_tried_beside_the_live_one(rolled_back):
    assert rolled_back.trial_weights == {"model-a": pytest.approx(0.9), "model-b": pytest.approx(0.1)}
    assert rolled_back.trial_accuracy >= 0.93


def test_who_is_no_approver_is_refused_and_starts_nothing(rolled_back):
    assert rolled_back.refusal.status == 403
    assert (
        "bob may not roll production back (previous): only its approvers may (alice, carol)"
        in rolled_back.refusal.detail
    )
    assert rolled_back.runs_of_bob == []
    assert rolled_back.config_after_bob == rolled_back.config_before


def test_production_serves_the_release_before_with_all_requests(slipway, rolled_back):
    assert rolled_back.second_package != rolled_back.first_package
    assert live_package(slipway) == rolled_back.first_package
    [variant] = slipway.client("sagemaker").describe_endpoint(EndpointName=PRODUCTION)["ProductionVariants"]
    assert (variant["VariantName"], variant["CurrentWeight"]) == ("model-a", 1.0)
    assert slipway.ask(PRODUCTION).accuracy >= 0.9


def test_nothing_was_trained_or_asked(slipway, rolled_back):
    assert rolled_back.jobs == 0
    states = {name: task["state"] for name, task in slipway.api().tasks(IRIS, rolled_back.run_id).items()}
    ran = {name for name, state in states.items() if state == "success"}
    assert {"roll_back", "deploy_prd", "test_prd"} <= ran
    assert {name: states[name] for name in ("source", "train", "register", "deploy_dev", "approve")} == dict.fromkeys(
        ("source", "train", "register", "deploy_dev", "approve"), "skipped"
    )


def test_the_package_says_who_brought_it_back(slipway, rolled_back):
    package = slipway.client("sagemaker").describe_model_package(ModelPackageName=rolled_back.first_package)
    assert (
        f" by alice from {rolled_back.second_package.rpartition('/')[2]} in "
        in (package["CustomerMetadataProperties"]["slipway-rolled-back"])
    )
