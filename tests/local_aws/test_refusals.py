"""What a pipeline relies on AWS to refuse: the same code and text here, case by case."""

from fnmatch import fnmatchcase

import pytest

from tests.local_aws.refusals import MINISTACK, new_bucket, outcome
from tests.local_aws.refused_calls import REFUSED_CALLS
from tests.local_aws.refused_requests import REFUSED_REQUESTS
from tests.local_aws.refused_templates import REFUSED_TEMPLATES
from tests.local_aws.sagemaker_cases import BUCKET, unique

pytestmark = pytest.mark.local_aws


def matches(answer, wanted):
    """Compare, with * for any text in what is wanted; brackets are plain characters."""
    return fnmatchcase(answer, wanted.replace("[", "[[]"))


@pytest.mark.parametrize(
    "case", [*MINISTACK, *REFUSED_TEMPLATES, *REFUSED_REQUESTS, *REFUSED_CALLS], ids=lambda case: case.name
)
def test_a_request_is_answered_as_aws_answers_it(local_aws, case):
    answer = case.ask(local_aws)
    assert matches(answer, case.answer), f"{answer!r} instead of {case.answer!r}: {case.page}"


def test_a_version_of_a_package_has_the_tags_of_its_group(local_aws):
    """https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateModelPackage.html"""
    sagemaker, group, tags = local_aws.client("sagemaker"), unique("group"), [{"Key": "a", "Value": "b"}]
    sagemaker.create_model_package_group(ModelPackageGroupName=group, Tags=tags)
    refusal = outcome(lambda: sagemaker.create_model_package(ModelPackageGroupName=group, Tags=tags))
    assert refusal.startswith("ValidationException: Tags are not supported on a versioned model package"), refusal
    version = sagemaker.create_model_package(ModelPackageGroupName=group)["ModelPackageArn"]
    assert version.endswith("/1")
    assert outcome(lambda: sagemaker.add_tags(ResourceArn=version, Tags=tags)).startswith("ValidationException")


def test_other_ways_of_invoking_are_unknown_by_name(local_aws):
    runtime = local_aws.client("sagemaker-runtime")
    by_reference = outcome(lambda: runtime.invoke_endpoint_async(EndpointName="any", InputLocation=f"s3://{BUCKET}/in"))
    streamed = outcome(lambda: runtime.invoke_endpoint_with_response_stream(EndpointName="any", Body=b"not JSON"))
    assert by_reference.startswith("UnknownOperationException: The operation InvokeEndpointAsync")
    assert streamed.startswith("UnknownOperationException: The operation InvokeEndpointWithResponseStream")
    operations = {call["operation"] for call in local_aws.ledger(service="sagemaker-runtime", resource="any")}
    assert {"InvokeEndpointAsync", "InvokeEndpointWithResponseStream"} <= operations


LISTS = (
    ("list_training_jobs", "TrainingJobSummaries", "Ascending"),
    ("list_models", "Models", "Descending"),
    ("list_endpoints", "Endpoints", "Descending"),
    ("list_endpoint_configs", "EndpointConfigs", "Descending"),
    ("list_model_package_groups", "ModelPackageGroupSummaryList", "Ascending"),
    ("list_model_packages", "ModelPackageSummaryList", "Ascending"),
)


@pytest.mark.parametrize(("operation", "member", "order"), LISTS, ids=[one[0] for one in LISTS])
def test_a_list_has_the_order_of_its_page_and_its_own_tokens(local_aws, operation, member, order):
    """https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_Operations.html: SortOrder of each List."""
    sagemaker = local_aws.client("sagemaker")
    made = {"ModelPackageGroupName": unique("listed")} if operation == "list_model_packages" else {}
    if made:
        sagemaker.create_model_package_group(**made)
        for _ in range(2):
            sagemaker.create_model_package(**made)
    elif operation == "list_model_package_groups":
        for _ in range(2):
            sagemaker.create_model_package_group(ModelPackageGroupName=unique("listed"))
    ask = getattr(sagemaker, operation)
    assert ask(**made)[member] == ask(**made, SortBy="CreationTime", SortOrder=order)[member]
    # Garbage, and JSON that another List could have made.
    for token in ("garbage", "WzFd", "WyJ4IiwgInkiXQ=="):
        refusal = outcome(lambda token=token: ask(**made, NextToken=token))
        assert refusal == "ValidationException: Invalid pagination token.", refusal


def test_a_bucket_of_another_region_is_elsewhere(local_aws):
    """https://docs.aws.amazon.com/AmazonS3/latest/API/Redirects.html; boto3 follows by itself."""
    bucket = new_bucket(local_aws)
    elsewhere = local_aws.client("s3", region_name="eu-west-1")
    assert elsewhere.head_bucket(Bucket=bucket)["BucketRegion"] == "us-west-2"
    outcomes = {(call["region"], call["status"]) for call in local_aws.ledger(operation="HeadBucket")}
    assert ("us-west-2", 200) in outcomes
    assert {status for region, status in outcomes if region == "eu-west-1"} <= {301, 400}
