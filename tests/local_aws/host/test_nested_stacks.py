"""The resources of nested stacks need permission and are checked, as those of other stacks.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-iam-servicerole.html
"""

import json

import pytest

from tests.local_aws.refusals import TOPIC, ended, events, new_bucket, outcome, template
from tests.local_aws.sagemaker_cases import unique

pytestmark = pytest.mark.local_aws


def role(aws, *actions):
    """Make a role of CloudFormation's that may do some actions; return its ARN."""
    iam, name = aws.client("iam"), unique("nested")
    trust = {"Effect": "Allow", "Principal": {"Service": "cloudformation.amazonaws.com"}, "Action": "sts:AssumeRole"}
    document = {"Version": "2012-10-17", "Statement": [trust]}
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(document))["Role"]["Arn"]
    allowed = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": actions, "Resource": "*"}]}
    iam.put_role_policy(RoleName=name, PolicyName="some", PolicyDocument=json.dumps(allowed))
    return arn


def parent(aws, resources):
    """Return a template with a nested stack of some resources."""
    bucket = new_bucket(aws)
    aws.client("s3").put_object(Bucket=bucket, Key="nested.json", Body=template(resources))
    url = f"https://{bucket}.s3.us-west-2.amazonaws.com/nested.json"
    return template({"Nested": {"Type": "AWS::CloudFormation::Stack", "Properties": {"TemplateURL": url}}})


def test_a_nested_stack_needs_what_its_resources_need(local_aws):
    stacks, name, body = local_aws.client("cloudformation"), unique("parent"), parent(local_aws, TOPIC)
    lacking = role(local_aws, "cloudformation:*", "s3:GetObject")
    stacks.create_stack(StackName=name, TemplateBody=body, RoleARN=lacking)
    assert ended(local_aws, name)["StackStatus"] == "ROLLBACK_COMPLETE"
    assert any("is not authorized to perform: sns:CreateTopic" in one for one in events(local_aws, name))

    name = unique("parent")
    lacking = role(local_aws, "s3:GetObject", "sns:*")
    stacks.create_stack(StackName=name, TemplateBody=body, RoleARN=lacking)
    assert ended(local_aws, name)["StackStatus"] == "ROLLBACK_COMPLETE"
    assert any("is not authorized to perform: cloudformation:CreateStack" in one for one in events(local_aws, name))

    name = unique("parent")
    allowed = role(local_aws, "cloudformation:*", "s3:GetObject", "sns:*")
    stacks.create_stack(StackName=name, TemplateBody=body, RoleARN=allowed)
    assert ended(local_aws, name)["StackStatus"] == "CREATE_COMPLETE"
    stack_id = stacks.describe_stacks(StackName=name)["Stacks"][0]["StackId"]
    stacks.delete_stack(StackName=name)
    assert ended(local_aws, stack_id)["StackStatus"] == "DELETE_COMPLETE"


def test_the_properties_of_a_nested_stack_are_checked(local_aws):
    stacks, name = local_aws.client("cloudformation"), unique("parent")
    wrong = {"Topic": {"Type": "AWS::SNS::Topic", "Properties": {"NoSuchProperty": "1"}}}
    stacks.create_stack(StackName=name, TemplateBody=parent(local_aws, wrong))
    assert ended(local_aws, name)["StackStatus"] == "ROLLBACK_COMPLETE"
    assert any("NoSuchProperty" in one for one in events(local_aws, name))


def test_a_nested_bucket_with_objects_stays(local_aws):
    stacks, name, bucket = local_aws.client("cloudformation"), unique("parent"), unique("kept")
    resources = {"Bucket": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": bucket}}}
    made = stacks.create_stack(StackName=name, TemplateBody=parent(local_aws, resources))["StackId"]
    assert ended(local_aws, name)["StackStatus"] == "CREATE_COMPLETE"
    objects = local_aws.client("s3")
    objects.put_object(Bucket=bucket, Key="kept", Body=b"1")
    stacks.delete_stack(StackName=name)
    ended(local_aws, made)
    assert outcome(lambda: objects.get_object(Bucket=bucket, Key="kept")) == "accepted"
