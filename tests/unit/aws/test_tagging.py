"""Tagged resources: found by the tagging API, confirmed one by one."""

import pytest

from slipway.aws.sagemaker import Resource
from slipway.aws.tagging import TaggedResourcesHook
from tests.unit.aws.stubs import stubbed

ARN = "arn:aws:sagemaker:us-west-2:123456789012:model"


@pytest.fixture
def hook():
    return TaggedResourcesHook(aws_conn_id=None, region_name="us-west-2")


def tagged(hook, *names: str) -> None:
    found = [{"ResourceARN": f"{ARN}/{name}", "Tags": [{"Key": "k", "Value": "v"}]} for name in names]
    stubbed(hook._tagging, "resourcegroupstaggingapi").add_response(
        "get_resources",
        {"ResourceTagMappingList": found, "PaginationToken": ""},
        {
            "TagFilters": [{"Key": "k", "Values": ["v"]}],
            "ResourceTypeFilters": ["sagemaker:model"],
            "ResourcesPerPage": 100,
        },
    )


def described(name: str) -> dict:
    return {"ModelName": name, "ModelArn": f"{ARN}/{name.lower()}", "CreationTime": 0, "ExecutionRoleArn": "a" * 20}


def test_what_is_gone_or_has_lost_its_tag_is_left_out(hook):
    tagged(hook, "gone", "ours-abc", "retagged")
    stub = stubbed(hook, "sagemaker")
    stub.add_client_error("list_tags", "ValidationException", "does not exist")
    stub.add_response("list_tags", {"Tags": [{"Key": "k", "Value": "v"}]}, {"ResourceArn": f"{ARN}/ours-abc"})
    stub.add_response("describe_model", described("Ours-aBc"), {"ModelName": "ours-abc"})
    stub.add_response("list_tags", {"Tags": [{"Key": "k", "Value": "other"}]})
    assert hook.list_tagged("model", "k", "v") == [Resource("model", "Ours-aBc", f"{ARN}/ours-abc")]


def test_a_name_whose_letters_count_is_read_from_the_list(hook):
    tagged(hook, "ours-abc")
    stub = stubbed(hook, "sagemaker")
    stub.add_response("list_tags", {"Tags": [{"Key": "k", "Value": "v"}]})
    stub.add_client_error("describe_model", "ValidationException", "Could not find model")
    listed = [described(name) for name in ("Other", "Ours-aBc")]
    for one in listed:
        del one["ExecutionRoleArn"]
    stub.add_response("list_models", {"Models": listed}, {"MaxResults": 100})
    assert hook.list_tagged("model", "k", "v") == [Resource("model", "Ours-aBc", f"{ARN}/ours-abc")]


def test_the_values_of_a_tag_are_found_whatever_they_are(hook):
    stub = stubbed(hook._tagging, "resourcegroupstaggingapi")
    pages = [("", [("One", "a"), ("two", "b")], "more"), ("more", [("three", "a")], "")]
    for token, found, following in pages:
        mapped = [
            {"ResourceARN": f"{ARN}/{name}", "Tags": [{"Key": "other", "Value": "x"}, {"Key": "k", "Value": value}]}
            for name, value in found
        ]
        asked = {"TagFilters": [{"Key": "k"}], "ResourceTypeFilters": ["sagemaker:model"], "ResourcesPerPage": 100}
        stub.add_response(
            "get_resources",
            {"ResourceTagMappingList": mapped, "PaginationToken": following},
            asked | ({"PaginationToken": token} if token else {}),
        )
    assert hook.tag_values("model", "k") == {f"{ARN}/one": "a", f"{ARN}/two": "b", f"{ARN}/three": "a"}
