"""What survives the process: everything after SIGTERM, and all that was answered after SIGKILL."""

import json

import pytest
from botocore.exceptions import ClientError

from tests.local_aws.server import FROM_SERVICES

pytestmark = pytest.mark.local_aws

# A wait condition holds a stack's operation open for as long as the test wants.
SLOW = {
    "Handle": {"Type": "AWS::CloudFormation::WaitConditionHandle"},
    "Wait": {
        "Type": "AWS::CloudFormation::WaitCondition",
        "Properties": {"Handle": {"Ref": "Handle"}, "Timeout": "3600"},
    },
}


def group(name):
    return {"Type": "AWS::SageMaker::ModelPackageGroup", "Properties": {"ModelPackageGroupName": name}}


def fill(aws):
    """Write something to each kind of store."""
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="kept", CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    s3.put_bucket_versioning(Bucket="kept", VersioningConfiguration={"Status": "Enabled"})
    versions = [s3.put_object(Bucket="kept", Key="a.zip", Body=body)["VersionId"] for body in (b"1", b"2")]
    aws.deploy("kept", {"Resources": {"Group": group("of-a-stack")}, "Outputs": {"O": {"Value": "x"}}})
    aws.client("sagemaker").create_model_package(ModelPackageGroupName="of-a-stack")
    aws.client("sns").create_topic(Name="kept")
    trusted = {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}
    document = {"Version": "2012-10-17", "Statement": [trusted]}
    aws.client("iam").create_role(RoleName="kept", AssumeRolePolicyDocument=json.dumps(document))
    return versions


def check(aws, versions):
    s3 = aws.client("s3")
    listed = s3.list_object_versions(Bucket="kept", Prefix="a.zip")["Versions"]
    assert [version["VersionId"] for version in listed] == versions[::-1]
    assert s3.get_object(Bucket="kept", Key="a.zip", VersionId=versions[0])["Body"].read() == b"1"
    assert s3.get_bucket_versioning(Bucket="kept")["Status"] == "Enabled"
    stack = aws.client("cloudformation").describe_stacks(StackName="kept")["Stacks"][0]
    assert (stack["StackStatus"], stack["Outputs"][0]["OutputValue"]) == ("CREATE_COMPLETE", "x")
    packages = aws.client("sagemaker").list_model_packages(ModelPackageGroupName="of-a-stack")
    assert len(packages["ModelPackageSummaryList"]) == 1
    assert any(topic["TopicArn"].endswith(":kept") for topic in aws.client("sns").list_topics()["Topics"])
    assert aws.client("iam").get_role(RoleName="kept")["Role"]["RoleName"] == "kept"
    # The stack still has its resources.
    updated = aws.deploy("kept", {"Resources": {"Group": group("of-a-stack-2")}})
    assert updated["StackStatus"] == "UPDATE_COMPLETE"


def test_everything_is_there_after_sigterm(new_local_aws):
    aws = new_local_aws().start()
    versions = fill(aws)
    before = len(aws.ledger())
    assert aws.stop() == 0
    aws.start()
    check(aws, versions)
    assert len(aws.ledger()) > before


def test_what_was_answered_is_there_after_sigkill(new_local_aws):
    aws = new_local_aws().start()
    versions = fill(aws)
    topic = aws.client("sns").create_topic(Name="at-the-last-moment")["TopicArn"]
    version = aws.client("s3").put_object(Bucket="kept", Key="last", Body=b"last")["VersionId"]
    aws.kill()
    aws.start()
    assert topic in [one["TopicArn"] for one in aws.client("sns").list_topics()["Topics"]]
    assert aws.client("s3").get_object(Bucket="kept", Key="last", VersionId=version)["Body"].read() == b"last"
    aws.client("sns").delete_topic(TopicArn=topic)
    check(aws, versions)


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_session_is_good_after_a_restart(new_local_aws, end):
    aws = new_local_aws().start()
    assumed = aws.client_of("111122223333", "sts")
    before = assumed.get_caller_identity()
    getattr(aws, end)()
    aws.start()
    after = assumed.get_caller_identity()
    assert (after["Arn"], after["Account"]) == (before["Arn"], "111122223333")


