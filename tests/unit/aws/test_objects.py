"""Objects below a prefix, listed and deleted."""

from types import SimpleNamespace

import pytest

from slipway.aws.objects import S3ObjectsHook, StoredObject
from slipway.errors import AwsError
from tests.unit.scripted_aws import Script


def hook(**operations) -> S3ObjectsHook:
    made = S3ObjectsHook(aws_conn_id=None)
    made.__dict__["conn"] = SimpleNamespace(**operations)
    return made


def test_every_page_is_listed():
    pages = [{"Contents": [{"Key": "a", "Size": 1}]}, {}, {"Contents": [{"Key": "b", "Size": 2}]}]
    listing = SimpleNamespace(paginate=lambda Bucket, Prefix: pages)
    assert hook(get_paginator=lambda operation: listing).objects("bucket", "p/") == [
        StoredObject("a", 1),
        StoredObject("b", 2),
    ]


def test_thousands_are_deleted_a_thousand_at_a_time():
    delete = Script({})
    hook(delete_objects=delete).remove("bucket", [str(number) for number in range(1001)])
    assert [len(call["Delete"]["Objects"]) for call in delete.calls] == [1000, 1]


def test_an_object_that_is_refused_is_named():
    delete = Script({"Errors": [{"Key": "b", "Code": "AccessDenied", "Message": "no"}]})
    with pytest.raises(AwsError, match=r"s3://bucket/b.*AccessDenied: no"):
        hook(delete_objects=delete).remove("bucket", ["a", "b"])
