"""What was registered is what is deployed, byte for byte: artefacts that are replaced at each point of a release."""

from collections.abc import Callable
from contextlib import contextmanager

import pytest

from slipway.cleanup.collect_garbage import CollectGarbageOperator
from slipway.errors import ArtefactChanged, NotApproved, RollBackRefused, TrialFailed
from slipway.host import runs
from slipway.registry.artefact_store import S3Artefacts
from slipway.trial.wait import BakeTrigger
from tests.cfn.releases import DEV, PRD, Model, Release, RollBack
from tests.cfn.trials import TrialModel
from tests.local_aws.hooks import lead_hooks_to
from tests.local_aws.sagemaker_cases import BUCKET, ROWS, model_data, predict
from tests.unit.scripted_aws import MemoryStore
from tests.unit.task_runs import context, first_event, run_task

pytestmark = pytest.mark.local_aws

CHANGES = (
    "CreateStack",
    "ExecuteChangeSet",
    "DeleteStack",
    "UpdateStack",
    "CreateEndpoint",
    "UpdateEndpoint",
    "UpdateEndpointWeightsAndCapacities",
)


@pytest.fixture(scope="module")
def aws(local_aws):
    """The local AWS for a whole module; a run that holds a stage has always ended."""
    with pytest.MonkeyPatch.context() as patch:
        lead_hooks_to(local_aws.endpoint_url, patch)
        patch.setattr(runs, "goes_on", lambda dag_id, run_id: False)
        yield local_aws


@pytest.fixture(scope="module")
def production(aws) -> list[Release]:
    """Two releases that production has served, the live one last, each alone."""
    return in_production(aws)


def in_production(aws) -> list[Release]:
    model = Model(aws)
    releases = [model.release(model_data(aws, label_shift=shift), ABTests=False).approve() for shift in range(2)]
    for release in releases:
        release.deploy(PRD)
    return releases


def put(aws, release: Release, data: bytes) -> None:
    bucket, key = release.artefact.place
    aws.client("s3").put_object(Bucket=bucket, Key=key, Body=data)


def read(aws, url: str) -> bytes:
    bucket, _, key = url.removeprefix("s3://").partition("/")
    return aws.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()


@pytest.fixture
def replaced(aws):
    """Replace a release's model by another good one, and restore it afterwards as the error says."""
    done: list[Release] = []

    def replace(release: Release) -> None:
        put(aws, release, read(aws, model_data(aws, label_shift=2)))
        done.append(release)

    yield replace
    for release in done:
        bring_back(aws, release)


def bring_back(aws, release: Release) -> None:
    bucket, key = release.artefact.place
    source = {"Bucket": bucket, "Key": key, "VersionId": release.artefact.version_id}
    aws.client("s3").copy_object(Bucket=bucket, Key=key, CopySource=source)


@pytest.fixture
def unchanged(aws, production):
    with left_alone(aws, production[-1]):
        yield


@contextmanager
def left_alone(aws, live: Release):
    """Check by the ledger that nothing changed production, and that it answers as before."""
    before, answer = changes_of(aws, live), predict(aws, live.plan.endpoint(PRD), ROWS[0])
    yield
    assert changes_of(aws, live) == before
    assert predict(aws, live.plan.endpoint(PRD), ROWS[0]) == answer


def changes_of(aws, release: Release, environment=PRD) -> list[str]:
    ours = (release.plan.stack(environment), release.plan.endpoint(environment))
    return [
        call["operation"]
        for call in aws.ledger()
        if call["operation"] in CHANGES and any(name in str(call["resource"]) for name in ours)
    ]


def says(release: Release) -> str:
    """What the error must say: everything that is on record."""
    recorded = release.artefact
    return (
        rf"on record are {recorded.size_bytes} bytes, ETag {recorded.etag}, version {recorded.version_id}, "
        rf"SHA-256 {recorded.sha256}; found \d+ bytes, ETag \w+, version \S+, SHA-256 \w+"
    )


