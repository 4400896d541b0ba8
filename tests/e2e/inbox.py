"""What a subscriber of the topic of news gets."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.local_aws.server import FROM_SERVICES

TOPIC = "slipway-releases"


@dataclass
class Inbox:
    """A queue that subscribes to the topic, and what it has got."""

    read: Callable[[], list[dict[str, Any]]]
    got: list[tuple[str, str]] = field(default_factory=list)

    def about(self, run_id: str) -> list[tuple[str, str]]:
        """Subject and text of every message so far that links to the run."""
        self.got += [(one["Subject"], one["Message"]) for one in self.read()]
        # The last line is the link; the reason of a superseded release names the newer run.
        return [(subject, text) for subject, text in self.got if f"/runs/{run_id}" in text.splitlines()[-1]]


def subscribed(slipway: Any, name: str) -> Inbox:
    """Subscribe a new queue.

    :param slipway: the instance
    :param name: the queue's
    """
    sns, sqs = slipway.client("sns"), slipway.client("sqs")
    (topic,) = (one["TopicArn"] for one in sns.list_topics()["Topics"] if one["TopicArn"].endswith(TOPIC))
    queue = sqs.create_queue(QueueName=name, Attributes=FROM_SERVICES)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)

    def read() -> list[dict[str, Any]]:
        found = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
        for one in found:
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=one["ReceiptHandle"])
        return [json.loads(one["Body"]) for one in found]

    return Inbox(read)
