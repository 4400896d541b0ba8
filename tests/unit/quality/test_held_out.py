"""HeldOutHook: the first rows below a prefix, label apart from features."""

import io

import pytest
from airflow.sdk.exceptions import AirflowFailException
from botocore.response import StreamingBody

from slipway.errors import AwsError, AwsRefused, EndpointTestFailed
from slipway.load.answers import Answers
from slipway.load.rows import Row
from slipway.quality.held_out import HeldOutHook, check_labels
from tests.unit.aws.stubs import stubbed

URI = "s3://bucket/iris/validation/"


def body(text: str) -> dict:
    data = text.encode()
    return {"Body": StreamingBody(io.BytesIO(data), len(data))}


@pytest.fixture
def hook():
    return HeldOutHook(aws_conn_id=None, region_name="us-west-2")


def listed(hook, *texts: str):
    stub = stubbed(hook, "s3")
    contents = [{"Key": f"iris/validation/{number}.csv", "Size": 1} for number in range(len(texts))]
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


def test_a_byte_order_mark_changes_nothing(hook):
    stub = listed(hook, "\ufeff0,1.5,2\r\n1,3,4")
    assert hook.rows(URI, 3) == [Row("0", "1.5,2"), Row("1", "3,4")]
    stub.assert_no_pending_responses()


def test_what_is_not_text_fails_once_by_its_key(hook):
    stub = stubbed(hook, "s3")
    stub.add_response("list_objects_v2", {"Contents": [{"Key": "iris/validation/a.parquet", "Size": 9}]})
    stub.add_response("get_object", {"Body": StreamingBody(io.BytesIO(b"PAR1\x00\xff\xfe"), 7)})
    with pytest.raises(EndpointTestFailed, match=r"s3://bucket/iris/validation/a\.parquet.*not UTF-8") as error:
        hook.rows(URI, 3)
    assert isinstance(error.value, AirflowFailException)


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("AccessDenied", 403),
        ("InvalidObjectState", 403),
        ("KMS.DisabledException", 400),
        ("KMS.NotFoundException", 400),
    ],
)
def test_an_object_that_may_not_be_read_fails_once_by_its_key(hook, code, status):
    stub = stubbed(hook, "s3")
    stub.add_response("list_objects_v2", {"Contents": [{"Key": "iris/validation/a.csv", "Size": 9}]})
    stub.add_client_error("get_object", code, "no", http_status_code=status)
    with pytest.raises(AwsRefused, match=rf"s3://bucket/iris/validation/a\.csv.*{code}"):
        hook.rows(URI, 3)
    stub.assert_no_pending_responses()


@pytest.mark.parametrize("label", ["label", "", "nan", "1e400"])
def test_a_label_that_no_answer_can_equal_is_named(label):
    rows = [Row("1", "2"), Row(label, "a")]
    with pytest.raises(EndpointTestFailed, match=r"s3://bucket/iris/validation/\): row 2 has the label .*header"):
        check_labels(rows, [Answers.PROBABILITY], URI)
    check_labels(rows, [Answers.PROBABILITY, Answers.UNKNOWN], URI)
    check_labels(rows[:1], [Answers.PROBABILITY], URI)
