"""What a collection and a teardown cost in calls, by the ledger, in a small account and in a large one."""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from slipway import names
from slipway.aws.documents import S3Documents
from slipway.cleanup import folders
from slipway.cleanup.collect_garbage import CollectGarbageOperator
from slipway.cleanup.model_resources import ModelResources
from slipway.cleanup.survey import Survey
from slipway.deployment.history import BEFORE
from slipway.deployment.parameters import MODEL_PACKAGE_ARN, SEQUENCE
from slipway.host import runs
from slipway.model import config as model_config
from slipway.plan import TAG_MODEL_PREFIX
from slipway.registry.hook import ModelRegistryHook
from tests.cfn.releases import PRD, Model, Release
from tests.cfn.stacks import unique
from tests.local_aws.hooks import lead_hooks_to
from tests.local_aws.sagemaker_cases import BUCKET, create_config, create_model, variant, wait_for_endpoint
from tests.local_aws.server import REGION
from tests.unit.task_runs import context, run_task

pytestmark = pytest.mark.local_aws

FEW, MANY = 3, 20


def calls_of(aws, act: Callable) -> tuple[object, Counter]:
    """What an act returns, and the calls that it made."""
    before = len(aws.asked())
    answer = act()
    calls = Counter(call["operation"] for call in aws.asked()[before:])
    # Asked by whichever hook is the first in a minute.
    del calls["GetCallerIdentity"]
    return answer, calls


class Account:
    """Endpoints of others that have failed, so that they need no server, and what one model has left."""

    def __init__(self, aws) -> None:
        self.aws, self.prefix, self.foreign = aws, unique("m"), []
        s3, place = aws.client("s3"), {"Bucket": BUCKET, "Key": "gone/model.tar.gz"}
        s3.put_object(**place, Body=b"")
        self.url = f"s3://{BUCKET}/{place['Key']}"
        self.model = create_model(aws, self.url)
        self.config = create_config(aws, variant(self.model))
        self.unused = create_model(aws, self.url, Tags=[{"Key": TAG_MODEL_PREFIX, "Value": self.prefix}])
        s3.delete_object(**place)

    def grow(self, count: int) -> None:
        """Have so many foreign endpoints."""
        sagemaker = self.aws.client("sagemaker")
        while len(self.foreign) < count:
            self.foreign.append(unique("foreign"))
            sagemaker.create_endpoint(EndpointName=self.foreign[-1], EndpointConfigName=self.config)
        for name in self.foreign:
            assert wait_for_endpoint(self.aws, name)["EndpointStatus"] == "Failed"

    def calls(self, act) -> tuple[object, Counter]:
        """What an act returns, and the calls that it made."""
        return calls_of(self.aws, act)


@pytest.fixture(scope="module")
def account(local_aws):
    with pytest.MonkeyPatch.context() as patch:
        lead_hooks_to(local_aws.endpoint_url, patch)
        yield Account(local_aws)


def forget(account: Account) -> None:
    """Let the next look be the account's first."""
    key = names.endpoints_key("123456789012", REGION)
    account.aws.client("s3").delete_object(Bucket=BUCKET, Key=key)


def look(account: Account):
    """What a collection looks at besides the model's own releases."""
    survey = Survey(account.prefix, BUCKET, None, lambda dag_id, run_id: False)
    in_use = survey.in_use([])
    return in_use, survey.unused(survey.tagged(), in_use)


def test_a_collection_and_a_teardown_cost_the_same_whatever_the_account_holds(account):
    found, resources = [], ModelResources(account.prefix, account.prefix, aws_conn_id=None)
    for count in (FEW, MANY):
        account.grow(count)
        look(account)
        (in_use, unused), collecting = account.calls(lambda: look(account))
        assert (in_use.has_arn(account.model), in_use.has_arn(account.unused)) == (True, False)
        assert in_use.has_below(account.url)
        assert [one.name for one in unused] == [account.unused]
        left, tearing_down = account.calls(lambda: resources.remaining(record=False))
        assert [one.name for one in left] == [account.unused]
        found.append((collecting, tearing_down))
    assert found[0] == found[1]
    assert (found[1][0].total(), found[1][1].total()) == (6, 11)


