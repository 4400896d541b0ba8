"""CodeBuildHook: builds found again at a cost that follows how many there are since a moment."""

from datetime import UTC, datetime, timedelta

import pytest

from slipway.aws.codebuild import CodeBuildHook
from slipway.errors import AwsError
from tests.unit.aws.stubs import stubbed

PROJECT = "mlops-buildimage-iris-forest"
NOW = datetime(2026, 5, 2, 8, tzinfo=UTC)


@pytest.fixture
def hook():
    return CodeBuildHook(aws_conn_id=None, region_name="us-west-2")


def build(number: int, minutes_ago: int) -> dict:
    return {"id": f"{PROJECT}:{number}", "startTime": NOW - timedelta(minutes=minutes_ago)}


def listed(stub, numbers: list[int], token: str | None = None, next_token: str | None = None) -> list[str]:
    ids = [f"{PROJECT}:{number}" for number in numbers]
    asked = {"projectName": PROJECT, "sortOrder": "DESCENDING", **({"nextToken": token} if token else {})}
    answer = {"ids": ids, **({"nextToken": next_token} if next_token else {})}
    stub.add_response("list_builds_for_project", answer, asked)
    return ids


def test_pages_are_read_only_until_a_build_is_older(hook):
    stub = stubbed(hook, "codebuild")
    ids = listed(stub, [3, 2], next_token="more")
    stub.add_response("batch_get_builds", {"builds": [build(3, 1), build(2, 5)]}, {"ids": ids})
    ids = listed(stub, [1, 0], token="more", next_token="even more")
    stub.add_response("batch_get_builds", {"builds": [build(1, 9), build(0, 99)]}, {"ids": ids})
    found = hook.builds_since(PROJECT, NOW - timedelta(minutes=10))
    assert [one["id"].rpartition(":")[2] for one in found] == ["3", "2", "1"]
    stub.assert_no_pending_responses()


def test_a_project_without_builds_has_none(hook):
    stubbed(hook, "codebuild").add_response("list_builds_for_project", {})
    assert hook.builds_since(PROJECT, NOW) == []


def test_builds_are_described_a_hundred_at_a_time(hook):
    stub, ids = stubbed(hook, "codebuild"), [f"{PROJECT}:{number}" for number in range(150)]
    stub.add_response("batch_get_builds", {"builds": [build(1, 1)]}, {"ids": ids[:100]})
    stub.add_response("batch_get_builds", {"builds": [], "buildsNotFound": ids[100:]}, {"ids": ids[100:]})
    assert len(hook.builds(ids)) == 1


def test_the_newest_builds_of_the_account_are_as_many_pages_as_were_asked_for(hook):
    stub = stubbed(hook, "codebuild")
    stub.add_response("list_builds", {"ids": ["a:1"], "nextToken": "more"}, {"sortOrder": "DESCENDING"})
    assert hook.newest_ids(1) == ["a:1"]
    stub.assert_no_pending_responses()


def test_a_build_that_has_gone_cannot_be_stopped_and_is_no_error(hook):
    stubbed(hook, "codebuild").add_client_error("stop_build", "ResourceNotFoundException", http_status_code=400)
    assert hook.stop_build(f"{PROJECT}:1") is False


def test_a_project_that_is_not_there_is_an_error_that_says_what_makes_it(hook):
    stubbed(hook, "codebuild").add_client_error("start_build", "ResourceNotFoundException", http_status_code=400)
    with pytest.raises(AwsError, match=r"Cannot start the build.*slipway bootstrap"):
        hook.start_build({"projectName": PROJECT})
