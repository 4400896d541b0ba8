"""The permissions of a stack that acts as its caller, and of the first scalable target of an account.

https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies.html#policies_session
"""

import json

import pytest

from local_aws.autoscaling.permissions import needed
from local_aws.framework.api import RequestContext
from tests.local_aws.refusals import TOPIC, ended, events, template
from tests.local_aws.sagemaker_cases import unique
from tests.local_aws.server import ACCOUNT, REGION


@pytest.mark.local_aws
def test_a_stack_of_a_session_may_do_what_the_session_may(local_aws):
    iam, name = local_aws.client("iam"), unique("session")
    trust = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)["Role"]["Arn"]
    iam.attach_role_policy(RoleName=name, PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    allowed = {"Effect": "Allow", "Action": "cloudformation:*", "Resource": "*"}
    session = local_aws.client("sts").assume_role(
        RoleArn=arn, RoleSessionName="tests", Policy=json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    )["Credentials"]
    stacks = local_aws.client(
        "cloudformation",
        aws_access_key_id=session["AccessKeyId"],
        aws_secret_access_key=session["SecretAccessKey"],
        aws_session_token=session["SessionToken"],
    )
    stack = unique("stack")
    stacks.create_stack(StackName=stack, TemplateBody=template(TOPIC))
    assert ended(local_aws, stack)["StackStatus"] in ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED")
    assert any("is not authorized to perform: sns:CreateTopic" in one for one in events(local_aws, stack))


@pytest.mark.parametrize("has_role", [True, False])
def test_the_first_scalable_target_makes_the_service_linked_role(has_role):
    """https://docs.aws.amazon.com/autoscaling/application/userguide/application-auto-scaling-service-linked-roles.html"""
    context = RequestContext(ACCOUNT, REGION)
    actions = [one.action for one in needed(context, "RegisterScalableTarget", {}, has_role)]
    wanted = ["application-autoscaling:RegisterScalableTarget"]
    assert actions == (wanted if has_role else [*wanted, "iam:CreateServiceLinkedRole"])
