"""Repositories in CloudFormation stacks."""

import json

import pytest

from tests.local_aws.ecr_cases import archive, push
from tests.local_aws.sagemaker_cases import refused, unique

pytestmark = pytest.mark.local_aws
POLICY = json.dumps({"rules": [{"rulePriority": 1, "action": {"type": "expire"}, "selection": {
    "tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 9}}]})  # fmt: skip
STATEMENT = {
    "Sid": "Pull",
    "Effect": "Allow",
    "Principal": {"Service": "sagemaker.amazonaws.com"},
    "Action": "ecr:BatchGetImage",
}


def template(**properties):
    resource = {"Type": "AWS::ECR::Repository", "Properties": properties}
    values = {name: {"Fn::GetAtt": ["Images", name]} for name in ("Arn", "RepositoryUri")} | {"Ref": {"Ref": "Images"}}
    return {
        "Resources": {"Images": resource},
        "Outputs": {name: {"Value": value} for name, value in values.items()},
    }


def outputs(stack):
    return {one["OutputKey"]: one["OutputValue"] for one in stack["Outputs"]}


def delete(aws, stack):
    aws.client("cloudformation").delete_stack(StackName=stack["StackId"])
    return aws.stack(stack["StackId"])["StackStatus"]


def test_a_repository_is_made_changed_and_deleted(local_aws, ecr):
    name, stack_name = unique("stack"), unique("images")
    wanted = {
        "RepositoryName": name,
        "ImageTagMutability": "IMMUTABLE",
        "ImageScanningConfiguration": {"ScanOnPush": "true"},
        "LifecyclePolicy": {"LifecyclePolicyText": POLICY},
        "RepositoryPolicyText": {"Version": "2012-10-17", "Statement": [STATEMENT]},
        "Tags": [{"Key": "team", "Value": "iris"}],
    }
    stack = local_aws.deploy(stack_name, template(**wanted), Tags=[{"Key": "stack", "Value": "s"}])
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    arn = f"arn:aws:ecr:us-west-2:123456789012:repository/{name}"
    assert outputs(stack) == {
        "Ref": name,
        "Arn": arn,
        "RepositoryUri": f"123456789012.dkr.ecr.us-west-2.amazonaws.com/{name}",
    }
    found = ecr.describe_repositories(repositoryNames=[name])["repositories"][0]
    assert (found["imageTagMutability"], found["imageScanningConfiguration"]["scanOnPush"]) == ("IMMUTABLE", True)
    assert json.loads(ecr.get_repository_policy(repositoryName=name)["policyText"])["Statement"] == [STATEMENT]
    assert ecr.get_lifecycle_policy(repositoryName=name)["lifecyclePolicyText"] == POLICY
    tags = {one["Key"]: one["Value"] for one in ecr.list_tags_for_resource(resourceArn=arn)["tags"]}
    assert (tags["team"], tags["stack"], tags["aws:cloudformation:stack-name"]) == ("iris", "s", stack_name)

    changed = local_aws.deploy(stack_name, template(RepositoryName=name))
    assert changed["StackStatus"] == "UPDATE_COMPLETE"
    found = ecr.describe_repositories(repositoryNames=[name])["repositories"][0]
    assert (found["imageTagMutability"], found["imageScanningConfiguration"]["scanOnPush"]) == ("MUTABLE", False)
    refused(lambda: ecr.get_lifecycle_policy(repositoryName=name), "LifecyclePolicyNotFoundException", name)
    refused(lambda: ecr.get_repository_policy(repositoryName=name), "RepositoryPolicyNotFoundException", name)
    assert "team" not in {one["Key"] for one in ecr.list_tags_for_resource(resourceArn=arn)["tags"]}

    push(ecr, name, archive({"a": "1"}), tag="1")
    assert delete(local_aws, stack) == "DELETE_FAILED"
    ecr.batch_delete_image(repositoryName=name, imageIds=[{"imageTag": "1"}])
    assert delete(local_aws, stack) == "DELETE_COMPLETE"
    refused(lambda: ecr.list_images(repositoryName=name), "RepositoryNotFoundException", name)


def test_a_repository_may_be_emptied_by_its_end(local_aws, ecr):
    name = unique("stack")
    stack = local_aws.deploy(unique("images"), template(RepositoryName=name, EmptyOnDelete=True))
    push(ecr, name, archive({"a": "1"}))
    assert delete(local_aws, stack) == "DELETE_COMPLETE"


def test_another_encryption_is_another_repository(local_aws, ecr):
    stack_name = unique("images")
    first = outputs(local_aws.deploy(stack_name, template()))["Ref"]
    assert first.startswith("images-") and first == first.lower()
    stack = local_aws.deploy(stack_name, template(EncryptionConfiguration={"EncryptionType": "KMS"}))
    assert stack["StackStatus"] == "UPDATE_COMPLETE"
    second = outputs(stack)["Ref"]
    assert second != first
    refused(lambda: ecr.list_images(repositoryName=first), "RepositoryNotFoundException", first)


def test_drift_is_told(local_aws, ecr, eventually):
    name = unique("stack")
    wanted = template(
        RepositoryName=name, ImageTagMutability="IMMUTABLE", LifecyclePolicy={"LifecyclePolicyText": POLICY}
    )
    stack = local_aws.deploy(unique("images"), wanted)["StackId"]
    cloudformation = local_aws.client("cloudformation")

    def drift():
        detection = cloudformation.detect_stack_drift(StackName=stack)["StackDriftDetectionId"]
        eventually(
            lambda: cloudformation.describe_stack_drift_detection_status(StackDriftDetectionId=detection),
            lambda found: found["DetectionStatus"] != "DETECTION_IN_PROGRESS",
        )
        [found] = cloudformation.describe_stack_resource_drifts(StackName=stack)["StackResourceDrifts"]
        differences = found.get("PropertyDifferences", [])
        return found["StackResourceDriftStatus"], [one["PropertyPath"] for one in differences]

    assert drift() == ("IN_SYNC", [])
    ecr.put_image_tag_mutability(repositoryName=name, imageTagMutability="MUTABLE")
    assert drift() == ("MODIFIED", ["/ImageTagMutability"])
    ecr.delete_repository(repositoryName=name)
    assert drift()[0] == "DELETED"


@pytest.mark.parametrize(
    ("properties", "reason"),
    [
        ({"ImageTagMutability": "NEVER"}, "is not a valid enum value"),
        (
            {"LifecyclePolicy": {"LifecyclePolicyText": POLICY.replace("expire", "keep")}},
            "Lifecycle policy validation failure",
        ),
        ({"Colour": "red"}, "extraneous key [Colour] is not permitted"),
    ],
)
def test_a_repository_that_is_refused_leaves_nothing(local_aws, ecr, properties, reason):
    name = unique("stack")
    stack = local_aws.deploy(unique("images"), template(RepositoryName=name, **properties))
    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    events = local_aws.client("cloudformation").describe_stack_events(StackName=stack["StackId"])["StackEvents"]
    assert any(reason in event.get("ResourceStatusReason", "") for event in events), events
    refused(lambda: ecr.list_images(repositoryName=name), "RepositoryNotFoundException", name)
