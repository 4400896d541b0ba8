"""GetResources reads its page and no other, in the order of ARNs and across services."""

import json

import pytest

from local_aws import tagging
from local_aws.framework.api import RequestContext, ServiceError
from local_aws.framework.store import Scope, Store
from local_aws.sagemaker.tags import Tags
from tests.local_aws.framework.test_store import SCOPE, Writes, work_of

CONTEXT = RequestContext(SCOPE.account_id, SCOPE.region)
PREFIX = "slipway:model-prefix"
OTHER = Scope("210987654321", SCOPE.region)
REPOSITORIES = {SCOPE.arn("ecr", f"repository/{name}"): {PREFIX: name} for name in ("b", "a")}


@pytest.fixture
def store(tmp_path):
    made = Store(tmp_path / "store.sqlite", Writes())
    yield made
    made.close()


class Resources:
    def __init__(self, store) -> None:
        self.tags = Tags(store)
        repositories = lambda scope, search: search.among(REPOSITORIES.items())  # noqa: E731
        self.service = tagging.build([self.tags.tagged, repositories]).service

    def add(self, kind, name, scope=CONTEXT, **tags):
        arn = scope.arn("sagemaker", f"{kind}/{name}")
        context = RequestContext(scope.account_id, scope.region)
        self.tags.attach(context, arn, [{"Key": key, "Value": value} for key, value in tags.items()])
        return arn

    def page(self, **asked):
        return self.service.operations["GetResources"](CONTEXT, asked)

    def pages(self, **asked):
        answer = self.page(**asked)
        found = [[one["ResourceARN"] for one in answer["ResourceTagMappingList"]]]
        while token := answer["PaginationToken"]:
            answer = self.page(**asked, PaginationToken=token)
            found.append([one["ResourceARN"] for one in answer["ResourceTagMappingList"]])
        return found


@pytest.fixture
def resources(store):
    return Resources(store)


def test_filters_and_pages(resources):
    models = [resources.add("model", name, **{PREFIX: value}) for name, value in (("m1", "iris"), ("m2", 'a"ü'))]
    endpoint = resources.add("endpoint", "e", **{PREFIX: "iris", "team": "a"})
    config = resources.add("endpoint-config", "c", team=PREFIX)
    bare = resources.add("model", "bare")
    resources.add("model", "theirs", scope=OTHER, **{PREFIX: "iris"})
    repositories = sorted(REPOSITORIES)
    every = [*repositories, config, endpoint, *models]
    assert resources.pages() == [every]
    assert resources.pages(ResourcesPerPage=4) == [every[:4], every[4:]]
    assert resources.pages(ResourcesPerPage=1) == [[one] for one in every]
    assert resources.pages(ResourceTypeFilters=["sagemaker:endpoint", "sagemaker:model"]) == [[endpoint, *models]]
    assert resources.pages(ResourceTypeFilters=["sagemaker", "sagemaker:model"]) == [every[2:]]
    assert resources.pages(ResourceTypeFilters=["ecr:repository"]) == [repositories]

    def with_tag(*values, key=PREFIX):
        return resources.pages(TagFilters=[{"Key": key, **({"Values": [*values]} if values else {})}])

    assert with_tag("iris") == [[endpoint, models[0]]]
    assert with_tag("a", 'a"ü') == [[repositories[0], models[1]]]
    assert with_tag('a"ü') == [[models[1]]]
    assert with_tag() == [[*repositories, endpoint, *models]]
    assert with_tag(key="team") == [[config, endpoint]]
    assert with_tag("none") == [[]]
    both = [{"Key": PREFIX, "Values": ["iris"]}, {"Key": "team", "Values": ["a", "b"]}]
    assert resources.pages(TagFilters=both) == [[endpoint]]
    assert resources.pages(ResourceARNList=[models[0], bare, repositories[0], models[0] + "0"]) == [
        [repositories[0], bare, models[0]]
    ]
    [tags] = resources.page(ResourceARNList=[endpoint])["ResourceTagMappingList"]
    assert tags["Tags"] == [{"Key": PREFIX, "Value": "iris"}, {"Key": "team", "Value": "a"}]
    with pytest.raises(ServiceError, match="excludes all other filters"):
        resources.page(ResourceARNList=[endpoint], TagFilters=both)
    with pytest.raises(ServiceError, match="Invalid pagination token"):
        resources.page(PaginationToken="no")


def test_a_page_costs_the_same_whatever_there_is(store, resources, monkeypatch):
    parsed, loads = [], json.loads
    costs, have = {}, 0
    for size in (300, 3000):
        store.execute("BEGIN", ())
        for number in range(have, size):
            resources.add("training-job", f"{number:05}", **{PREFIX: "iris", "number": str(number)})
        store.execute("COMMIT", ())
        have = size
        with monkeypatch.context() as patch:
            patch.setattr(json, "loads", lambda body: parsed.append(1) or loads(body))
            for what, asked in {
                "page": {"TagFilters": [{"Key": PREFIX}]},
                "last page": {"TagFilters": [{"Key": PREFIX}], "PaginationToken": token_before_last(resources)},
                "earlier type": {"ResourceTypeFilters": ["sagemaker:model"]},
                "later type": {"ResourceTypeFilters": ["sagemaker:workteam"]},
                "other tag": {"TagFilters": [{"Key": PREFIX, "Values": ["other"]}]},
            }.items():
                del parsed[:]
                steps = work_of(store, lambda asked=asked: resources.page(**asked))
                costs[size, what] = len(parsed), steps
    for what in ("page", "last page", "earlier type", "later type"):
        assert costs[3000, what][0] == costs[300, what][0]
        assert costs[3000, what][1] <= costs[300, what][1] + 5, costs
    # Texts are compared in SQLite, and nothing is parsed.
    assert costs[3000, "other tag"][0] == 0


def token_before_last(resources):
    """The token of the last page of a hundred."""
    token, known = None, None
    while True:
        answer = resources.page(TagFilters=[{"Key": PREFIX}], **({"PaginationToken": token} if token else {}))
        if not answer["PaginationToken"]:
            return known
        token = known = answer["PaginationToken"]


def test_resources_of_other_accounts_are_not_read(store, resources):
    costs = {}
    resources.add("model", "mine", team="a")
    for count in (3, 600):
        for number in range(count):
            resources.add("model", f"{number}", scope=OTHER, team="a")
        costs[count] = work_of(store, lambda: resources.page(TagFilters=[{"Key": "team"}]))
    assert costs[600] <= costs[3] + 5
