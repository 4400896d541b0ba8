"""Rolling production back, against a SageMaker that serves: what is deployed, who may, and what is refused."""

from dataclasses import dataclass

import pytest

from slipway.errors import NotApproved, RollBackRefused, Superseded
from slipway.registry.hook import ModelRegistryHook
from tests.cfn.releases import PRD, Model, Release, RollBack
from tests.local_aws.hooks import lead_hooks_to
from tests.local_aws.sagemaker_cases import ROWS, model_data, predict, wait_for_endpoint

pytestmark = pytest.mark.local_aws


@pytest.fixture(scope="module")
def cloud(local_aws):
    """The local AWS for a whole module."""
    with pytest.MonkeyPatch.context() as patch:
        lead_hooks_to(local_aws.endpoint_url, patch)
        yield local_aws


@dataclass
class Story:
    """A model's production through two releases, a roll-back, its undoing and a later release."""

    model: Model
    releases: list[Release]
    backs: list[RollBack]
    endpoint_after_roll_back: dict
    targets_after_roll_back: list[str]
    jobs_during_roll_back: int
    served: list[int]
    older_ended: list[str]
    too_far: str
    run_again: list[object]


@pytest.fixture(scope="module")
def story(cloud) -> Story:
    model, served, older_ended = Model(cloud), [], []
    first = put_into_production(model, cloud, 0, InitialVariantWeight=0.1)
    second = put_into_production(model, cloud, 1, InitialVariantWeight=0.1)
    waiting = model.release(model_data(cloud, label_shift=2)).approve()
    cloud.client("sagemaker").update_endpoint_weights_and_capacities(
        EndpointName=first.plan.endpoint(PRD),
        DesiredWeightsAndCapacities=[{"VariantName": "model-a", "DesiredInstanceCount": 2}],
    )
    wait_for_endpoint(cloud, first.plan.endpoint(PRD))

    jobs = len(cloud.ledger(operation="CreateTrainingJob"))
    back = RollBack(model, "previous")
    plan, _ = back.choose(), back.deploy()
    jobs = len(cloud.ledger(operation="CreateTrainingJob")) - jobs
    after, targets = endpoint(cloud, first), scalable_targets(cloud, first)
    served.append(answer(cloud, first))
    run_again = [back.choose() == plan, back.deploy()["change"]]
    with pytest.raises(RollBackRefused) as too_far:
        RollBack(model, "previous", run_id="manual__too-far").choose()
    for older in (second, waiting):
        with pytest.raises(Superseded) as ended:
            older.deploy(PRD)
        older_ended.append(str(ended.value))

    forward = RollBack(model, second.plan.revision_id, run_id="manual__forward")
    forward.choose()
    forward.deploy()
    served.append(answer(cloud, first))
    later = put_into_production(model, cloud, 2, uploaded_now=True, ABTests=False)
    served.append(answer(cloud, first))
    return Story(
        model=model,
        releases=[first, second, later],
        backs=[back, forward],
        endpoint_after_roll_back=after,
        targets_after_roll_back=targets,
        jobs_during_roll_back=jobs,
        served=served,
        older_ended=older_ended,
        too_far=str(too_far.value),
        run_again=run_again,
    )


def put_into_production(model, aws, shift, **production) -> Release:
    release = model.release(model_data(aws, label_shift=shift), **production).approve()
    release.deploy(PRD)
    return release


def endpoint(aws, release):
    return aws.client("sagemaker").describe_endpoint(EndpointName=release.plan.endpoint(PRD))


def scalable_targets(aws, release):
    prefix = f"endpoint/{release.plan.endpoint(PRD)}/variant/"
    found = aws.client("application-autoscaling").describe_scalable_targets(ServiceNamespace="sagemaker")
    ids = [item["ResourceId"] for item in found["ScalableTargets"]]
    return [each.removeprefix(prefix) for each in ids if each.startswith(prefix)]


def changes_of(aws, release):
    """What was done to production's stack."""
    names = ("CreateChangeSet", "ExecuteChangeSet", "DeleteStack")
    stack = release.plan.stack(PRD)
    return [
        call["operation"]
        for call in aws.ledger(service="cloudformation")
        if call["operation"] in names and stack in str(call["resource"])
    ]


def answer(aws, release):
    """The answer to a row, whose label says which model gave it."""
    return predict(aws, release.plan.endpoint(PRD), ROWS[0])[0]


def marks(release):
    return release.package["CustomerMetadataProperties"]


