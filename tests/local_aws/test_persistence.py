"""What outlives the process: everything after SIGTERM, and after SIGKILL all that was answered."""

import json

import pytest
from botocore.exceptions import ClientError

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
    """Leave something in each kind of store."""
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="kept", CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    s3.put_bucket_versioning(Bucket="kept", VersioningConfiguration={"Status": "Enabled"})
    versions = [s3.put_object(Bucket="kept", Key="a.zip", Body=body)["VersionId"] for body in (b"1", b"2")]
    aws.deploy("kept", {"Resources": {"Group": group("of-a-stack")}, "Outputs": {"O": {"Value": "x"}}})
    aws.client("sagemaker").create_model_package(ModelPackageGroupName="of-a-stack")
    aws.client("sns").create_topic(Name="kept")
    document = {"Version": "2012-10-17", "Statement": []}
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
    # The stack still knows its resources.
    updated = aws.deploy("kept", {"Resources": {"Group": group("of-a-stack-2")}})
    assert updated["StackStatus"] == "UPDATE_COMPLETE"


def saved(aws, stack, status):
    """Whether the state on disk has a stack in a status."""
    path = aws.state_dir / "ministack/cloudformation.json"
    return path.exists() and stack in path.read_text() and status in path.read_text()


def test_everything_is_there_after_sigterm(new_local_aws):
    aws = new_local_aws().start()
    versions = fill(aws)
    before = len(aws.ledger())
    assert aws.stop() == 0
    aws.start()
    check(aws, versions)
    assert len(aws.ledger()) > before


def test_what_was_answered_is_there_after_sigkill(new_local_aws, eventually):
    aws = new_local_aws().start()
    versions = fill(aws)
    eventually(lambda: saved(aws, "kept", "CREATE_COMPLETE"), bool)
    topic = aws.client("sns").create_topic(Name="at-the-last-moment")["TopicArn"]
    version = aws.client("s3").put_object(Bucket="kept", Key="last", Body=b"last")["VersionId"]
    aws.kill()
    aws.start()
    assert topic in [one["TopicArn"] for one in aws.client("sns").list_topics()["Topics"]]
    assert aws.client("s3").get_object(Bucket="kept", Key="last", VersionId=version)["Body"].read() == b"last"
    aws.client("sns").delete_topic(TopicArn=topic)
    check(aws, versions)


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_stack_operations_that_were_cut_off_end(new_local_aws, end):
    aws = new_local_aws().start()
    cloudformation = aws.client("cloudformation")
    aws.deploy("updated", {"Resources": {"Group": group("updated-1")}})
    cloudformation.update_stack(
        StackName="updated",
        TemplateBody=json.dumps({"Resources": {"Group": group("updated-1"), **SLOW}}),
    )
    cloudformation.create_stack(
        StackName="created", TemplateBody=json.dumps({"Resources": {"Group": group("created-1"), **SLOW}})
    )
    getattr(aws, end)()
    aws.start()
    cloudformation = aws.client("cloudformation")
    states = {stack["StackName"]: stack for stack in cloudformation.describe_stacks()["Stacks"]}
    assert states["created"]["StackStatus"] == "CREATE_FAILED"
    assert states["created"]["StackStatusReason"] == "The local AWS was stopped during this operation."
    assert states["updated"]["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    # Both can be worked with again.
    cloudformation.delete_stack(StackName=states["created"]["StackId"])
    assert aws.stack(states["created"]["StackId"])["StackStatus"] == "DELETE_COMPLETE"
    assert aws.deploy("updated", {"Resources": {"Group": group("updated-2")}})["StackStatus"] == "UPDATE_COMPLETE"


def test_accounts_survive_apart(new_local_aws):
    aws = new_local_aws().start()
    other = {"aws_access_key_id": "210987654321"}
    aws.client("sns", **other).create_topic(Name="of-another")
    aws.kill()
    aws.start()
    assert aws.client("sns").list_topics()["Topics"] == []
    assert len(aws.client("sns", **other).list_topics()["Topics"]) == 1
    with pytest.raises(ClientError):
        aws.client("s3").head_bucket(Bucket="kept")
