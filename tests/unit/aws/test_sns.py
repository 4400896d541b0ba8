"""SnsPublishHook: what SNS takes as a subject."""

import pytest
from botocore.stub import ANY

from slipway.aws.sns import SnsPublishHook
from slipway.errors import AwsError
from tests.unit.aws.stubs import stubbed


@pytest.fixture
def hook():
    return SnsPublishHook(aws_conn_id=None, region_name="us-west-2")


def test_a_subject_is_one_short_line_of_ascii(hook):
    expected = {"TopicArn": "arn:t", "Message": "ünï", "Subject": ("a?b " + "x" * 96), "MessageAttributes": ANY}
    stubbed(hook, "sns").add_response("publish", {"MessageId": "1"}, expected)
    assert hook.publish("arn:t", subject="aäb\n" + "x" * 200, message="ünï", attributes={"model": "m"}) == "1"


def test_a_refusal_says_which_topic(hook):
    stubbed(hook, "sns").add_client_error("publish", "NotFound", "Topic does not exist")
    with pytest.raises(AwsError, match=r"publish to the topic.*arn:t.*does not exist"):
        hook.publish("arn:t", subject="s", message="m", attributes={})