def waits(aws, stack):
    """Tell whether a stack has reached its wait condition."""
    events = aws.client("cloudformation").describe_stack_events(StackName=stack)["StackEvents"]
    return "Wait" in [event["LogicalResourceId"] for event in events]


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_operations_that_cannot_go_on_are_rolled_back(new_local_aws, eventually, end):
    # The address of the wait condition comes from the killed process.
    aws = new_local_aws().start()
    cloudformation = aws.client("cloudformation")
    aws.deploy("updated", {"Resources": {"Group": group("updated-1")}})
    cloudformation.update_stack(
        StackName="updated",
        TemplateBody=json.dumps({"Resources": {"Group": group("updated-1"), "More": group("updated-2"), **SLOW}}),
    )
    cloudformation.create_stack(
        StackName="created", TemplateBody=json.dumps({"Resources": {"Group": group("created-1"), **SLOW}})
    )
    for name in ("updated", "created"):
        eventually(lambda name=name: waits(aws, name), bool)
    getattr(aws, end)()
    aws.start()
    assert aws.stack("created")["StackStatus"] == "ROLLBACK_COMPLETE"
    assert aws.stack("updated")["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    groups = aws.client("sagemaker").list_model_package_groups()["ModelPackageGroupSummaryList"]
    assert [one["ModelPackageGroupName"] for one in groups] == ["updated-1"]


def test_an_end_that_was_shown_stands_after_sigkill(new_local_aws, eventually):
    aws = new_local_aws().start()
    cloudformation = aws.client("cloudformation")
    topics = {f"T{n}": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": f"{{}}-{n}"}} for n in range(3)}
    names = ["one", "two", "three"]
    for name in names:
        body = json.dumps({"Resources": topics}).replace("{}", name)
        cloudformation.create_stack(StackName=name, TemplateBody=body)

    def complete():
        stacks = cloudformation.describe_stacks()["Stacks"]
        return {stack["StackName"] for stack in stacks if stack["StackStatus"] == "CREATE_COMPLETE"}

    shown = eventually(complete, bool)
    aws.kill()
    aws.start()
    assert shown <= complete()
    for name in names:
        assert aws.stack(name)["StackStatus"] == "CREATE_COMPLETE"
    arns = [topic["TopicArn"].rpartition(":")[2] for topic in aws.client("sns").list_topics()["Topics"]]
    assert sorted(arns) == sorted(f"{name}-{n}" for name in names for n in range(3))


def test_objects_are_as_they_were_answered_after_sigkill(new_local_aws):
    aws = new_local_aws().start()
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="kept", CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    s3.put_bucket_versioning(Bucket="kept", VersioningConfiguration={"Status": "Enabled"})
    etag = s3.put_object(Bucket="kept", Key="board", Body=b"1")["ETag"]
    s3.put_object(Bucket="kept", Key="board", Body=b"2", IfMatch=etag)
    s3.put_object(Bucket="kept", Key="described", Body=b"1", Metadata={"uploaded-by": "demo"})
    s3.copy_object(Bucket="kept", Key="copied", CopySource={"Bucket": "kept", "Key": "described"})
    s3.put_object(Bucket="kept", Key="deleted", Body=b"1")
    marker = s3.delete_object(Bucket="kept", Key="deleted")["VersionId"]
    s3.put_object_tagging(Bucket="kept", Key="described", Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})
    aws.kill()
    aws.start()
    s3 = aws.client("s3")
    assert s3.get_object(Bucket="kept", Key="board")["Body"].read() == b"2"
    with pytest.raises(ClientError, match="PreconditionFailed"):
        s3.put_object(Bucket="kept", Key="board", Body=b"3", IfMatch=etag)
    assert s3.head_object(Bucket="kept", Key="copied")["Metadata"] == {"uploaded-by": "demo"}
    listed = s3.list_object_versions(Bucket="kept", Prefix="deleted")
    assert [one["VersionId"] for one in listed["DeleteMarkers"]] == [marker]
    assert len(listed["Versions"]) == 1
    assert s3.get_object_tagging(Bucket="kept", Key="described")["TagSet"] == [{"Key": "a", "Value": "b"}]


def test_messages_that_were_handed_on_are_there_after_sigkill(new_local_aws, eventually):
    aws = new_local_aws().start()
    s3, sns, sqs = (aws.client(service) for service in ("s3", "sns", "sqs"))
    queue = sqs.create_queue(QueueName="kept", Attributes=FROM_SERVICES)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    statement = {"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": arn}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": policy})
    topic = sns.create_topic(Name="kept")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    s3.create_bucket(Bucket="kept", CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    s3.put_bucket_notification_configuration(
        Bucket="kept",
        NotificationConfiguration={"QueueConfigurations": [{"QueueArn": arn, "Events": ["s3:ObjectCreated:*"]}]},
    )
    sns.publish(TopicArn=topic, Message="published")
    s3.put_object(Bucket="kept", Key="uploaded", Body=b"1")
    aws.kill()
    aws.start()
    received = []

    def bodies():
        answer = aws.client("sqs").receive_message(QueueUrl=queue, MaxNumberOfMessages=10)
        received.extend(message["Body"] for message in answer.get("Messages", []))
        return " ".join(received)

    eventually(bodies, lambda text: "published" in text and "uploaded" in text)


def test_accounts_survive_apart(new_local_aws):
    aws = new_local_aws().start()
    other = "210987654321"
    aws.client_of(other, "sns").create_topic(Name="of-another")
    aws.kill()
    aws.start()
    assert aws.client("sns").list_topics()["Topics"] == []
    assert len(aws.client_of(other, "sns").list_topics()["Topics"]) == 1
    with pytest.raises(ClientError):
        aws.client("s3").head_bucket(Bucket="kept")