def refused(release: Release, error: type[Exception], act: Callable[[], object]) -> None:
    with pytest.raises(error, match=says(release)):
        act()


def test_the_package_is_of_a_copy_that_a_training_job_cannot_touch(aws, production):
    """Replacing the trained artefact after the registration has no effect, because nothing reads it."""
    url = f"s3://{BUCKET}/{production[0].model.prefix}/mlops-x/output/model.tar.gz"
    bucket, _, key = url.removeprefix("s3://").partition("/")
    good = read(aws, model_data(aws))
    aws.client("s3").put_object(Bucket=bucket, Key=key, Body=good)
    release = Model(aws).release(url, ABTests=False)
    aws.client("s3").put_object(Bucket=bucket, Key=key, Body=b"something else")
    release.deploy(DEV)
    assert predict(aws, release.plan.endpoint(DEV), ROWS[0])[0] == 0
    assert read(aws, release.model_data_url) == good


def test_before_development(aws, production, replaced):
    release = production[0].model.release(model_data(aws), ABTests=False)
    replaced(release)
    refused(release, ArtefactChanged, lambda: release.deploy(DEV))
    assert changes_of(aws, release, DEV) == []


def test_after_the_question(aws, production, replaced, unchanged):
    aws.client("sns").create_topic(Name="slipway-releases")
    release = production[0].model.release(model_data(aws), ABTests=False).approve()
    replaced(release)
    told = len(aws.ledger(operation="Publish", outcome="ok"))
    refused(release, ArtefactChanged, lambda: release.deploy(PRD))
    assert len(aws.ledger(operation="Publish", outcome="ok")) == told + 1


def test_between_the_change_set_and_its_execution(aws, production, replaced, unchanged, monkeypatch):
    release = production[0].model.release(model_data(aws), ABTests=False).approve()
    check, seen = S3Artefacts.check, []

    def replace_after_the_first_look(hook, recorded):
        check(hook, recorded)
        if not seen:
            seen.append(recorded)
            replaced(release)

    monkeypatch.setattr(S3Artefacts, "check", replace_after_the_first_look)
    refused(release, ArtefactChanged, lambda: release.deploy(PRD))


def test_gone_after_the_question(aws, production, unchanged):
    release = production[0].model.release(model_data(aws), ABTests=False).approve()
    bucket, key = release.artefact.place
    aws.client("s3").delete_object(Bucket=bucket, Key=key)
    with pytest.raises(ArtefactChanged, match="found no such object"):
        release.deploy(PRD)


def test_the_live_model_that_stays_beside_a_new_one(aws, production, replaced, unchanged):
    release = production[0].model.release(model_data(aws), InitialVariantWeight=0.1).approve()
    replaced(production[-1])
    refused(production[-1], ArtefactChanged, lambda: release.deploy(PRD))


def test_before_a_roll_back_and_between_its_choice_and_its_deployment(aws, replaced):
    former, live = in_production(aws)
    with left_alone(aws, live):
        back = RollBack(former.model, "previous", run_id="manual__bytes")
        back.choose()
        replaced(former)
        refused(former, ArtefactChanged, back.deploy)
        refused(former, RollBackRefused, RollBack(former.model, "previous", run_id="manual__bytes-2").choose)


def test_a_package_without_a_record_is_not_deployed(aws, production, unchanged):
    release = production[0].model.release(model_data(aws), ABTests=False)
    keys = [key for key in release.package["CustomerMetadataProperties"] if key.startswith("slipway-artefact-")]
    aws.client("sagemaker").update_model_package(
        ModelPackageArn=release.package_arn, CustomerMetadataPropertiesToRemove=keys
    )
    with pytest.raises(ArtefactChanged, match=r"has no record of them.*new_attempt"):
        release.approve().deploy(PRD)


