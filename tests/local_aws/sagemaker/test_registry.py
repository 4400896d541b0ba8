"""The Model Registry through boto3 and through CloudFormation."""

import pytest
from botocore.exceptions import ClientError

pytestmark = pytest.mark.local_aws

IMAGE = "246618743249.dkr.ecr.us-west-2.amazonaws.com/sagemaker-xgboost:1.7-1"
SPECIFICATION = {
    "Containers": [{"Image": IMAGE, "ModelDataUrl": "s3://bucket/model.tar.gz"}],
    "SupportedContentTypes": ["text/csv"],
    "SupportedResponseMIMETypes": ["text/csv"],
}


@pytest.fixture
def group(sagemaker, request):
    name = request.node.name.replace("_", "-")[:60].rstrip("-")
    sagemaker.create_model_package_group(ModelPackageGroupName=name, ModelPackageGroupDescription="a group")
    return name


def error_of(call, **parameters):
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


def test_group_is_described_and_listed(sagemaker, group):
    described = sagemaker.describe_model_package_group(ModelPackageGroupName=group)
    arn = f"arn:aws:sagemaker:us-west-2:123456789012:model-package-group/{group}"
    assert described["ModelPackageGroupArn"] == arn
    assert described["ModelPackageGroupDescription"] == "a group"
    assert described["ModelPackageGroupStatus"] == "Completed"
    assert "CreatedBy" in described
    assert sagemaker.describe_model_package_group(ModelPackageGroupName=arn)["ModelPackageGroupName"] == group
    listed = sagemaker.list_model_package_groups(NameContains=group)["ModelPackageGroupSummaryList"]
    assert [one["ModelPackageGroupArn"] for one in listed] == [arn]


def test_group_name_is_unique(sagemaker, group):
    code, message = error_of(sagemaker.create_model_package_group, ModelPackageGroupName=group)
    assert code == "ValidationException"
    assert message.startswith("Model Package Group already exists: arn:aws:sagemaker:")


def test_missing_group_and_package(sagemaker):
    code, message = error_of(sagemaker.describe_model_package_group, ModelPackageGroupName="nothing")
    assert (code, message.endswith("model-package-group/nothing does not exist.")) == ("ValidationException", True)
    code, message = error_of(sagemaker.describe_model_package, ModelPackageName="nothing")
    assert (code, message.endswith("model-package/nothing does not exist.")) == ("ValidationException", True)


def test_versions_count_up_and_numbers_are_not_given_again(sagemaker, group):
    arns = [sagemaker.create_model_package(ModelPackageGroupName=group)["ModelPackageArn"] for _ in range(3)]
    assert [arn.rpartition("/")[2] for arn in arns] == ["1", "2", "3"]
    sagemaker.delete_model_package(ModelPackageName=arns[2])
    assert sagemaker.create_model_package(ModelPackageGroupName=group)["ModelPackageArn"].endswith("/4")


def test_package_keeps_what_it_was_registered_with(sagemaker, group):
    metrics = {"ModelQuality": {"Statistics": {"ContentType": "application/json", "S3Uri": "s3://bucket/m.json"}}}
    arn = sagemaker.create_model_package(
        ModelPackageGroupName=group,
        ModelPackageDescription="a version",
        InferenceSpecification=SPECIFICATION,
        ModelMetrics=metrics,
        CustomerMetadataProperties={"slipway-digest": "abc"},
    )["ModelPackageArn"]
    described = sagemaker.describe_model_package(ModelPackageName=arn)
    assert described["ModelPackageGroupName"] == group
    assert described["ModelPackageVersion"] == 1
    assert described["ModelPackageStatus"] == "Completed"
    assert described["ModelApprovalStatus"] == "PendingManualApproval"
    assert described["InferenceSpecification"] == SPECIFICATION
    assert described["ModelMetrics"] == metrics
    assert described["CustomerMetadataProperties"] == {"slipway-digest": "abc"}
    assert "LastModifiedTime" not in described


