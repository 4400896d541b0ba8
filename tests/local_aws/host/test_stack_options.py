"""What a stack is asked for beside its template: the time of its creation, and the topics of its events.

https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_CreateStack.html
"""

import json

import pytest

from tests.local_aws.refusals import TOPIC, ended, events, template
from tests.local_aws.sagemaker_cases import unique
from tests.local_aws.server import FROM_SERVICES

pytestmark = pytest.mark.local_aws

HANDLE = {"Handle": {"Type": "AWS::CloudFormation::WaitConditionHandle"}}
WAIT = {
    "Wait": {
        "Type": "AWS::CloudFormation::WaitCondition",
        "Properties": {"Handle": {"Ref": "Handle"}, "Timeout": "600"},
    }
}
AFTER = {"After": {"Type": "AWS::SNS::Topic", "DependsOn": "Wait"}}


@pytest.mark.parametrize(
    ("options", "status"), [({}, "ROLLBACK_COMPLETE"), ({"DisableRollback": True}, "CREATE_FAILED")]
)
def test_a_creation_that_takes_too_long_is_taken_back(fast_aws, options, status):
    stacks, name = fast_aws.client("cloudformation"), unique("slow")
    body = template({**TOPIC, **HANDLE, **WAIT, **AFTER})
    stacks.create_stack(StackName=name, TemplateBody=body, TimeoutInMinutes=2, **options)
    assert stacks.describe_stacks(StackName=name)["Stacks"][0]["TimeoutInMinutes"] == 2
    stack = ended(fast_aws, name)
    assert stack["StackStatus"] == status
    told = events(fast_aws, name)
    assert "CREATE_FAILED Resource creation cancelled" in told
    if not options:
        reason = "The following resource(s) failed to create: [Wait]. Rollback requested by user."
        assert f"ROLLBACK_IN_PROGRESS Stack creation time exceeded the specified timeout. {reason}" in told
        assert not [one for one in fast_aws.client("sns").list_topics()["Topics"] if name in one["TopicArn"]]


def test_a_creation_in_time_is_kept(fast_aws):
    stacks, name = fast_aws.client("cloudformation"), unique("quick")
    stacks.create_stack(StackName=name, TemplateBody=template(TOPIC), TimeoutInMinutes=30)
    assert ended(fast_aws, name)["StackStatus"] == "CREATE_COMPLETE"


@pytest.fixture
def listener(local_aws):
    """Makes topics with a queue that gets what is published there."""
    topics, queues = local_aws.client("sns"), local_aws.client("sqs")

    def make():
        topic = topics.create_topic(Name=unique("events"))["TopicArn"]
        queue = queues.create_queue(QueueName=unique("events"), Attributes=FROM_SERVICES)["QueueUrl"]
        arn = queues.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        topics.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)

        def heard():
            found = []
            while messages := queues.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages"):
                for message in messages:
                    queues.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
                found += [json.loads(message["Body"]) for message in messages]
            return found

        return topic, heard

    return make


def members(notification):
    """Read the lines of a notification: ``Name='value'``."""
    lines = notification["Message"].splitlines()
    return {name: value.strip("'") for name, _, value in (line.partition("=") for line in lines)}


def test_events_are_published_to_the_topics_of_a_stack(local_aws, listener):
    stacks, name = local_aws.client("cloudformation"), unique("heard")
    first, heard_first = listener()
    second, heard_second = listener()
    made = stacks.create_stack(
        StackName=name, TemplateBody=template(TOPIC), NotificationARNs=[first], ClientRequestToken="token-1"
    )["StackId"]
    stack = ended(local_aws, name)
    assert stack["NotificationARNs"] == [first]
    heard = heard_first()
    assert {notification["Subject"] for notification in heard} == {"AWS CloudFormation Notification"}
    found = [members(notification) for notification in heard]
    told = local_aws.client("cloudformation").describe_stack_events(StackName=name)["StackEvents"]
    assert {one["EventId"] for one in found} == {one["EventId"] for one in told}
    begun = next(one for one in found if one["ResourceStatusReason"] == "User Initiated")
    assert begun["StackId"] == begun["PhysicalResourceId"] == made
    assert (begun["StackName"], begun["Namespace"]) == (name, "123456789012")
    assert (begun["ResourceStatus"], begun["ResourceType"]) == ("CREATE_IN_PROGRESS", "AWS::CloudFormation::Stack")
    assert (begun["ClientRequestToken"], begun["ResourceProperties"]) == ("token-1", "null")

    # Without topics an update keeps those of before, others replace them, and an empty list removes them.
    changes = iter("abc")
    for given, first_hears, second_hears in (({}, True, False), ([second], False, True), ([], False, False)):
        body = template({"Topic": {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": next(changes)}}})
        stacks.update_stack(StackName=name, TemplateBody=body, **({} if given == {} else {"NotificationARNs": given}))
        ended(local_aws, name)
        assert (bool(heard_first()), bool(heard_second())) == (first_hears, second_hears)


def test_a_topic_that_is_gone_does_not_fail_a_stack(local_aws):
    stacks, name = local_aws.client("cloudformation"), unique("unheard")
    gone = "arn:aws:sns:us-west-2:123456789012:gone"
    stacks.create_stack(StackName=name, TemplateBody=template(TOPIC), NotificationARNs=[gone])
    assert ended(local_aws, name)["StackStatus"] == "CREATE_COMPLETE"
