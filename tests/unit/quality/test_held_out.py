"""HeldOutHook: the first rows below a prefix, label apart from features."""

import io

import pytest
from botocore.response import StreamingBody

from slipway.errors import AwsError, EndpointTestFailed
from slipway.load.rows import Row
from slipway.quality.held_out import HeldOutHook
from tests.unit.aws.stubs import stubbed

URI = "s3://bucket/iris/validation/"


def body(text: str) -> dict:
    return {"Body": StreamingBody(io.BytesIO(text.encode()), len(text))}


@pytest.fixture
def hook():
    return HeldOutHook(aws_conn_id=None, region_name="us-west-2")


def listed(hook, *texts: str):
    stub = stubbed(hook, "s3")
    contents = [{"Key": f"iris/validation/{number}.csv"} for number in range(len(texts))]
    stub.add_response("list_objects_v2", {"Contents": contents}, {"Bucket": "bucket", "Prefix": "iris/validation/"})
    for text in texts:
        stub.add_response("get_object", body(text))
    return stub


def test_reads_rows_over_several_objects_up_to_the_limit(hook):
    listed(hook, "0,1.5,2\n\n1,3,4\r\n", "2,5,6\n2,7,8")
    assert hook.rows(URI, 3) == [Row("0", "1.5,2"), Row("1", "3,4"), Row("2", "5,6")]


def test_no_rows_is_an_error_that_names_the_place(hook):
    listed(hook)
    with pytest.raises(EndpointTestFailed, match=r"no held-out rows \(s3://bucket/iris/validation/\)"):
        hook.rows(URI, 3)


def test_a_row_without_features_is_named(hook):
    listed(hook, "setosa\n")
    with pytest.raises(EndpointTestFailed, match="found 'setosa'"):
        hook.rows(URI, 3)


def test_a_missing_bucket_is_awss_error(hook):
    stubbed(hook, "s3").add_client_error("list_objects_v2", "NoSuchBucket", "The specified bucket does not exist")
    with pytest.raises(AwsError, match="held-out rows"):
        hook.rows(URI, 3)
