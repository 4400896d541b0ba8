"""A second release and the way back, by the command line: an approver's one request, and nobody else's."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from demo import datasets, training_job
from slipway.command.exits import Exit
from tests.e2e.command import Person, Said
from tests.e2e.conftest import FirstRelease
from tools.airflow_api import ApiError

pytestmark = pytest.mark.e2e

IRIS, PRODUCTION, STACK = "iris-model", "iris-model-production", "mlops-deploy-iris-model-prd"


@dataclass(frozen=True)
class RolledBack:
    """What alice's roll-back did, after bob's had been refused, and what the command line said to them."""

    submitted: Said
    seen: Said
    refused_answer: Said
    approved: Said
    refused_order: Said
    unknown_version: Said
    answers: Said
    doctor: Said
    ordered: Said

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
def rolled_back(slipway, first_release: FirstRelease, tmp_path_factory) -> RolledBack:
    """A second release in production, and the way back to the first."""
    home = tmp_path_factory.mktemp("people")
    alice, bob = Person(slipway, "alice", home), Person(slipway, "bob", home)
    (home / "trainingjob.zip").write_bytes(training_job.build(IRIS, slipway.settings.bucket))
    first = live_package(slipway)
    submitted = alice("submit", "trainingjob.zip", "--model", IRIS, "--json")
    assert submitted.code == Exit.WAITS, submitted
    second_run = submitted.json["run_id"]
    seen = bob("status", IRIS, "--json")
    refused_answer = bob("approve", IRIS, "--run", second_run, "--yes", "--json")
    approved = alice("approve", IRIS, "--yes", "--comment", "by command", "--follow", "--json")
    assert approved.code == Exit.DONE, slipway.story(IRIS, second_run)
    second, config = live_package(slipway), slipway.endpoint_config(PRODUCTION)
    endpoint = slipway.client("sagemaker").describe_endpoint(EndpointName=PRODUCTION)
    weights = {variant["VariantName"]: variant["DesiredWeight"] for variant in endpoint["ProductionVariants"]}
    accuracy = slipway.ask(PRODUCTION).accuracy

    runs = {run["dag_run_id"] for run in slipway.api().runs(IRIS)}
    with pytest.raises(ApiError) as refused:
        slipway.api("bob").trigger(IRIS, {"roll_back_to": "previous"})
    bobs = [run["dag_run_id"] for run in slipway.api().runs(IRIS) if run["dag_run_id"] not in runs]
    refused_order = bob("rollback", IRIS, "--yes", "--json")
    unknown_version = alice("rollback", IRIS, "--to", "99", "--yes", "--json")
    after_bob = slipway.endpoint_config(PRODUCTION)
    rows = datasets.to_csv(datasets.load("iris").held_out).decode()
    answers = alice("invoke", IRIS, "--label-first", "--json", typed=rows)
    doctor = alice("doctor", IRIS, "--json")

    jobs = len(slipway.ledger(operation="CreateTrainingJob"))
    ordered = alice("rollback", IRIS, "--yes", "--json")
    assert ordered.code == Exit.DONE, ordered
    run_id = ordered.json["run_id"]
    jobs = len(slipway.ledger(operation="CreateTrainingJob")) - jobs
    said = (submitted, seen, refused_answer, approved, refused_order, unknown_version, answers, doctor, ordered)
    return RolledBack(*said, first, second, weights, accuracy, refused.value, config, after_bob, bobs, run_id, jobs)


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


def test_submit_returns_at_the_question_with_the_very_version_it_uploaded(slipway, rolled_back):
    document = rolled_back.submitted.json
    assert (rolled_back.submitted.code, document["exit_code"]) == (Exit.WAITS, Exit.WAITS)
    assert document["upload"]["uploaded_by"] == "alice"
    [run] = slipway.runs_of(IRIS, document["upload"]["version_id"])
    assert run == document["run_id"]
    assert [one["uploader"] for one in document["decisions"]] == ["alice"]
    assert "train            success" in rolled_back.submitted.err


def test_anybody_sees_the_release_and_only_an_approver_answers(rolled_back):
    assert rolled_back.seen.code == Exit.DONE
    [asked] = rolled_back.seen.json["model"]["row"]["decisions"]
    assert asked["run_id"] == rolled_back.submitted.json["run_id"]
    assert rolled_back.refused_answer.code == Exit.REFUSED
    assert "nly its approvers may (alice, carol)" in rolled_back.refused_answer.json["error"]["why"]
    assert rolled_back.approved.json["is_live"]
    [decided] = rolled_back.approved.json["decided"]
    assert (decided["by"], decided["comment"]) == ("alice", "by command")


def test_only_an_approver_rolls_back_and_only_to_what_there_is(rolled_back):
    assert rolled_back.refused_order.code == Exit.REFUSED
    assert "nly its approvers may (alice, carol)" in rolled_back.refused_order.json["error"]["why"]
    assert rolled_back.unknown_version.code == Exit.NOT_FOUND
    assert "previous or one of the versions" in rolled_back.unknown_version.json["error"]["why"]
    assert rolled_back.ordered.json["rolled_back_by"] == "alice"


def test_invoke_prints_an_answer_a_row_and_the_accuracy(rolled_back):
    assert rolled_back.answers.code == Exit.DONE
    document = rolled_back.answers.json
    assert len(document["answers"]) == len(datasets.load("iris").held_out)
    assert document["accuracy"] >= 0.9


def test_doctor_finds_the_set_up_good(rolled_back):
    found = {one["about"]: one["state"] for one in rolled_back.doctor.json["findings"]}
    wanted = ("Airflow answers", "the approval guard", "your login", "your AWS credentials", "the roles of iris-model")
    assert {about: found[about] for about in wanted} == dict.fromkeys(wanted, "ok")
