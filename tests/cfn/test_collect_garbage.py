"""What a release collects, and what it leaves: real models, endpoints, stacks and objects of the local AWS."""

from dataclasses import dataclass

import pytest

from slipway import image_names, names
from slipway.aws.documents import S3Documents
from slipway.cleanup.collect_garbage import CollectGarbageOperator
from slipway.deployment.history import BEFORE
from slipway.errors import RollBackRefused, Superseded
from slipway.host import runs
from slipway.model import config as model_config
from slipway.registry.hook import ModelRegistryHook
from tests.cfn.releases import PRD, Model, Release, RollBack
from tests.local_aws.hooks import lead_hooks_to
from tests.local_aws.sagemaker_cases import (
    BUCKET,
    ROWS,
    create_config,
    create_model,
    predict,
    training_request,
    upload,
    variant,
    wait_for_endpoint,
    wait_for_job,
)
from tests.unit.task_runs import context, run_task

pytestmark = pytest.mark.local_aws

# What each release is, oldest first; "live" is the one that collects.
KINDS = ("production 1", "failed", "undecided", "going on", "used", "production 2", "live", "newer")
UNDECIDED = {"undecided", "going on", "newer"}
COLLECTED = {"production 1", "failed", "undecided"}
# Images of the model by number: the first was replaced, the second is that of a kept release, the third is the newest.
BUILDS = {1: "2026-01-01T00:00:00+00:00", 2: "2026-01-02T00:00:00+00:00", 3: "2026-01-03T00:00:00+00:00"}
OF_A_BUILD = {"claim.json", "build.json", "image.zip", "image.json", "packages.json"}


@dataclass
class Scene:
    """A model with releases of every kind, before and after the garbage collection of the live one."""

    model: Model
    releases: dict[str, Release]
    before: dict[str, set[str]]
    after: dict[str, set[str]]
    result: dict
    again: dict
    leftovers: list[str]
    kept_resources: list[str]
    hand_made: str
    builds: dict[int, set[str]]


class Trained:
    """Trains each release's model for itself, all at once."""

    def __init__(self, aws) -> None:
        self.aws, self.jobs = aws, []
        upload(aws, "collected")

    def __call__(self, plan) -> str:
        output = {"OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/{plan.prefix}"}}
        self.aws.client("sagemaker").create_training_job(
            **training_request(plan.training_job_name, "collected", **output)
        )
        self.jobs.append(plan.training_job_name)
        return f"s3://{BUCKET}/{plan.prefix}/{plan.training_job_name}/output/model.tar.gz"

    def wait(self) -> None:
        for name in self.jobs:
            assert wait_for_job(self.aws, name)["TrainingJobStatus"] == "Completed"


@pytest.fixture(scope="module")
def scene(local_aws):
    with pytest.MonkeyPatch.context() as patch:
        lead_hooks_to(local_aws.endpoint_url, patch)
        patch.setattr(runs, "goes_on", lambda dag_id, run_id: run_id == "going on")
        yield _scene(local_aws)


def _scene(aws) -> Scene:
    model, trained = Model(aws), Trained(aws)
    model.config = model.config.model_copy(update={"roll_back": model_config.RollBack(keep_releases=2)})
    plans = {kind: model.upload(ABTests=False, AutoScaling=None) for kind in KINDS}
    urls = {kind: trained(plan) for kind, plan in plans.items()}
    trained.wait()
    releases = {kind: Release(model, plan, urls[kind]) for kind, plan in plans.items()}
    _tell(releases)
    _build(aws, releases["going on"])
    releases["live"].deploy(PRD)
    hand_made = _endpoint_by_hand(aws, releases["used"].model_data_url)
    tag = [{"Key": "slipway:model-prefix", "Value": model.prefix}]
    leftovers = [create_model(aws, releases["live"].model_data_url, Tags=tag) for _ in range(2)]
    config = create_config(aws, variant(leftovers[0]), Tags=tag)
    foreign = create_model(aws, releases["live"].model_data_url)

    before, result = _objects(aws, releases), _collect(releases["live"])
    after, again = _objects(aws, releases), _collect(releases["live"])
    builds = {number: _left_by(aws, model.prefix, number) for number in BUILDS}
    return Scene(model, releases, before, after, result, again, [*leftovers, config], [foreign], hand_made, builds)


def _tell(releases) -> None:
    """Claim every release, decide on some, and mark those that production has served."""
    documents, registry = S3Documents(aws_conn_id=None), ModelRegistryHook(aws_conn_id=None)
    for kind, release in releases.items():
        claim = {"dag_id": "any", "run_id": kind, "sequence": release.plan.sequence, "claimed_at": "2026-01-01"}
        documents.write(BUCKET, names.claim_key(release.model.prefix, release.plan.revision_id), claim, etag=None)
        if kind not in UNDECIDED:
            release.approve(approved=kind not in ("failed", "used"))
    registry.delete_model_package(releases["failed"].package_arn)
    for kind, former in (("production 1", None), ("production 2", "production 1"), ("live", "production 2")):
        mark = releases[former].package_arn if former else "-"
        registry.annotate(releases[kind].package, {BEFORE: mark})


