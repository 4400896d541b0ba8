"""Repositories: settings, policies, tags and their end."""

import json

import pytest

from tests.local_aws.ecr_cases import archive, files, push, repository
from tests.local_aws.sagemaker_cases import refused, unique

pytestmark = pytest.mark.local_aws
ARN = "arn:aws:ecr:us-west-2:123456789012:repository/"


def test_repository_is_described_as_created(ecr):
    name = unique("team/images")
    made = ecr.create_repository(
        repositoryName=name,
        imageTagMutability="IMMUTABLE",
        imageScanningConfiguration={"scanOnPush": True},
        tags=[{"Key": "team", "Value": "iris"}],
    )["repository"]
    assert made["repositoryArn"] == f"{ARN}{name}"
    assert made["repositoryUri"] == f"123456789012.dkr.ecr.us-west-2.amazonaws.com/{name}"
    assert made["encryptionConfiguration"] == {"encryptionType": "AES256"}
    assert ecr.describe_repositories(repositoryNames=[name])["repositories"] == [made]
    assert ecr.list_tags_for_resource(resourceArn=f"{ARN}{name}")["tags"] == [{"Key": "team", "Value": "iris"}]
    refused(
        lambda: ecr.create_repository(repositoryName=name),
        "RepositoryAlreadyExistsException",
        f"The repository with name '{name}' already exists in the registry with id '123456789012'",
    )


def test_a_name_is_held_against_the_model(local_aws, ecr):
    unchecked = local_aws.client("ecr", config=_unchecked())
    refused(lambda: unchecked.create_repository(repositoryName="Bad_"), "InvalidParameterException", "repositoryName")


def _unchecked():
    from botocore.config import Config

    return Config(parameter_validation=False, retries={"total_max_attempts": 1})


def test_settings_change(ecr):
    name = repository(ecr)
    ecr.put_image_tag_mutability(repositoryName=name, imageTagMutability="IMMUTABLE")
    ecr.put_image_scanning_configuration(repositoryName=name, imageScanningConfiguration={"scanOnPush": True})
    found = ecr.describe_repositories(repositoryNames=[name])["repositories"][0]
    assert (found["imageTagMutability"], found["imageScanningConfiguration"]) == ("IMMUTABLE", {"scanOnPush": True})


def test_a_repository_with_images_is_deleted_by_force_only(local_aws, ecr):
    name = repository(ecr)
    push(ecr, name, archive({"a": "1"}), tag="a")
    refused(lambda: ecr.delete_repository(repositoryName=name), "RepositoryNotEmptyException", "still contains images")
    assert len(files(local_aws, name)) == 2
    ecr.delete_repository(repositoryName=name, force=True)
    assert files(local_aws, name) == []
    refused(
        lambda: ecr.list_images(repositoryName=name),
        "RepositoryNotFoundException",
        f"The repository with name '{name}' does not exist in the registry with id '123456789012'",
    )
    ecr.create_repository(repositoryName=name)
    assert ecr.list_images(repositoryName=name)["imageIds"] == []


def test_the_repository_policy_is_kept(ecr):
    name = repository(ecr)
    refused(lambda: ecr.get_repository_policy(repositoryName=name), "RepositoryPolicyNotFoundException", name)
    text = json.dumps({"Version": "2012-10-17", "Statement": []})
    ecr.set_repository_policy(repositoryName=name, policyText=text)
    assert ecr.get_repository_policy(repositoryName=name)["policyText"] == text
    refused(
        lambda: ecr.set_repository_policy(repositoryName=name, policyText="{"), "InvalidParameterException", "policy"
    )
    ecr.delete_repository_policy(repositoryName=name)
    refused(lambda: ecr.delete_repository_policy(repositoryName=name), "RepositoryPolicyNotFoundException", name)


def test_tags_change_and_are_found_by_the_tagging_api(local_aws, ecr):
    team = unique("team")
    arn = f"{ARN}{repository(ecr, tags=[{'Key': 'team', 'Value': team}])}"
    ecr.tag_resource(resourceArn=arn, tags=[{"Key": "stage", "Value": "dev"}])
    tagging = local_aws.client("resourcegroupstaggingapi")
    found = tagging.get_resources(
        TagFilters=[{"Key": "team", "Values": [team]}], ResourceTypeFilters=["ecr:repository"]
    )["ResourceTagMappingList"]
    both = [{"Key": "stage", "Value": "dev"}, {"Key": "team", "Value": team}]
    assert found == [{"ResourceARN": arn, "Tags": both}]
    ecr.untag_resource(resourceArn=arn, tagKeys=["stage"])
    assert ecr.list_tags_for_resource(resourceArn=arn)["tags"] == both[1:]
    refused(
        lambda: ecr.tag_resource(resourceArn=arn, tags=[{"Key": "aws:x", "Value": ""}]),
        "InvalidTagParameterException",
        "aws:",
    )


def test_repositories_are_listed_in_pages(ecr):
    names = {repository(ecr) for _ in range(3)}
    pages = list(ecr.get_paginator("describe_repositories").paginate(PaginationConfig={"PageSize": 2}))
    assert len(pages) > 1
    assert names <= {one["repositoryName"] for page in pages for one in page["repositories"]}
    refused(lambda: ecr.describe_repositories(nextToken="x"), "InvalidParameterException", "nextToken")


def test_other_accounts_and_regions_see_nothing(local_aws, ecr):
    name = repository(ecr)
    for other in (local_aws.client_of("210987654321", "ecr"), local_aws.client("ecr", region_name="eu-west-1")):
        refused(lambda other=other: other.list_images(repositoryName=name), "RepositoryNotFoundException", name)
    refused(
        lambda: ecr.list_images(repositoryName=name, registryId="210987654321"),
        "AccessDeniedException",
        f"arn:aws:ecr:us-west-2:210987654321:repository/{name}",
    )
