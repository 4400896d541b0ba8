"""IAM as those who push and pull meet it."""

import json

import pytest

from tests.local_aws.ecr_cases import archive, push, repository
from tests.local_aws.roles import user_of, user_with
from tests.local_aws.sagemaker_cases import refused, unique

pytestmark = pytest.mark.local_aws
ARN = "arn:aws:ecr:us-west-2:123456789012:repository/"
PUSHING = [
    "ecr:BatchCheckLayerAvailability",
    "ecr:CompleteLayerUpload",
    "ecr:InitiateLayerUpload",
    "ecr:PutImage",
    "ecr:UploadLayerPart",
]


def user(aws, *statements):
    """Make a user; return a client of ECR."""
    return user_with(aws, "ecr", *statements)


def test_a_push_needs_these_actions_on_the_repository(local_aws, ecr):
    name, other = repository(ecr), repository(ecr)
    pusher = user(local_aws, {"Action": PUSHING, "Resource": f"{ARN}{name}"})
    push(pusher, name, archive({"a": "1"}), tag="1")
    message = f"is not authorized to perform: ecr:BatchCheckLayerAvailability on resource: {ARN}{other}"
    refused(lambda: push(pusher, other, archive({"a": "1"})), "AccessDeniedException", message)
    for action in PUSHING:
        less = user(local_aws, {"Action": [one for one in PUSHING if one != action], "Resource": f"{ARN}{name}"})
        layer = archive({"b": action})
        refused(lambda less=less, layer=layer: push(less, name, layer), "AccessDeniedException", action)
    refused(
        lambda: pusher.batch_get_image(repositoryName=name, imageIds=[{"imageTag": "1"}]),
        "AccessDeniedException",
        "ecr:BatchGetImage",
    )


def test_the_token_is_of_the_registry(local_aws):
    stranger = user(local_aws, {"Action": "ecr:GetAuthorizationToken", "Resource": f"{ARN}*"})
    refused(stranger.get_authorization_token, "AccessDeniedException", "ecr:GetAuthorizationToken on resource: *")


def test_tags_of_a_repository_and_of_a_request_are_conditions(local_aws, ecr):
    condition = {"StringEquals": {"aws:RequestTag/team": "iris"}}
    maker = user(
        local_aws,
        {"Action": ["ecr:CreateRepository", "ecr:TagResource"], "Resource": "*", "Condition": condition},
        {"Action": "ecr:ListImages", "Resource": "*", "Condition": {"StringEquals": {"ecr:ResourceTag/team": "iris"}}},
    )
    refused(lambda: repository(maker), "AccessDeniedException", "ecr:CreateRepository")
    name = repository(maker, tags=[{"Key": "team", "Value": "iris"}])
    assert maker.list_images(repositoryName=name)["imageIds"] == []
    refused(lambda: maker.list_images(repositoryName=repository(ecr)), "AccessDeniedException", "ecr:ListImages")


def test_the_repository_policy_allows_and_denies(local_aws, ecr):
    name = repository(ecr)
    push(ecr, name, archive({"a": "1"}), tag="1")
    user_name = unique("user")
    clients = user_of(local_aws, user_name)
    reader, arn = clients("ecr"), f"arn:aws:iam::123456789012:user/{user_name}"

    def state(effect, action):
        statement = {"Effect": effect, "Principal": {"AWS": arn}, "Action": action}
        text = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        ecr.set_repository_policy(repositoryName=name, policyText=text)

    refused(lambda: reader.list_images(repositoryName=name), "AccessDeniedException", "ecr:ListImages")
    state("Allow", "ecr:ListImages")
    assert len(reader.list_images(repositoryName=name)["imageIds"]) == 1
    refused(lambda: reader.describe_images(repositoryName=name), "AccessDeniedException", "ecr:DescribeImages")
    refused(lambda: reader.list_images(repositoryName=repository(ecr)), "AccessDeniedException", "ecr:ListImages")
    local_aws.client("iam").attach_user_policy(
        UserName=user_name, PolicyArn="arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryReadOnly"
    )
    assert len(reader.describe_images(repositoryName=name)["imageDetails"]) == 1
    state("Deny", "ecr:Describe*")
    refused(lambda: reader.describe_images(repositoryName=name), "AccessDeniedException", "ecr:DescribeImages")
