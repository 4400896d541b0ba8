"""SNS: messages to people."""

from __future__ import annotations

from collections.abc import Mapping

from slipway.aws.calls import aws_call
from slipway.aws.session import AwsHook

# https://docs.aws.amazon.com/sns/latest/api/API_Publish.html
SUBJECT_MAX_CHARS = 100


class SnsPublishHook(AwsHook):
    """Publishes to a topic."""

    service = "sns"

    def publish(self, topic_arn: str, *, subject: str, message: str, attributes: Mapping[str, str]) -> str:
        """Send a message to all subscribers; not retried, because a retry may send it twice.

        https://docs.aws.amazon.com/sns/latest/api/API_Publish.html

        :param topic_arn: the topic
        :param subject: an e-mail's subject; SNS takes one line of 100 ASCII characters
        :param message: the text
        :param attributes: what subscriptions can filter by
        :returns: the message's id
        :raises slipway.errors.AwsError: when the call fails
        """
        line = " ".join(subject.encode("ascii", "replace").decode().split())[:SUBJECT_MAX_CHARS]
        named = {key: {"DataType": "String", "StringValue": value} for key, value in attributes.items()}
        with aws_call("publish to the topic", topic_arn):
            answer = self.conn.publish(TopicArn=topic_arn, Subject=line, Message=message, MessageAttributes=named)
        return answer["MessageId"]
