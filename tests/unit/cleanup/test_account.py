"""What the account's endpoints use: described when it changes, remembered otherwise, and never forgotten too soon."""

from datetime import UTC, datetime, timedelta

import pytest

from slipway.aws.endpoints import ListedEndpoint
from slipway.aws.placeholders import AwsIdentity
from slipway.cleanup import account
from slipway.cleanup.account import AccountSurvey
from slipway.errors import SlipwayError
from tests.unit.stage_runs import MemoryDocuments

NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)


class SageMaker:
    """Endpoints, each with a configuration and a model of its own name; it counts calls."""

    def __init__(self, count: int) -> None:
        self.endpoints_there = {f"e{number:03}": (NOON - timedelta(days=1), "InService") for number in range(count)}
        self.made = dict.fromkeys(self.endpoints_there, NOON)
        self.gone_configs: set[str] = set()
        self.described: list[str] = []
        # The prefix in an endpoint's tag, by the endpoint's name.
        self.models: dict[str, str] = {}
        self.tags_read = 0
        self.asked: list[datetime | None] = []

    def endpoints(self, modified_after=None):
        self.asked.append(modified_after)
        return [
            ListedEndpoint(name, f"arn:{name}", status, self.made[name].isoformat(), at.isoformat())
            for name, (at, status) in self.endpoints_there.items()
            if modified_after is None or at >= modified_after
        ]

    def tag_of(self, arn, key):
        assert key == "slipway:model-prefix"
        self.tags_read += 1
        return self.models.get(arn.removeprefix("arn:"))

    def describe_endpoint(self, name):
        self.described.append(name)
        if name not in self.endpoints_there:
            return None
        return {"EndpointConfigName": f"config-{name}", "EndpointStatus": self.endpoints_there[name][1]}

    def describe_endpoint_config(self, name):
        if name in self.gone_configs:
            return None
        return {"ProductionVariants": [{"ModelName": name.replace("config", "model")}]}

    def describe_model(self, name):
        return {"PrimaryContainer": {"ModelDataUrl": f"s3://b/{name}/model.tar.gz"}}


class Account:
    def __init__(self, count: int, documents: MemoryDocuments | None = None, region: str = "us-east-1") -> None:
        self.sagemaker, self.documents, self.now = SageMaker(count), documents or MemoryDocuments(), NOON
        self.identity = AwsIdentity("123456789012", region)
        self.index_read = 0

    def owners(self) -> dict[str, str]:
        self.index_read += 1
        return {f"arn:{name}": model for name, model in self.sagemaker.models.items()}

    def look(self, prefix: str = "iris-model") -> list[str]:
        """What a collection describes; each has a survey of its own."""
        self.sagemaker.described.clear()
        survey = AccountSurvey(prefix, "b", self.documents, self.sagemaker, lambda: self.identity, self.owners)
        self.in_use = survey.in_use(self.now)
        self.now += timedelta(hours=1)
        return list(self.sagemaker.described)


@pytest.mark.parametrize("count", [3, 100])
def test_a_second_look_describes_only_what_changed(count):
    there = Account(count)
    assert len(there.look()) == count
    assert there.look() == []
    there.sagemaker.endpoints_there["e001"] = (there.now, "InService")
    assert there.look() == ["e001"]
    assert there.sagemaker.asked[0] is None and None not in there.sagemaker.asked[1:]
    assert there.in_use.has_name("model-e002", "arn") and there.in_use.has_below("s3://b/model-e002/")


def test_an_endpoint_that_is_being_changed_is_described_until_it_is_settled():
    there = Account(3)
    there.sagemaker.endpoints_there["e001"] = (NOON - timedelta(days=1), "Updating")
    there.look()
    assert there.look() == ["e001"]
    there.sagemaker.endpoints_there["e001"] = (NOON - timedelta(days=1), "InService")
    assert there.look() == ["e001"]
    assert there.look() == []


def test_what_a_deleted_endpoint_used_is_kept_until_all_are_listed_again():
    there = Account(3)
    there.look()
    del there.sagemaker.endpoints_there["e001"]
    assert there.look() == []
    assert there.in_use.has_name("model-e001", "arn")
    there.now += timedelta(days=1)
    there.look()
    assert there.sagemaker.asked[-1] is None
    assert not there.in_use.has_name("model-e001", "arn")


def test_a_large_account_is_described_by_several_collections_and_nothing_is_removed_before(monkeypatch):
    monkeypatch.setattr(account, "_MOST", 40)
    there = Account(100)
    for left in (60, 20):
        with pytest.raises(SlipwayError, match=f"{left} endpoints"):
            there.look()
    assert len(there.look()) == 20
    assert len(there.in_use.names) == 200


