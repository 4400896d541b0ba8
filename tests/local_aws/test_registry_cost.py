"""What a release asks the Model Registry, by the local AWS's ledger, in a young group and in one with a history."""

import time
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from uuid import uuid4

import pytest
from airflow.sdk.exceptions import TaskDeferred

from slipway import names
from slipway.approval import asking
from slipway.approval.approve import HumanApprovalSensor
from slipway.aws.s3 import S3Hook
from slipway.deployment.parameters import MODEL_PACKAGE_ARN
from slipway.model.approval_rules import ONLY_STAGE, ApprovalStage, Rules
from slipway.model.trial import Trial
from slipway.plan import ReleasePlan
from slipway.quality.endpoint import EndpointTestOperator
from slipway.quality.evaluate import EvaluateOperator
from slipway.registry import hook
from slipway.registry.finding import package_of_artefact
from slipway.registry.hook import ModelRegistryHook
from slipway.registry.metadata import DIGEST, REVISION
from slipway.registry.register import RegisterModelOperator
from slipway.source.versions import S3Versions
from slipway.states import Environment
from tests.local_aws.hooks import lead_hooks_to
from tests.local_aws.sagemaker_cases import IMAGE
from tests.unit.quality.test_endpoint import LeavesAllToBoto3, SageMaker
from tests.unit.quality.test_endpoint import model as endpoint_model
from tests.unit.releases import DIGEST as ZIP_DIGEST
from tests.unit.releases import TRAINED, release_plan
from tests.unit.request_samples import iris_model
from tests.unit.scripted_aws import MemoryStore
from tests.unit.stage_runs import with_gate
from tests.unit.task_runs import context

pytestmark = pytest.mark.local_aws

BUCKET, KEY, TRAINED_KEY = "registry-cost", "training_jobs/iris-model/trainingjob.zip", "job/output/model.tar.gz"
# More than two pages of a list, which are of ten packages here.
SIZES = {"young": 3, "old": 25}
RULES = Rules((ApprovalStage(ONLY_STAGE, ("alice", "carol")),))


class Group:
    """A group whose first package is a release's, with a number of other releases' after it, and a new release."""

    def __init__(self, aws, name: str, size: int) -> None:
        self.aws, self.name = aws, f"mlops-registry-cost-{name}"
        self.first = self.begin()
        self.first_arn = self.register(self.first)
        client = aws.client("sagemaker")
        for number in range(size):
            arn = client.create_model_package(**self.package(f"{number:032x}"))["ModelPackageArn"]
        self.newest_arn, self.newest = arn, client.describe_model_package(ModelPackageName=arn)["CreationTime"]
        self.plan = self.begin()
        # S3's times have whole seconds.
        while self.plan.began <= self.newest:
            self.plan = self.begin()
            time.sleep(0.1)

    def begin(self) -> ReleasePlan:
        """Upload a zip, and plan its release."""
        version = self.aws.client("s3").put_object(Bucket=BUCKET, Key=KEY, Body=uuid4().bytes)["VersionId"]
        pinned = S3Versions(aws_conn_id=None).head_version(BUCKET, KEY, version)
        revision_id = names.revision_id(BUCKET, KEY, version)
        return replace(
            release_plan(),
            revision=pinned,
            revision_id=revision_id,
            sequence=pinned.last_modified,
            request_uri=f"s3://{BUCKET}/{names.request_key('iris-model', revision_id)}",
            model_package_group=self.name,
        )

    def register(self, plan: ReleasePlan) -> str:
        """Run the task `register`, which has no result of an earlier attempt."""
        trained = TRAINED | {"model_data_url": f"s3://{BUCKET}/{TRAINED_KEY}", "image": IMAGE}
        found = {"process_request": plan.to_xcom(), "train": trained}
        return RegisterModelOperator(task_id="register", model=iris_model()).execute(context(found))[
            "model_package_arn"
        ]

    def ask(self, plan: ReleasePlan, arn: str) -> None:
        """Run the task `approve` until it waits."""
        found = {"process_request": plan.to_xcom(), "register": {"model_package_arn": arn}}
        ti = SimpleNamespace(id=uuid4(), dag_id="iris-model", run_id="r", task_id="approve")
        ti.xcom_pull = lambda task_ids, key=None: None if key else found.get(task_ids)
        sensor = HumanApprovalSensor(task_id="approve", rules=RULES, home_bucket=BUCKET, subject="Shall it?")
        with pytest.raises(TaskDeferred):
            sensor.execute({"ti": ti, "task_instance": ti, "dag_run": ti, "task_state_store": MemoryStore()})

    def calls(self, act) -> list[str]:
        """Do something; give the operations that it calls."""
        since = len(self.aws.asked())
        act()
        return [line["operation"] for line in self.aws.asked()[since:]]

    def package(self, revision_id: str) -> dict:
        types = {"SupportedContentTypes": ["text/csv"], "SupportedResponseMIMETypes": ["text/csv"]}
        home = f"s3://{BUCKET}/{names.release_prefix('iris-model', revision_id)}"
        return {
            "ModelPackageGroupName": self.name,
            "ModelPackageDescription": f"Trained by job from {home}trainingjob.zip",
            "InferenceSpecification": {
                "Containers": [{"Image": IMAGE, "ModelDataUrl": f"{home}model.tar.gz"}],
                **types,
            },
            "CustomerMetadataProperties": {DIGEST: ZIP_DIGEST, REVISION: revision_id},
        }