def test_a_record_changed_after_the_approval_takes_the_approval_away(aws, production, unchanged):
    release = production[0].model.release(model_data(aws), ABTests=False).approve()
    changed = release.package["CustomerMetadataProperties"] | {"slipway-artefact-sha256": "f" * 64}
    aws.client("sagemaker").update_model_package(
        ModelPackageArn=release.package_arn, CustomerMetadataProperties=changed
    )
    with pytest.raises(NotApproved, match="signature of Airflow's API server"):
        release.deploy(PRD)


def collect(release: Release, topic: str) -> dict:
    approval = release.model.config.approval.model_copy(update={"topic": topic})
    model = release.model.config.model_copy(update={"approval": approval})
    operator = CollectGarbageOperator(task_id="collect_garbage", model=model, do_xcom_push=False)
    run = context({"process_request": release.plan.to_xcom()}, run_id=f"s3__{release.plan.revision_id}")
    return run_task(release.model.at_its_gate(operator), run | {"task_state_store": MemoryStore()})


def test_what_production_serves_is_watched_at_the_end_of_each_release(aws, replaced):
    topic = aws.client("sns").create_topic(Name="slipway-releases")["TopicArn"]
    live = in_production(aws)[-1]
    told = len(aws.ledger(operation="Publish"))
    assert collect(live, topic).keys() == {"revisions", "resources", "bytes"}
    assert len(aws.ledger(operation="Publish")) == told
    replaced(live)
    removed = len(aws.ledger(operation="DeleteObjects"))
    with left_alone(aws, live):
        refused(live, ArtefactChanged, lambda: collect(live, topic))
    assert len(aws.ledger(operation="Publish", outcome="ok")) == told + 1
    assert len(aws.ledger(operation="DeleteObjects")) == removed


def test_the_same_bytes_under_another_version_are_the_same_model(aws, production):
    release = production[0].model.release(model_data(aws), ABTests=False)
    put(aws, release, b"something else")
    refused(release, ArtefactChanged, lambda: release.deploy(DEV))
    bring_back(aws, release)
    assert release.deploy(DEV)["change"] in ("created", "updated")


def test_a_model_on_trial_is_not_promoted(aws, replaced):
    trial = TrialModel(aws).on_trial()
    trial.watch()
    assert trial.run("decide_trial")["verdict"] == "promote"
    replaced(trial.release)
    before = changes_of(aws, trial.release), trial.weights()
    refused(trial.release, ArtefactChanged, lambda: trial.run("settle_trial"))
    assert (changes_of(aws, trial.release), trial.weights()) == before
    # Once the artefact is restored, the trial continues.
    bring_back(aws, trial.release)
    assert trial.run("settle_trial")["outcome"] == "promoted"


def test_changed_bytes_do_not_keep_a_failing_model_in_the_requests(aws, replaced):
    trial = TrialModel(aws).on_trial()
    shares = trial.weights()
    trial.watch()
    trial.run("decide_trial")

    def wait(trigger):
        if isinstance(trigger, BakeTrigger):
            trial.measured(trigger, "model-b", 50, errors=30)
            replaced(trial.release)
        return first_event(trigger)

    with pytest.raises(TrialFailed, match="the trial's weights are back"):
        trial.run("settle_trial", wait)
    assert trial.weights() == shares


@pytest.mark.parametrize("others", [0, 4])
def test_a_deployment_looks_at_its_own_artefacts_alone(aws, others):
    """It reads them before and after making the change set, and before executing it, however many releases exist."""
    model = Model(aws)
    for _ in range(others):
        model.release(model_data(aws), ABTests=False)
    release = model.release(model_data(aws), ABTests=False)
    key = release.artefact.place[1]
    before = len(aws.ledger(operation="HeadObject"))
    release.deploy(DEV)
    looks = aws.ledger(operation="HeadObject")[before:]
    assert [key in str(call["resource"]) for call in looks] == [True, True, True]
