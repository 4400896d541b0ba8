"""SQS: the messages of a queue that S3 notifies of uploads."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from slipway.aws.calls import aws_call

# The longest wait that SQS allows.
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-short-and-long-polling.html
WAIT_SECONDS = 20
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_DeleteMessageBatch.html
_BATCH = 10


@dataclass(frozen=True)
class QueueMessage:
    """A received message.

    :param receipt: deletes the message, until it is received again
    """

    message_id: str
    receipt: str
    body: str


async def queue_url_async(client: Any, queue: str) -> str:
    """Find a queue.

    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_GetQueueUrl.html

    :param client: an aiobotocore SQS client
    :param queue: its name or URL
    :raises slipway.errors.AwsError: when there is none, or the call fails
    """
    if "://" in queue:
        return queue
    with aws_call("find the queue", queue):
        answer = await client.get_queue_url(QueueName=queue)
    return str(answer["QueueUrl"])


async def receive_async(client: Any, url: str) -> list[QueueMessage]:
    """Wait for messages; they stay in the queue until they are deleted.

    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html

    :param client: an aiobotocore SQS client
    :param url: the queue
    :returns: none if none came
    :raises slipway.errors.AwsError: when the call fails
    """
    with aws_call("receive messages", url):
        answer = await client.receive_message(QueueUrl=url, MaxNumberOfMessages=_BATCH, WaitTimeSeconds=WAIT_SECONDS)
    return [QueueMessage(item["MessageId"], item["ReceiptHandle"], item["Body"]) for item in answer.get("Messages", ())]


async def delete_async(client: Any, url: str, messages: Iterable[QueueMessage]) -> set[str]:
    """Delete messages.

    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_DeleteMessageBatch.html

    :param client: an aiobotocore SQS client
    :param url: the queue
    :param messages: the messages
    :returns: the ids of those that were deleted
    :raises slipway.errors.AwsError: when a call fails
    """
    gone: set[str] = set()
    waiting = list(messages)
    for start in range(0, len(waiting), _BATCH):
        # The ids of a batch allow fewer characters than a message's id.
        batch = {str(number): message for number, message in enumerate(waiting[start : start + _BATCH])}
        entries = [{"Id": number, "ReceiptHandle": message.receipt} for number, message in batch.items()]
        with aws_call("delete messages", url):
            answer = await client.delete_message_batch(QueueUrl=url, Entries=entries)
        gone |= {batch[item["Id"]].message_id for item in answer.get("Successful", ())}
    return gone