@pytest.mark.parametrize("count", [100, 400])
def test_endpoints_of_other_models_are_left_to_their_models(count):
    there = Account(count)
    there.sagemaker.models = {f"e{number:03}": f"m{number // 2}" for number in range(3, count)}
    there.sagemaker.models["e005"] = "iris-model"
    # The index may not know the tags of one that has changed a moment ago.
    there.sagemaker.endpoints_there["e007"] = (NOON - timedelta(minutes=5), "InService")
    foreign, own = ["e000", "e001", "e002"], ["e005"]
    assert there.look() == foreign + own
    assert (there.index_read, there.sagemaker.tags_read) == (1, len([*foreign, "e007"]))
    # A model's own endpoints are described each time, because each release of it changes them.
    assert there.look() == own
    assert there.in_use.has_name("model-e000", "arn") and there.in_use.has_below("s3://b/model-e005/")
    assert not there.in_use.has_name("model-e009", "arn")
    assert there.look("m4") == ["e008", "e009"]
    assert there.in_use.has_name("model-e000", "arn") and there.in_use.has_name("model-e009", "arn")
    assert (there.index_read, there.sagemaker.tags_read) == (1, 4)


def test_a_release_of_another_model_costs_nothing_and_writes_nothing():
    there = Account(100)
    there.sagemaker.models = {f"e{number:03}": "other" for number in range(100)}
    assert there.look() == []
    there.sagemaker.endpoints_there["e050"] = (there.now, "Updating")
    assert there.look() == []
    assert (there.documents.writes, there.sagemaker.tags_read) == (1, 0)


def test_whose_an_endpoint_is_is_asked_again_once_a_day():
    there = Account(4)
    there.sagemaker.models = {"e000": "other", "e001": "other"}
    assert there.look() == ["e002", "e003"]
    there.sagemaker.models = {"e000": "other", "e002": "other"}
    there.now += timedelta(days=1)
    assert there.look() == ["e001"]
    assert there.in_use.has_name("model-e001", "arn")
    # What was foreign stays known as such until it changes.
    assert there.in_use.has_name("model-e002", "arn")


def test_an_endpoint_that_somebody_else_has_made_again_is_foreign():
    there = Account(3)
    there.sagemaker.models = {"e001": "other"}
    there.look()
    del there.sagemaker.models["e001"]
    there.sagemaker.made["e001"] = there.now
    there.sagemaker.endpoints_there["e001"] = (there.now, "InService")
    assert there.look() == ["e001"]
    assert there.in_use.has_name("model-e001", "arn")


def test_an_endpoint_that_nobody_understands_stops_the_collection_but_not_the_look():
    there = Account(3)
    there.sagemaker.gone_configs.add("config-e000")
    with pytest.raises(SlipwayError, match="config-e000 was deleted"):
        there.look()
    with pytest.raises(SlipwayError, match="config-e000 was deleted"):
        there.look()
    assert there.sagemaker.described == ["e000"]


USE = {"created": "c", "modified": "m", "settled": True, "names": ["one"], "data_urls": []}
LATER = (NOON + timedelta(hours=1)).isoformat()


@pytest.mark.parametrize(
    "stored",
    [
        {"endpoints": "text"},
        {"looked": LATER, "listed": LATER, "endpoints": {"e000": USE | {"names": "one"}}},
        {"looked": LATER, "listed": LATER, "endpoints": {"e000": USE | {"data_urls": [1]}}},
        {"looked": LATER, "listed": LATER, "endpoints": {"e000": {"created": "c", "modified": "m", "settled": True}}},
        {"looked": LATER, "listed": LATER, "endpoints": {"e000": "text"}},
        {"looked": LATER, "listed": LATER, "endpoints": {"e000": {"created": "c", "model": 1}}},
        {"looked": "noon", "listed": "2026-11-29T12:00:00", "endpoints": {"e000": USE}},
    ],
)
def test_what_another_version_has_stored_is_found_out_again(stored):
    there = Account(3)
    there.documents.write("b", "releases/endpoints-123456789012-us-east-1.json", stored, etag=None)
    assert len(there.look()) == 3


def test_models_of_several_accounts_or_regions_may_share_a_bucket():
    here = Account(3)
    there = Account(1, here.documents, "eu-west-1")
    for one in (here, there, here):
        one.look()
    assert here.in_use.has_name("model-e002", "arn")
    assert not there.in_use.has_name("model-e002", "arn")


def test_a_look_that_finds_no_change_writes_nothing():
    there = Account(3)
    there.look()
    there.look()
    assert there.documents.writes == 1
    there.sagemaker.endpoints_there["e001"] = (there.now, "InService")
    there.look()
    there.look()
    assert there.documents.writes == 2