@pytest.fixture(scope="module")
def groups(local_aws):
    with pytest.MonkeyPatch.context() as patch:
        lead_hooks_to(local_aws.endpoint_url, patch)
        patch.setattr(asking, "put_question", lambda **detail: None)
        # All packages of this test are made within less time than clocks may differ.
        patch.setattr(hook, "_CLOCK_MARGIN", timedelta(0))
        patch.setattr(hook, "_PAGE_SIZE", 10)
        s3 = local_aws.client("s3")
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
        s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        s3.put_object(Bucket=BUCKET, Key=TRAINED_KEY, Body=b"a model")
        yield {name: Group(local_aws, name, size) for name, size in SIZES.items()}


def test_a_registration_and_its_approval_ask_as_much_in_any_group(groups):
    asked = {}
    for name, group in groups.items():
        arns = []
        register = group.calls(lambda group=group, arns=arns: arns.append(group.register(group.plan)))
        # Killed between CreateModelPackage and the XCom.
        again = group.calls(lambda group=group, arns=arns: arns.append(group.register(group.plan)))
        assert arns[0] == arns[1] == f"{group.first_arn.rpartition('/')[0]}/{SIZES[name] + 2}"
        assert again == ["DescribeModelPackageGroup", "ListModelPackages", "DescribeModelPackage"]
        asked[name] = register, again, group.calls(lambda group=group, arns=arns: group.ask(group.plan, arns[0]))
    assert asked["young"] == asked["old"]
    register, _, approval = asked["old"]
    assert register.count("ListModelPackages") == 1
    assert register.count("DescribeModelPackage") == 0
    assert register.count("CreateModelPackage") == 1
    assert approval.count("ListModelPackages") == 0


def test_the_tasks_after_it_read_the_package_that_it_names(groups):
    for group in groups.values():
        registry, arn = ModelRegistryHook(aws_conn_id=None), group.register(group.plan)
        found = []
        calls = group.calls(
            lambda registry=registry, group=group, arn=arn, found=found: found.append(
                registry.find_model_package(group.plan, named=arn)
            )
        )
        assert found[0]["ModelPackageArn"] == arn
        assert [call for call in calls if call != "GetCallerIdentity"] == ["DescribeModelPackage"]


def test_the_package_of_an_old_artefact_is_found_by_when_the_artefact_was_written(groups):
    for group in groups.values():
        registry, s3 = ModelRegistryHook(aws_conn_id=None), S3Hook(aws_conn_id=None)
        url = f"s3://{BUCKET}/{names.artefact_key('iris-model', group.first.revision_id)}"
        found = []
        calls = group.calls(
            lambda registry=registry, s3=s3, group=group, url=url, found=found: found.append(
                package_of_artefact(group.name, url, registry, s3)
            )
        )
        assert found[0]["ModelPackageArn"] == group.first_arn
        assert calls == ["HeadObject", "ListModelPackages", "DescribeModelPackage"]


@pytest.mark.parametrize("on_trial", [False, True])
def test_the_look_at_the_live_model_asks_as_much_in_any_group(groups, on_trial):
    """Beside a model on trial the live one, of which only the artefact is known, may be the first of the group."""
    found, asked = {}, {}
    for name, group in groups.items():
        first = names.artefact_key("iris-model", group.first.revision_id)
        outputs = {MODEL_PACKAGE_ARN: group.newest_arn}
        if on_trial:
            outputs |= {"ModelADataUrl": f"s3://{BUCKET}/{first}", "ModelBDataUrl": f"s3://{BUCKET}/{TRAINED_KEY}"}
        model = iris_model().model_copy(update={"trial": Trial() if on_trial else None})
        evaluate = EvaluateOperator(task_id="evaluate", model=model)
        # A stack is described by its name.
        evaluate.cloudformation = SimpleNamespace(
            describe_stack=lambda stack, outputs=outputs: SimpleNamespace(outputs=outputs)
        )
        run = context({"process_request": group.plan.to_xcom(), "train": TRAINED})
        asked[name] = group.calls(
            lambda evaluate=evaluate, run=run, name=name: found.update({name: evaluate.execute(run)})
        )
        assert found[name]["live"]["model_package_arn"] == (group.first_arn if on_trial else group.newest_arn)
    assert asked["young"] == asked["old"]
    looked_up = ["HeadObject", "ListModelPackages", "DescribeModelPackage"] if on_trial else []
    assert asked["old"] == [*looked_up, "DescribeModelPackage"]