def test_the_release_before_comes_back_with_all_requests_its_scaling_and_its_instances(cloud, story):
    plan = story.backs[0].context["ti"].xcoms["roll_back"]
    assert (plan["revision_id"], plan["rolled_back_by"]) == (story.releases[0].plan.revision_id, "alice")
    [variant] = story.endpoint_after_roll_back["ProductionVariants"]
    assert (variant["VariantName"], variant["CurrentWeight"], variant["CurrentInstanceCount"]) == ("model-a", 1.0, 2)
    assert story.targets_after_roll_back == ["model-a"]
    assert story.served[0] == 0
    assert story.jobs_during_roll_back == 0


def test_run_again_it_does_not_go_back_twice(story):
    assert story.run_again == [True, "unchanged"]


def test_an_older_release_cannot_undo_it_whether_it_waits_or_has_been_live(story):
    assert ["Production has been rolled back" in text and "new_attempt" in text for text in story.older_ended] == [
        True
    ] * 2


def test_a_later_upload_can(story):
    assert story.served == [0, 1, 2]


def test_packages_say_what_was_before_them_and_who_brought_them_back(aws, story):
    first, second, later = story.releases
    assert "no release before it is on record" in story.too_far
    assert f"slipway rollback {story.model.prefix} --to VERSION" in story.too_far
    assert marks(first)["slipway-production-before"] == "-"
    assert " by alice from 2 in manual__back" in marks(first)["slipway-rolled-back"]
    # A roll-back keeps the release's mark, so the next step back leads to the same package as before.
    assert marks(second)["slipway-production-before"] == first.package_arn
    assert " by alice from 1 in manual__forward" in marks(second)["slipway-rolled-back"]
    assert marks(later)["slipway-production-before"] == second.package_arn
    assert "slipway-rolled-back" not in marks(later)


class TestWhatIsRefusedLeavesProductionAlone:
    @pytest.fixture
    def production(self, story):
        """The releases of production, the live one last."""
        return story.releases[1:]

    @pytest.fixture
    def untouched(self, aws, production):
        before = changes_of(aws, production[0]), endpoint(aws, production[0])["EndpointConfigName"]
        yield
        assert (changes_of(aws, production[0]), endpoint(aws, production[0])["EndpointConfigName"]) == before

    @pytest.mark.parametrize("by", [None, "bob"])
    def test_who_is_no_approver(self, untouched, production, by):
        model = production[0].model
        back = RollBack(model, "previous", by=by)
        with pytest.raises(NotApproved, match=r"Only an approver may roll production back.*alice, carol"):
            back.choose()
        # A forged plan does not help: deploy_prd checks the order itself.
        back.context["ti"].xcoms["roll_back"] = production[0].plan.to_xcom() | {"rolled_back_by": "alice"}
        with pytest.raises(NotApproved, match="Only an approver may roll production back"):
            back.deploy()

    def test_an_order_for_another_release(self, untouched, production):
        back = RollBack(production[0].model, "previous")
        back.context["dag_run"].conf["roll_back_to"] = production[0].package_arn
        with pytest.raises(NotApproved, match=r"alice ordered to roll production back \(previous\)"):
            back.choose()

    def test_a_package_that_was_rejected_since(self, aws, untouched, production):
        arn, sagemaker = production[0].package_arn, aws.client("sagemaker")
        sagemaker.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Rejected")
        try:
            with pytest.raises(NotApproved, match="rejected it"):
                RollBack(production[0].model, "previous").choose()
        finally:
            sagemaker.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved")

    def test_what_is_live_already(self, untouched, production):
        with pytest.raises(RollBackRefused, match="serves it already"):
            RollBack(production[0].model, production[1].package_arn).choose()

    @pytest.mark.parametrize(
        ("target", "why"),
        [
            ("the one of last week", "expected previous, the ARN"),
            ("f" * 32, "has no such model package"),
            ("arn:aws:sagemaker:us-west-2:000000000000:model-package/other/1", "has no such model package"),
        ],
    )
    def test_what_cannot_be_found(self, untouched, production, target, why):
        with pytest.raises(RollBackRefused, match=why):
            RollBack(production[0].model, target).choose()

    def test_a_model_whose_artefact_is_gone(self, aws, untouched, production):
        release = production[0].model.release(model_data(aws)).approve()
        bucket, key = release.artefact.place
        aws.client("s3").delete_object(Bucket=bucket, Key=key)
        with pytest.raises(RollBackRefused, match=r"found no such object.*new_attempt"):
            RollBack(release.model, release.package_arn).choose()

    def test_a_release_that_was_collected(self, untouched, production):
        registry = ModelRegistryHook(aws_conn_id=None)
        release = production[0].model.release(production[0].model_data_url).approve()
        registry.annotate(release.package, {"slipway-collected-at": "2026-05-01"})
        with pytest.raises(RollBackRefused, match="collected as garbage at 2026-05-01"):
            RollBack(release.model, release.package_arn).choose()
