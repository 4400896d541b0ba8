"""A roll-back and a garbage collection killed at each of their calls to AWS; the ledger says what was done twice."""

from collections import Counter

import pytest

from slipway import names
from slipway.cleanup import folders
from slipway.deployment import history
from slipway.deployment.roll_back import RollBackOperator
from slipway.deployment.roll_back_order import ROLL_BACK_TASKS
from slipway.model import config
from slipway.signed.orders import ORDER, Act
from tests.faults.crashes import Crashes, Waits, attempt, kill_everywhere
from tests.faults.releases import Run, begin, tasks
from tests.local_aws.release_support import model, zip_with
from tests.unit.request_samples import BUCKET
from tests.unit.signatures import record_decision, signed_order

pytestmark = [pytest.mark.local_aws, pytest.mark.rare]

MODEL = model().model_copy(
    update={
        # Each row that an endpoint is tried with is a call, and one is like the other.
        "test": model().test.model_copy(update={"max_rows": 2}),
        "roll_back": config.RollBack(keep_releases=1),
    }
)
STACK, ENDPOINT = "mlops-deploy-iris-model-prd", "iris-model-production"


@pytest.fixture(scope="module")
def crashes(aws, every_kill):
    with pytest.MonkeyPatch.context() as patch:
        yield Crashes.install(patch, every=every_kill)


@pytest.fixture(scope="module")
def trained(aws, crashes) -> dict[str, Run]:
    """A release that ended before anybody decided on it, and two that are in production one after the other."""
    waits, runs = Waits(crashes), {}
    for number, name in enumerate(("abandoned", "first", "second")):
        run = runs[name] = begin(aws, MODEL, zip_with(num_round=str(number + 1)))
        with crashes.disarmed():
            for task_id in ("train", "evaluate", "register"):
                _take(crashes, run, task_id, waits)
            if name == "abandoned":
                continue
            record_decision(run.xcoms["register"]["model_package_arn"], run.xcoms["process_request"]["digest"])
            _take(crashes, run, "deploy_prd", waits)
    return runs


def _take(crashes, run, task_id, waits) -> None:
    run.xcoms[task_id] = attempt(crashes, tasks(MODEL)[task_id], run.context(task_id), waits)


@pytest.fixture(scope="module")
def rolled_back(aws, crashes, trained) -> dict:
    """What a roll-back did in all its attempts, and how often it was killed."""
    run, waits = Run("manual__back", roll_back_to="previous"), Waits(crashes)
    order = signed_order(Act.ROLL_BACK, "previous", run_id=run.run_id)
    for task_id in ROLL_BACK_TASKS:
        run.context(task_id)["task_state_store"].set(ORDER, order)
    made = tasks(MODEL) | {"roll_back": lambda: RollBackOperator(task_id="roll_back", model=MODEL)}
    calls, kills = len(aws.ledger()), crashes.kills
    for task_id in ("roll_back", "deploy_prd", "test_prd"):
        ctx = run.context(task_id)

        def once(task_id=task_id, ctx=ctx):
            return attempt(crashes, made[task_id], ctx, waits)

        run.xcoms[task_id] = kill_everywhere(crashes, once, in_a_row=1)
    done = Counter(call["operation"] for call in aws.ledger()[calls:] if call["outcome"] == "ok")
    return {"run": run, "done": done, "kills": crashes.kills - kills}


def test_a_killed_roll_back_ends_as_one_that_never_was(aws, trained, rolled_back, record_property):
    record_property("kills of a roll-back", rolled_back["kills"])
    assert rolled_back["kills"] > 20
    first = trained["first"].xcoms
    outputs = {item["OutputKey"]: item["OutputValue"] for item in aws.stack(STACK)["Outputs"]}
    assert outputs["ModelPackageArn"] == first["register"]["model_package_arn"]
    key = names.artefact_key("iris-model", first["process_request"]["revision_id"])
    assert outputs["ModelADataUrl"] == f"s3://{BUCKET}/{key}"
    endpoint = aws.client("sagemaker").describe_endpoint(EndpointName=ENDPOINT)
    assert endpoint["EndpointStatus"] == "InService"
    weights = [(item["VariantName"], item["CurrentWeight"]) for item in endpoint["ProductionVariants"]]
    assert weights == [("model-a", 1.0)]


def test_it_trained_nothing_and_did_nothing_twice(rolled_back):
    done = rolled_back["done"]
    assert done["CreateTrainingJob"] == done["CreateModelPackage"] == done["DeleteEndpoint"] == done["DeleteStack"] == 0
    # One change set takes the trial's variant from auto scaling, one deploys.
    assert done["ExecuteChangeSet"] == 2
    assert done["UpdateEndpoint"] == done["UpdateModelPackage"] == 1


def test_a_killed_collection_removes_the_abandoned_release_and_nothing_else(
    aws, crashes, trained, rolled_back, record_property, monkeypatch
):
    # As in a model with a long history: all are listed by the first attempt, and remembered for the others.
    monkeypatch.setattr(folders, "_FEW", 0)
    run, waits, kills = begin(aws, MODEL, zip_with(num_round="9")), Waits(crashes), crashes.kills
    kept = {name: _objects(aws, trained[name]) for name in ("first", "second")}
    kept["own"] = _objects(aws, run)
    assert "model.tar.gz" in _objects(aws, trained["abandoned"])

    def once():
        return attempt(crashes, tasks(MODEL)["collect_garbage"], run.context("collect_garbage"), waits)

    kill_everywhere(crashes, once, in_a_row=1)
    record_property("kills of the garbage collection", crashes.kills - kills)
    assert crashes.kills - kills > 20
    assert _objects(aws, trained["abandoned"]) == {"claim.json"}
    packages = {name: _package(aws, trained[name]) for name in trained}
    states = {name: one["ModelApprovalStatus"] for name, one in packages.items()}
    assert states == {"abandoned": "Rejected", "first": "Approved", "second": "Approved"}
    collected = {name for name, one in packages.items() if history.COLLECTED in one["CustomerMetadataProperties"]}
    assert collected == {"abandoned"}
    assert {name: _objects(aws, trained[name]) for name in ("first", "second")} | {"own": _objects(aws, run)} == kept
    assert once() == {"revisions": [], "resources": [], "bytes": 0}
    body = aws.client("sagemaker-runtime").invoke_endpoint(
        EndpointName=ENDPOINT, ContentType="text/csv", Body=b"5.1,3.5,1.4,0.2"
    )["Body"]
    assert float(body.read()) == 0


def _package(aws, run) -> dict:
    return aws.client("sagemaker").describe_model_package(ModelPackageName=run.xcoms["register"]["model_package_arn"])


def _objects(aws, run) -> set[str]:
    plan = run.xcoms["process_request"]
    folders = (names.release_prefix("iris-model", plan["revision_id"]), f"iris-model/{plan['training_job_name']}/")
    return {
        item["Key"].rpartition("/")[2]
        for folder in folders
        for item in aws.client("s3").list_objects_v2(Bucket=BUCKET, Prefix=folder).get("Contents", ())
    }