def test_the_test_of_an_endpoint_asks_as_much_in_any_group_and_of_any_folder_of_rows(groups, local_aws):
    s3, asked = local_aws.client("s3"), {}
    for name, group in groups.items():
        for number in range(SIZES[name]):
            s3.put_object(Bucket=BUCKET, Key=f"rows/{name}/{number:02}.csv", Body=b"0,1,1\n1,2,2\n" * 5)
        arn = group.register(group.plan)
        artefact = f"s3://{BUCKET}/{names.artefact_key('iris-model', group.plan.revision_id)}"
        sections = {"champion": {"not_worse_than": 0.1}}
        test = EndpointTestOperator(
            task_id="test_dev",
            model=endpoint_model(sections, data=f"s3://{BUCKET}/rows/{name}/", max_rows=8),
            environment=Environment.DEVELOPMENT,
        )
        test.hook, test.light = SageMaker(data=artefact, live="InService"), LeavesAllToBoto3()
        # It costs the same for each stack: tests/cfn/test_drift.py.
        test.compare_stack = lambda stack, aws_conn_id: []
        small_pages(test.held_out)
        outputs = {"EndpointConfigName": "ours", "Revision": group.plan.revision_id}
        xcoms = {"register": {"model_package_arn": arn}, "deploy_dev": {"outputs": outputs}}
        run = context({"process_request": group.plan.to_xcom(), **xcoms})
        calls = group.calls(lambda test=test, run=run: with_gate(test).execute(run))
        # Asked by whichever hook is the first in a minute.
        asked[name] = [call for call in calls if call != "GetCallerIdentity"]
        assert test.hook.asked.count(("iris-model-production", "model-a")) == 8
    assert asked["young"] == asked["old"]
    # What was found beside the live model is kept on the package.
    kept = ["DescribeModelPackage", "UpdateModelPackage"]
    assert asked["old"] == ["DescribeModelPackage", "ListObjectsV2", "GetObject", *kept]


def small_pages(hook) -> None:
    """Let a hook's listings have fewer keys on a page than there are."""
    hook.conn.meta.events.register(
        "provide-client-params.s3.ListObjectsV2", lambda params, **_: {**params, "MaxKeys": 10}
    )


def test_an_artefact_that_was_overwritten_is_found_without_describing_the_others(groups):
    group = groups["old"]
    registry, s3 = ModelRegistryHook(aws_conn_id=None), S3Hook(aws_conn_id=None)
    key = names.artefact_key("iris-model", group.first.revision_id)
    while s3.head(BUCKET, key)["LastModified"] <= group.newest:
        group.aws.client("s3").put_object(Bucket=BUCKET, Key=key, Body=b"another model")
    found = []
    calls = group.calls(lambda: found.append(package_of_artefact(group.name, f"s3://{BUCKET}/{key}", registry, s3)))
    assert found[0]["ModelPackageArn"] == group.first_arn
    # The window from the new time on has one page, what is older has three.
    assert calls == ["HeadObject", *["ListModelPackages"] * 4, "DescribeModelPackage"]


def test_an_artefact_that_a_person_registers_again_stays_that_of_its_release(groups, local_aws):
    group, registry, s3 = groups["young"], ModelRegistryHook(aws_conn_id=None), S3Hook(aws_conn_id=None)
    url = f"s3://{BUCKET}/{names.artefact_key('iris-model', group.first.revision_id)}"
    again = group.package(group.first.revision_id) | {"CustomerMetadataProperties": {"by": "hand"}}
    del again["ModelPackageDescription"]
    by_hand = local_aws.client("sagemaker").create_model_package(**again)["ModelPackageArn"]
    try:
        found = [
            package_of_artefact(group.name, url, registry, s3, revision_id=each)["ModelPackageArn"]
            for each in (None, group.first.revision_id)
        ]
        assert found == [by_hand, group.first_arn]
    finally:
        local_aws.client("sagemaker").delete_model_package(ModelPackageName=by_hand)
