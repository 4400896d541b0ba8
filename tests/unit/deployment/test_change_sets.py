"""Names of change sets."""

import re
from dataclasses import replace
from types import SimpleNamespace

import pytest

from slipway.aws.stacks import ChangeSetRequest
from slipway.deployment.change_sets import content_name, release_prefix

REQUEST = ChangeSetRequest(
    "s", "", True, "b", "templates/t.yaml", {"P": "1"}, {"a": "b"}, role_arn="arn:aws:iam::1:role/r"
)


def test_change_sets_are_named_after_revision_and_sequence():
    plan = SimpleNamespace(revision_id="0123456789abcdef" * 2, sequence="2026-01-31T23:59:59.500000+00:00")
    assert release_prefix(plan) == "slipway-0123456789ab-20260131235959"


def test_the_same_content_has_the_same_name():
    name = content_name("slipway-0a1b-20260101000000", REQUEST)
    assert name == content_name("slipway-0a1b-20260101000000", replace(REQUEST, name="another"))
    # https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_CreateChangeSet.html
    assert re.fullmatch(r"[a-zA-Z][-a-zA-Z0-9]{,127}", name)


@pytest.mark.parametrize(
    "change",
    [
        {"create": False},
        {"template_bucket": "another"},
        {"template_key": "templates/u.yaml"},
        {"parameters": {"P": "2"}},
        {"tags": {"a": "c"}},
        {"capabilities": ["CAPABILITY_IAM"]},
        {"role_arn": None},
    ],
    ids=lambda change: next(iter(change)),
)
def test_other_content_has_another_name(change):
    assert content_name("slipway", replace(REQUEST, **change)) != content_name("slipway", REQUEST)
