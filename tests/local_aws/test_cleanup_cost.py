"""What a collection and a teardown cost in calls, by the ledger, in a small account and in a large one."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from slipway import names
from slipway.cleanup.model_resources import ModelResources
from slipway.cleanup.survey import Survey
from slipway.plan import TAG_MODEL_PREFIX
from tests.cfn.stacks import unique
from tests.local_aws.hooks import lead_hooks_to
from tests.local_aws.sagemaker_cases import BUCKET, create_config, create_model, variant, wait_for_endpoint
from tests.local_aws.server import REGION

pytestmark = pytest.mark.local_aws

FEW, MANY = 3, 20


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
        before = len(self.aws.asked())
        answer = act()
        calls = Counter(call["operation"] for call in self.aws.asked()[before:])
        # Asked by whichever hook is the first in a minute.
        del calls["GetCallerIdentity"]
        return answer, calls


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
