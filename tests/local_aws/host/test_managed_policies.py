"""AWS's managed policies: those that are known, and the refusal of the others."""

import json

import pytest

from local_aws.host.managed_policies import POLICIES
from tests.local_aws.sagemaker_cases import refused, unique

pytestmark = pytest.mark.local_aws
MANAGED = "arn:aws:iam::aws:policy"
UNKNOWN = f"{MANAGED}/AmazonSageMakerFulAccess"
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": {
            "Effect": "Allow",
            "Principal": {"AWS": "arn:aws:iam::123456789012:root"},
            "Action": "sts:AssumeRole",
        },
    }
)


@pytest.fixture
def role(local_aws):
    name = unique("managed")
    local_aws.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=TRUST)
    return name


@pytest.mark.parametrize("policy", POLICIES)
def test_a_known_policy_can_be_read_and_attached(local_aws, role, policy):
    iam, arn = local_aws.client("iam"), f"{MANAGED}/{policy}"
    iam.attach_role_policy(RoleName=role, PolicyArn=arn)
    attached = iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]
    assert attached == [{"PolicyName": policy.rpartition("/")[2], "PolicyArn": arn}]
    version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
    assert iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"]["Statement"]


def test_an_unknown_policy_is_refused(local_aws, role):
    """https://docs.aws.amazon.com/IAM/latest/APIReference/API_AttachRolePolicy.html, NoSuchEntity."""
    iam, group = local_aws.client("iam"), unique("group")
    iam.create_group(GroupName=group)
    for attach in (
        lambda: iam.attach_role_policy(RoleName=role, PolicyArn=UNKNOWN),
        lambda: iam.attach_user_policy(UserName="slipway-operator", PolicyArn=UNKNOWN),
        lambda: iam.attach_group_policy(GroupName=group, PolicyArn=UNKNOWN),
    ):
        refused(attach, "NoSuchEntity", f"Policy {UNKNOWN} does not exist or is not attachable.")


def test_a_stack_with_an_unknown_policy_is_rolled_back(local_aws):
    template = {
        "Resources": {
            "Role": {
                "Type": "AWS::IAM::Role",
                "Properties": {"AssumeRolePolicyDocument": json.loads(TRUST), "ManagedPolicyArns": [UNKNOWN]},
            }
        }
    }
    name = unique("unknown-policy")
    stack = local_aws.deploy(name, template, Capabilities=["CAPABILITY_IAM"])
    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    events = local_aws.client("cloudformation").describe_stack_events(StackName=name)["StackEvents"]
    reasons = [event.get("ResourceStatusReason", "") for event in events]
    assert any(f"Policy {UNKNOWN} does not exist or is not attachable." in reason for reason in reasons)


def test_sagemaker_full_access_opens_its_own_buckets_and_no_others(local_aws, role):
    """https://docs.aws.amazon.com/aws-managed-policy/latest/reference/AmazonSageMakerFullAccess.html"""
    local_aws.client("iam").attach_role_policy(RoleName=role, PolicyArn=f"{MANAGED}/AmazonSageMakerFullAccess")
    arn = f"arn:aws:iam::123456789012:role/{role}"
    session = local_aws.client("sts").assume_role(RoleArn=arn, RoleSessionName="tests")["Credentials"]
    keys = {
        "aws_access_key_id": session["AccessKeyId"],
        "aws_secret_access_key": session["SecretAccessKey"],
        "aws_session_token": session["SessionToken"],
    }
    s3, sagemaker = local_aws.client("s3", **keys), local_aws.client("sagemaker", **keys)
    own, other = unique("sagemaker"), unique("others")
    for bucket in (own, other):
        local_aws.client("s3").create_bucket(
            Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "us-west-2"}
        )
    s3.put_object(Bucket=own, Key="a", Body=b"1")
    refused(lambda: s3.put_object(Bucket=other, Key="a", Body=b"1"), "AccessDenied", "s3:PutObject")
    sagemaker.list_training_jobs()
    refused(lambda: local_aws.client("iam", **keys).create_user(UserName="x"), "AccessDenied", "iam:CreateUser")


@pytest.mark.parametrize("qualifier", ["hnb659fds", "mine"])
def test_the_account_counts_as_bootstrapped_for_the_cdk(local_aws, qualifier):
    """https://docs.aws.amazon.com/cdk/v2/guide/bootstrapping-env.html: the default synthesizer reads this parameter."""
    version = {"Type": "AWS::SSM::Parameter::Value<String>", "Default": f"/cdk-bootstrap/{qualifier}/version"}
    outputs = {"Version": {"Value": {"Ref": "BootstrapVersion"}}}
    template = {
        "Parameters": {"BootstrapVersion": version},
        "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}},
        "Outputs": outputs,
    }
    stack = local_aws.deploy(unique("cdk"), template)
    assert (stack["StackStatus"], stack["Outputs"][0]["OutputValue"]) == ("CREATE_COMPLETE", "30")


def test_other_parameters_of_ssm_are_not_there(local_aws):
    version = {"Type": "AWS::SSM::Parameter::Value<String>", "Default": "/mine"}
    template = {"Parameters": {"Mine": version}, "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}}
    refused(
        lambda: local_aws.deploy(unique("ssm"), template), "ValidationError", "SSM parameter '/mine' does not exist"
    )
