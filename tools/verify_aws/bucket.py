"""The bucket, its queue and its topic, as bootstrap.yaml makes them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from slipway.command.stacks import ACCOUNT_STACK
from tools.verify_aws.account import Account
from tools.verify_aws.findings import CannotTellError, Finding, cannot_tell, compare, refusal, unanswered
from tools.verify_aws.stacks import template_of
from tools.verify_aws.template import Template, normal


def checks(account: Account) -> Iterator[Finding]:
    """Compare the bucket, the queues and the topic with the template."""
    try:
        template = template_of(account, ACCOUNT_STACK)
    except (ClientError, BotoCoreError, CannotTellError) as error:
        yield cannot_tell("the bucket, the queues and the topic", unanswered(error) or refusal(error))
        return
    yield from _bucket(account, template)
    yield from _queues(account, template)
    yield _policy_of_topic(account, template)
    yield _policy_of_key(account, template)


def _bucket(account: Account, template: Template) -> Iterator[Finding]:
    s3, bucket = account.client("s3"), account.bucket
    wanted = template.resources("AWS::S3::Bucket")["Bucket"]
    policy = template.resources("AWS::S3::BucketPolicy")["BucketPolicy"]["PolicyDocument"]
    encryption = wanted["BucketEncryption"]["ServerSideEncryptionConfiguration"][0]["ServerSideEncryptionByDefault"]
    looks: dict[str, tuple[Any, Callable[[], Any]]] = {
        "region": (account.region, lambda: _region(s3.get_bucket_location(Bucket=bucket))),
        "versioning": (
            wanted["VersioningConfiguration"]["Status"],
            lambda: s3.get_bucket_versioning(Bucket=bucket).get("Status", "never enabled"),
        ),
        "default encryption": (
            encryption["SSEAlgorithm"],
            lambda: s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"][0][
                "ApplyServerSideEncryptionByDefault"
            ]["SSEAlgorithm"],
        ),
        "owner": (
            wanted["OwnershipControls"]["Rules"][0]["ObjectOwnership"],
            lambda: s3.get_bucket_ownership_controls(Bucket=bucket)["OwnershipControls"]["Rules"][0]["ObjectOwnership"],
        ),
        "public access block": (
            wanted["PublicAccessBlockConfiguration"],
            lambda: s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"],
        ),
        "policy": (normal(policy), lambda: normal(json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"]))),
        "notifications": (
            sorted(_wanted_notifications(wanted)),
            lambda: sorted(_notifications(s3.get_bucket_notification_configuration(Bucket=bucket))),
        ),
        "lifecycle": (
            sorted((rule["Id"], rule["Status"]) for rule in wanted["LifecycleConfiguration"]["Rules"]),
            lambda: _lifecycle(account),
        ),
    }
    for name, (expected, look) in looks.items():
        yield compare(f"the bucket's {name}", expected, look)


def _region(answer: dict[str, Any]) -> str:
    """Return the bucket's region; us-east-1 has no name here.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketLocation.html
    """
    named = answer.get("LocationConstraint") or "us-east-1"
    return "eu-west-1" if named == "EU" else str(named)


def _lifecycle(account: Account) -> list[tuple[str, str]]:
    if account.local:
        raise CannotTellError("the local AWS makes no lifecycle of buckets in stacks")
    answer = account.client("s3").get_bucket_lifecycle_configuration(Bucket=account.bucket)
    return sorted((rule["ID"], rule["Status"]) for rule in answer["Rules"])


Notification = tuple[str, str, tuple[tuple[str, str], ...]]


def _wanted_notifications(bucket: dict[str, Any]) -> Iterator[Notification]:
    for one in bucket["NotificationConfiguration"]["QueueConfigurations"]:
        yield one["Queue"], one["Event"], _rules(one["Filter"]["S3Key"]["Rules"])


def _notifications(answer: dict[str, Any]) -> Iterator[Notification]:
    for one in answer.get("QueueConfigurations", []):
        for event in one["Events"]:
            yield one["QueueArn"], event, _rules(one.get("Filter", {}).get("Key", {}).get("FilterRules", []))


def _rules(rules: list[dict[str, str]]) -> tuple[tuple[str, str], ...]:
    # S3 answers "Prefix" where it was given "prefix".
    return tuple(sorted((rule["Name"].lower(), rule["Value"]) for rule in rules))


def _queues(account: Account, template: Template) -> Iterator[Finding]:
    """Compare the queues' attributes.

    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_GetQueueAttributes.html
    """
    sqs = account.client("sqs")
    [policy] = template.resources("AWS::SQS::QueuePolicy").values()
    for logical, queue in template.resources("AWS::SQS::Queue").items():
        expected = {
            "MessageRetentionPeriod": str(queue["MessageRetentionPeriod"]),
            "SqsManagedSseEnabled": str(queue["SqsManagedSseEnabled"]).lower(),
        }
        if "RedrivePolicy" in queue:
            expected["RedrivePolicy"] = normal(queue["RedrivePolicy"])
        if logical == "UploadQueue":
            expected["Policy"] = normal(policy["PolicyDocument"])

        def look(name: str = queue["QueueName"], names: tuple[str, ...] = tuple(expected)) -> dict[str, Any]:
            url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
            found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=list(names)).get("Attributes", {})
            return {
                key: normal(json.loads(value)) if key in ("Policy", "RedrivePolicy") else value
                for key, value in found.items()
            }

        yield compare(f"the queue {queue['QueueName']}", expected, look)


def _policy_of_topic(account: Account, template: Template) -> Finding:
    [topic] = template.resources("AWS::SNS::Topic").values()
    [policy] = template.resources("AWS::SNS::TopicPolicy").values()
    arn = account.arn("sns", topic["TopicName"])

    def look() -> Any:
        return normal(json.loads(account.client("sns").get_topic_attributes(TopicArn=arn)["Attributes"]["Policy"]))

    return compare(f"the policy of the topic {topic['TopicName']}", normal(policy["PolicyDocument"]), look)


def _policy_of_key(account: Account, template: Template) -> Finding:
    """Compare the key policy by which alarms may tell the topic.

    https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html#compatibility-with-aws-services
    """
    [key] = template.resources("AWS::KMS::Key").values()
    arn = template.value({"Fn::GetAtt": "TopicKey.Arn"})

    def look() -> Any:
        return normal(json.loads(account.client("kms").get_key_policy(KeyId=arn, PolicyName="default")["Policy"]))

    return compare("the policy of the topic's key", normal(key["KeyPolicy"]), look)
