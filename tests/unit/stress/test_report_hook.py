"""Reports in S3."""

import pytest

from slipway.errors import AwsError
from slipway.stress.report_hook import StressReportHook
from tests.unit.aws.stubs import stubbed


@pytest.fixture
def hook():
    return StressReportHook(aws_conn_id=None, region_name="us-west-2")


def test_a_file_is_written_with_its_type(hook):
    wanted = {"Bucket": "bucket", "Key": "stress/report.html", "Body": "<p>é".encode(), "ContentType": "text/html"}
    stub = stubbed(hook, "s3")
    stub.add_response("put_object", {}, wanted)
    hook.put("bucket", "stress/report.html", "<p>é", content_type="text/html")
    stub.assert_no_pending_responses()


def test_a_refusal_names_the_file(hook):
    stubbed(hook, "s3").add_client_error("put_object", "AccessDenied", http_status_code=403)
    with pytest.raises(AwsError, match=r"write the report \(s3://bucket/key\)"):
        hook.put("bucket", "key", "", content_type="text/html")


def test_addresses_are_signed_by_version_four_and_say_nothing_of_the_secret(hook):
    address = hook.address("bucket", "key")
    assert "X-Amz-Algorithm=AWS4-HMAC-SHA256" in address
    assert hook.get_credentials().secret_key not in address