def test_decision_is_recorded(sagemaker, group):
    arn = sagemaker.create_model_package(
        ModelPackageGroupName=group, CustomerMetadataProperties={"kept": "1", "dropped": "2"}
    )["ModelPackageArn"]
    sagemaker.update_model_package(
        ModelPackageArn=arn,
        ModelApprovalStatus="Approved",
        ApprovalDescription="looks good",
        CustomerMetadataProperties={"slipway-decided-by": "alice"},
        CustomerMetadataPropertiesToRemove=["dropped"],
    )
    described = sagemaker.describe_model_package(ModelPackageName=arn)
    assert described["ModelApprovalStatus"] == "Approved"
    assert described["ApprovalDescription"] == "looks good"
    assert described["CustomerMetadataProperties"] == {"kept": "1", "slipway-decided-by": "alice"}
    assert described["LastModifiedBy"]["IamIdentity"]["Arn"].startswith("arn:aws:iam::123456789012:")
    assert described["LastModifiedTime"] >= described["CreationTime"]


def test_update_of_a_missing_package(sagemaker):
    arn = "arn:aws:sagemaker:us-west-2:123456789012:model-package/nothing/7"
    code, message = error_of(sagemaker.update_model_package, ModelPackageArn=arn, ModelApprovalStatus="Approved")
    assert (code, message) == ("ValidationException", f"ModelPackage {arn} does not exist.")


def test_status_must_be_one_of_the_known(sagemaker, group):
    code, message = error_of(sagemaker.create_model_package, ModelPackageGroupName=group, ModelApprovalStatus="Perhaps")
    assert code == "ValidationException"
    assert message == (
        "1 validation error detected: Value 'Perhaps' at 'modelApprovalStatus' failed to satisfy constraint: "
        "Member must satisfy enum value set: [Approved, Rejected, PendingManualApproval]"
    )


def test_list_filters_sorts_and_pages(sagemaker, group):
    arns = [
        sagemaker.create_model_package(ModelPackageGroupName=group, ModelApprovalStatus=status)["ModelPackageArn"]
        for status in ("Approved", "Rejected", "Approved", "Approved")
    ]
    approved = [arns[0], arns[2], arns[3]]
    pages = sagemaker.get_paginator("list_model_packages").paginate(
        ModelPackageGroupName=group, ModelApprovalStatus="Approved", SortOrder="Ascending", MaxResults=2
    )
    lists = [page["ModelPackageSummaryList"] for page in pages]
    assert [len(one) for one in lists] == [2, 1]
    assert [package["ModelPackageArn"] for one in lists for package in one] == approved
    oldest = sagemaker.list_model_packages(ModelPackageGroupName=group)["ModelPackageSummaryList"]
    assert [package["ModelPackageArn"] for package in oldest] == arns
    assert sagemaker.list_model_packages(NameContains=group)["ModelPackageSummaryList"] == []


def test_bad_page_token(sagemaker):
    assert error_of(sagemaker.list_model_packages, NextToken="no")[0] == "ValidationException"


def test_client_token_makes_create_idempotent(sagemaker, group):
    arns = {
        sagemaker.create_model_package(ModelPackageGroupName=group, ClientToken="once")["ModelPackageArn"]
        for _ in range(2)
    }
    assert len(arns) == 1


def test_package_needs_one_name(sagemaker, group):
    assert error_of(sagemaker.create_model_package) == ("ValidationException", "Missing ARN.")
    _, message = error_of(sagemaker.create_model_package, ModelPackageGroupName=group, ModelPackageName="x")
    assert message.startswith("Both ModelPackageName and ModelPackageGroupName are provided in the input.")


def test_group_with_packages_is_not_deleted(sagemaker, group):
    arn = sagemaker.create_model_package(ModelPackageGroupName=group)["ModelPackageArn"]
    assert error_of(sagemaker.delete_model_package_group, ModelPackageGroupName=group)[0] == "ConflictException"
    sagemaker.delete_model_package(ModelPackageName=arn)
    sagemaker.delete_model_package_group(ModelPackageGroupName=group)
    assert error_of(sagemaker.describe_model_package_group, ModelPackageGroupName=group)[0] == "ValidationException"


def test_tags(sagemaker, group):
    arn = sagemaker.describe_model_package_group(ModelPackageGroupName=group)["ModelPackageGroupArn"]
    sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
    sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "a", "Value": "3"}])
    sagemaker.delete_tags(ResourceArn=arn, TagKeys=["b"])
    assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "a", "Value": "3"}]
    twice = [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}]
    assert error_of(sagemaker.add_tags, ResourceArn=arn, Tags=twice)[0] == "ValidationException"
    reserved = [{"Key": "aws:mine", "Value": "1"}]
    assert error_of(sagemaker.add_tags, ResourceArn=arn, Tags=reserved)[0] == "ValidationException"
    assert error_of(sagemaker.list_tags, ResourceArn=arn + "x")[0] == "ValidationException"