def test_only_endpoints_that_changed_are_described_again(account):
    account.grow(FEW)
    look(account)
    changed = account.foreign[0]
    account.aws.client("sagemaker").delete_endpoint(EndpointName=changed)
    account.foreign.remove(changed)
    account.grow(len(account.foreign) + 1)
    _, calls = account.calls(lambda: look(account))
    assert calls["DescribeEndpointConfig"] == 1
    assert calls["DescribeEndpoint"] <= 2


def test_the_first_look_describes_no_endpoint_of_another_model(account):
    sagemaker, found = account.aws.client("sagemaker"), []
    account.grow(FEW)
    for number in range(MANY):
        own = {"Key": TAG_MODEL_PREFIX, "Value": unique("other")}
        sagemaker.create_endpoint(EndpointName=unique("tagged"), EndpointConfigName=account.config, Tags=[own])
        if number + 1 not in (MANY // 2, MANY):
            continue
        survey = Survey(unique("m"), BUCKET, None, lambda dag_id, run_id: False)
        forget(account)
        # The tags of what has changed within an hour are read one by one.
        later = datetime.now(UTC) + timedelta(hours=2)
        in_use, calls = account.calls(partial(survey._account.in_use, later))
        assert in_use.has_arn(account.model)
        found.append(calls)
    # Other tests have left some.
    listed = [one["EndpointArn"] for one in sagemaker.list_endpoints(MaxResults=100)["Endpoints"]]
    tags = [sagemaker.list_tags(ResourceArn=arn)["Tags"] for arn in listed]
    foreign = sum(all(tag["Key"] != TAG_MODEL_PREFIX for tag in each) for each in tags)
    assert found[0] == found[1]
    assert (found[1]["GetResources"], found[1]["ListTags"], found[1]["DescribeEndpoint"]) == (1, foreign, foreign)


class History:
    """A model whose releases are objects, claims and packages; a stack says which one production serves."""

    def __init__(self, aws) -> None:
        self.aws, self.model = aws, Model(aws)
        self.model.config = self.model.config.model_copy(update={"roll_back": model_config.RollBack(keep_releases=1)})
        self.trained_url = f"s3://{BUCKET}/trained/model.tar.gz"
        aws.client("s3").put_object(Bucket=BUCKET, Key="trained/model.tar.gz", Body=b"model")
        self.live: Release | None = None

    def release(self, run_id: str = "ended") -> Release:
        """A release whose run has ended before anybody has decided on it."""
        made = self.model.release(self.trained_url)
        sequence, key = made.plan.sequence, names.claim_key(self.model.prefix, made.plan.revision_id)
        claim = {"dag_id": "any", "run_id": run_id, "sequence": sequence, "claimed_at": sequence}
        S3Documents(aws_conn_id=None).write(BUCKET, key, claim, etag=None)
        return made

    def serve(self) -> None:
        """Have production serve a new release."""
        former, self.live = self.live, self.release().approve()
        mark = former.package_arn if former else "-"
        ModelRegistryHook(aws_conn_id=None).annotate(self.live.package, {BEFORE: mark})
        outputs = {MODEL_PACKAGE_ARN: self.live.package_arn, SEQUENCE: self.live.plan.sequence}
        template = {
            "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}},
            "Outputs": {name: {"Value": value} for name, value in outputs.items()},
        }
        stacks = self.aws.client("cloudformation")
        change = stacks.update_stack if former else stacks.create_stack
        stack = {"StackName": names.stack_name(self.model.prefix, PRD)}
        change(**stack, TemplateBody=json.dumps(template))
        stacks.get_waiter(f"stack_{'update' if former else 'create'}_complete").wait(**stack, WaiterConfig={"Delay": 1})

    def collect(self) -> tuple[dict, Counter]:
        """The live release collects."""
        operator = CollectGarbageOperator(task_id="collect_garbage", model=self.model.config, do_xcom_push=False)
        run = context({"process_request": self.live.plan.to_xcom()})
        return calls_of(self.aws, lambda: run_task(self.model.at_its_gate(operator), run))

    def next_day(self) -> None:
        """Let the last list of all be a day ago."""
        documents, key = S3Documents(aws_conn_id=None), names.kept_key(self.model.prefix)
        kept = documents.read(BUCKET, key)
        listed = datetime.fromisoformat(kept.content["listed"]) - timedelta(days=1)
        assert documents.write(BUCKET, key, kept.content | {"listed": listed.isoformat()}, etag=kept.etag)


@dataclass
class Cost:
    """What the collections of a history cost.

    :param failed: the releases whose runs have failed
    :param removed: the releases that were collected while those were newer than production, and afterwards
    :param steps: the calls of single collections
    """

    failed: list[Release]
    removed: list[set[str]]
    steps: dict[str, Counter] = field(default_factory=dict)


@pytest.fixture(scope="module")
def costs(local_aws) -> dict[int, Cost]:
    """Histories with a number of failed releases between the first one of production and the next."""
    with pytest.MonkeyPatch.context() as patch:
        lead_hooks_to(local_aws.endpoint_url, patch)
        patch.setattr(runs, "goes_on", lambda dag_id, run_id: False)
        # As in a model with a long history.
        patch.setattr(folders, "_FEW", 0)
        return {count: _cost(History(local_aws), count) for count in (FEW, 4 * FEW)}


def _cost(history: History, count: int) -> Cost:
    history.serve()
    failed = [history.release() for _ in range(count)]
    history.collect()
    nothing, waiting = history.collect()
    history.serve()
    everything, _ = history.collect()
    cost = Cost(failed, [set(one["revisions"]) for one in (nothing, everything)], {"waiting": waiting})
    # The next one of the day looks once whether something is left.
    history.collect()
    _, cost.steps["later that day"] = history.collect()
    history.next_day()
    for step in ("first of the next day", "second of the next day"):
        _, cost.steps[step] = history.collect()
    return cost


def test_what_nobody_has_decided_on_is_collected_once_production_serves_a_newer_release(costs):
    for cost in costs.values():
        nothing, everything = cost.removed
        assert nothing == set()
        assert everything > {one.plan.revision_id for one in cost.failed}
        for one in cost.failed:
            assert one.package["ModelApprovalStatus"] == "Rejected"
            assert "newer release" in one.package["ApprovalDescription"]
            assert "slipway-collected-at" in one.package["CustomerMetadataProperties"]


def test_a_release_stays_that_is_approved_or_goes_on_between_the_look_and_the_removal(local_aws, monkeypatch):
    lead_hooks_to(local_aws.endpoint_url, monkeypatch)
    monkeypatch.setattr(runs, "goes_on", lambda dag_id, run_id: asked.update([run_id]) or has_begun(run_id))
    asked, history = Counter(), History(local_aws)
    history.serve()
    failed = {run_id: history.release(run_id) for run_id in ("approved", "cleared", "ended")}
    history.serve()

    def has_begun(run_id: str) -> bool:
        if asked[run_id] == 2 and run_id == "approved":
            failed[run_id].approve()
        return asked[run_id] == 2 and run_id == "cleared"

    removed = set(history.collect()[0]["revisions"])
    assert {run_id for run_id, one in failed.items() if one.plan.revision_id in removed} == {"ended"}
    left = {run_id: one.package for run_id, one in failed.items()}
    assert {run_id: one["ModelApprovalStatus"] for run_id, one in left.items()} == {
        "approved": "Approved",
        "cleared": "PendingManualApproval",
        "ended": "Rejected",
    }
    assert all("slipway-collected-at" not in left[one]["CustomerMetadataProperties"] for one in ("approved", "cleared"))


def test_no_package_is_described_on_which_somebody_may_still_decide(costs):
    few, many = (cost.steps["waiting"] for cost in costs.values())
    # Their claims say that they are newer than production.
    assert many - few == Counter(GetObject=3 * FEW)


@pytest.mark.parametrize("step", ["later that day", "first of the next day", "second of the next day"])
def test_a_collection_costs_the_same_however_many_releases_were_collected(costs, step):
    few, many = (cost.steps[step] for cost in costs.values())
    assert few == many