def _build(aws, user: Release) -> None:
    """Leave what builds leave; one release uses the second image."""
    s3, documents, prefix = aws.client("s3"), S3Documents(aws_conn_id=None), user.model.prefix
    for number, sequence in BUILDS.items():
        record = {"format_version": 1, "digest": f"sha256:{number:064x}", "tag": f"src-{number:032x}"}
        claim = {"dag_id": "any", "run_id": "ended", "sequence": sequence, "claimed_at": sequence}
        for file, content in (("image.json", record), ("claim.json", claim), ("build.json", {"format_version": 1})):
            documents.write(BUCKET, image_names.build_key(prefix, f"{number:032x}", file), content, etag=None)
        s3.put_object(Bucket=BUCKET, Key=image_names.build_key(prefix, f"{number:032x}", "image.zip"), Body=b"zip")
        key = f"{image_names.packages_folder(prefix)}{record['tag']}/packages.json"
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"[]")
    documents.write(BUCKET, names.newest_image_key(prefix), record, etag=None)
    key = names.revision_key(prefix, user.plan.revision_id)
    pinned = documents.read(BUCKET, key)
    image = {"uri": f"1.dkr.ecr.us-west-2.amazonaws.com/mlops-{prefix}@sha256:{2:064x}", "tag": None, "source": None}
    assert documents.write(BUCKET, key, {**pinned.content, "image": image}, etag=pinned.etag)


def _left_by(aws, prefix: str, number: int) -> set[str]:
    places = (image_names.build_key(prefix, f"{number:032x}", ""), f"{prefix}/images/src-{number:032x}/")
    found = [aws.client("s3").list_objects_v2(Bucket=BUCKET, Prefix=place).get("Contents", ()) for place in places]
    return {item["Key"].rpartition("/")[2] for items in found for item in items}


def _endpoint_by_hand(aws, url) -> str:
    """An endpoint outside every stack, without Slipway's tags."""
    config = create_config(aws, variant(create_model(aws, url)))
    aws.client("sagemaker").create_endpoint(EndpointName=config, EndpointConfigName=config)
    wait_for_endpoint(aws, config)
    return config


def _objects(aws, releases) -> dict[str, set[str]]:
    found = {}
    for kind, release in releases.items():
        plan = release.plan
        folders = (names.release_prefix(plan.prefix, plan.revision_id), f"{plan.prefix}/{plan.training_job_name}/")
        found[kind] = {
            item["Key"].rpartition("/")[2]
            for folder in folders
            for item in aws.client("s3").list_objects_v2(Bucket=BUCKET, Prefix=folder).get("Contents", ())
        }
    return found


def _collect(release: Release) -> dict:
    operator = CollectGarbageOperator(task_id="collect_garbage", model=release.model.config, do_xcom_push=False)
    return run_task(release.model.at_its_gate(operator), context({"process_request": release.plan.to_xcom()}))


def test_superseded_releases_go_and_leave_their_claims(scene):
    whole = {"claim.json", "revision.json", "trainingjob.zip", "model.tar.gz"}
    assert all(whole <= objects for objects in scene.before.values())
    assert {kind: scene.after[kind] for kind in COLLECTED} == {kind: {"claim.json"} for kind in COLLECTED}
    assert set(scene.result["revisions"]) == {scene.releases[kind].plan.revision_id for kind in COLLECTED}
    assert scene.result["bytes"] > 0


def test_a_build_goes_whose_image_no_kept_release_uses(scene):
    assert scene.builds == {1: {"claim.json"}, 2: OF_A_BUILD, 3: OF_A_BUILD}


def test_what_is_in_use_or_needed_or_may_still_be_approved_stays_whole(scene):
    for kind in set(KINDS) - COLLECTED:
        assert scene.after[kind] == scene.before[kind], kind


def test_endpoints_go_on_answering(aws, scene):
    for name in (scene.releases["live"].plan.endpoint(PRD), scene.hand_made):
        assert predict(aws, name, ROWS[0])[0] == 0


def test_models_and_configs_that_nothing_uses_go_and_only_those_of_the_model(aws, scene):
    sagemaker = aws.client("sagemaker")
    there = {item["ModelName"] for item in sagemaker.list_models(MaxResults=100)["Models"]}
    there |= {item["EndpointConfigName"] for item in sagemaker.list_endpoint_configs(MaxResults=100)["EndpointConfigs"]}
    assert there.isdisjoint(scene.leftovers)
    assert set(scene.kept_resources) <= there
    outputs = {
        item["OutputKey"]: item["OutputValue"] for item in aws.stack(scene.releases["live"].plan.stack(PRD))["Outputs"]
    }
    assert {outputs["ModelAName"], outputs["EndpointConfigName"]} <= there


def test_a_package_that_was_collected_says_so_and_cannot_come_back(aws, scene):
    gone = scene.releases["production 1"]
    assert "slipway-collected-at" in gone.package["CustomerMetadataProperties"]
    assert gone.package["ModelApprovalStatus"] == "Approved"
    with pytest.raises(RollBackRefused, match="collected as garbage"):
        RollBack(scene.model, gone.package_arn).choose()


def test_nobody_can_approve_a_package_whose_files_are_gone(scene):
    states = {kind: scene.releases[kind].package for kind in UNDECIDED}
    assert {kind: one["ModelApprovalStatus"] for kind, one in states.items()} == {
        "undecided": "Rejected",
        "going on": "PendingManualApproval",
        "newer": "PendingManualApproval",
    }
    gone = states["undecided"]
    assert "refuses this one" in gone["ApprovalDescription"]
    record = gone["CustomerMetadataProperties"]
    assert (record["slipway-decided-by"], record["slipway-decided-how"]) == ("slipway", "superseded")
    assert "slipway-collected-at" in record
    with pytest.raises(Superseded):
        scene.releases["undecided"].deploy(PRD)


def test_what_is_kept_can_come_back(aws, scene):
    plan = RollBack(scene.model, "previous").choose()
    assert plan["revision_id"] == scene.releases["production 2"].plan.revision_id


def test_a_second_collection_finds_nothing(scene):
    assert scene.again == {"revisions": [], "resources": [], "bytes": 0}