def template(**properties):
    resource = {"Type": "AWS::SageMaker::ModelPackageGroup", "Properties": properties}
    outputs = {"Ref": {"Value": {"Ref": "Group"}}, "Arn": {"Value": {"Fn::GetAtt": ["Group", "ModelPackageGroupArn"]}}}
    return {"Resources": {"Group": resource}, "Outputs": outputs}


def test_stack_makes_retags_replaces_and_deletes_a_group(local_aws, sagemaker):
    first = local_aws.deploy(
        "groups", template(ModelPackageGroupName="of-a-stack"), Tags=[{"Key": "owner", "Value": "x"}]
    )
    assert first["StackStatus"] == "CREATE_COMPLETE"
    arn = "arn:aws:sagemaker:us-west-2:123456789012:model-package-group/of-a-stack"
    assert {output["OutputKey"]: output["OutputValue"] for output in first["Outputs"]} == {"Ref": arn, "Arn": arn}
    tags = {tag["Key"]: tag["Value"] for tag in sagemaker.list_tags(ResourceArn=arn)["Tags"]}
    assert tags["owner"] == "x"
    assert tags["aws:cloudformation:stack-name"] == "groups"

    retagged = local_aws.deploy(
        "groups", template(ModelPackageGroupName="of-a-stack"), Tags=[{"Key": "owner", "Value": "y"}]
    )
    assert retagged["StackStatus"] == "UPDATE_COMPLETE"
    tags = {tag["Key"]: tag["Value"] for tag in sagemaker.list_tags(ResourceArn=arn)["Tags"]}
    assert tags["owner"] == "y"
    assert len(local_aws.ledger(operation="CreateModelPackageGroup", resource="of-a-stack")) == 1

    replaced = local_aws.deploy("groups", template(ModelPackageGroupName="of-a-stack-2"))
    assert replaced["StackStatus"] == "UPDATE_COMPLETE"
    steps = [
        (call["operation"], call["resource"])
        for call in local_aws.ledger(caller="cloudformation.amazonaws.com")
        if call["operation"] in ("CreateModelPackageGroup", "DeleteModelPackageGroup")
    ]
    assert steps[-2:] == [("CreateModelPackageGroup", "of-a-stack-2"), ("DeleteModelPackageGroup", arn)]

    local_aws.client("cloudformation").delete_stack(StackName=replaced["StackId"])
    assert local_aws.stack(replaced["StackId"])["StackStatus"] == "DELETE_COMPLETE"
    assert sagemaker.list_model_package_groups(NameContains="of-a-stack")["ModelPackageGroupSummaryList"] == []


def test_stack_does_not_replace_a_named_group(local_aws):
    local_aws.deploy("named", template(ModelPackageGroupName="named"))
    again = template(ModelPackageGroupName="named", ModelPackageGroupDescription="changed")
    assert local_aws.deploy("named", again)["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    events = local_aws.client("cloudformation").describe_stack_events(StackName="named")["StackEvents"]
    reasons = [event.get("ResourceStatusReason", "") for event in events]
    assert any("cannot update a stack when a custom-named resource requires replacing" in r for r in reasons)


def test_stack_rolls_back_when_the_name_is_taken(local_aws, group):
    failed = local_aws.deploy("taken", template(ModelPackageGroupName=group))
    assert failed["StackStatus"] == "ROLLBACK_COMPLETE"
    events = local_aws.client("cloudformation").describe_stack_events(StackName="taken")["StackEvents"]
    reasons = [event.get("ResourceStatusReason", "") for event in events if event["LogicalResourceId"] == "Group"]
    assert any(reason.startswith("Model Package Group already exists") for reason in reasons)


def test_stack_does_not_make_a_group_without_a_name(local_aws):
    """https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-sagemaker-modelpackagegroup.html"""
    assert local_aws.deploy("unnamed", template())["StackStatus"] == "ROLLBACK_COMPLETE"
