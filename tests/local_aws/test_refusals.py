"""What a pipeline relies on AWS to refuse: the same code and text here, case by case."""

import json
from fnmatch import fnmatchcase
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from tests.local_aws.refusals import MINISTACK, new_bucket, outcome
from tests.local_aws.refused_requests import REFUSED_REQUESTS
from tests.local_aws.refused_templates import REFUSED_TEMPLATES
from tests.local_aws.sagemaker_cases import BUCKET, training_request, unique, upload
from tests.local_aws.signing import signed

pytestmark = pytest.mark.local_aws


def matches(answer, wanted):
    """Compare, with * for any text in what is wanted; brackets are plain characters."""
    return fnmatchcase(answer, wanted.replace("[", "[[]"))


@pytest.mark.parametrize("case", [*MINISTACK, *REFUSED_TEMPLATES, *REFUSED_REQUESTS], ids=lambda case: case.name)
def test_a_request_is_answered_as_aws_answers_it(local_aws, case):
    answer = case.ask(local_aws)
    assert matches(answer, case.answer), f"{answer!r} instead of {case.answer!r}: {case.page}"


@pytest.fixture(scope="module")
def prefix(local_aws):
    """Training data below a prefix."""
    name = unique("refusals")
    upload(local_aws, name)
    return name


def times(**condition):
    return {"StoppingCondition": {"MaxRuntimeInSeconds": 60, **condition}}


# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateTrainingJob.html and the pages of its members
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"Tags": [{"Key": "aws:x", "Value": "1"}]}, "aws: prefixed tag key names"),
        ({"EnableManagedSpotTraining": True}, "Invalid MaxWaitTimeInSeconds. It must be present"),
        ({"EnableManagedSpotTraining": True, **times(MaxWaitTimeInSeconds=59)}, "Invalid MaxWaitTimeInSeconds."),
        (times(MaxWaitTimeInSeconds=60), "MaxWaitTimeInSeconds can be set only when EnableManagedSpotTraining"),
        (times(MaxRuntimeInSeconds=28 * 86400 + 1), "less than or equal to 2419200"),
    ],
    ids=["a tag of AWS's own", "spot without a wait", "a wait that is too short", "a wait without spot", "29 days"],
)
def test_a_training_job_is_refused_before_anything_starts(local_aws, prefix, changes, said):
    name = unique("refused")
    sagemaker = local_aws.client("sagemaker")
    refusal = outcome(lambda: sagemaker.create_training_job(**training_request(name, prefix, **changes)))
    assert refusal.startswith("ValidationException: "), refusal
    assert said in refusal
    assert "ValidationException" in outcome(lambda: sagemaker.describe_training_job(TrainingJobName=name))


def test_an_image_and_an_algorithm_exclude_each_other(local_aws, prefix):
    request = training_request(unique("both"), prefix)
    request["AlgorithmSpecification"]["AlgorithmName"] = "mine"
    refusal = outcome(lambda: local_aws.client("sagemaker").create_training_job(**request))
    assert refusal.startswith("ValidationException: Cannot specify both"), refusal


def test_two_channels_have_two_names(local_aws, prefix):
    request = training_request(unique("channels"), prefix)
    request["InputDataConfig"] = [request["InputDataConfig"][0]] * 2
    refusal = outcome(lambda: local_aws.client("sagemaker").create_training_job(**request))
    assert refusal.startswith("ValidationException: Duplicate channel names"), refusal


def test_a_version_of_a_package_has_the_tags_of_its_group(local_aws):
    """https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateModelPackage.html"""
    sagemaker, group, tags = local_aws.client("sagemaker"), unique("group"), [{"Key": "a", "Value": "b"}]
    sagemaker.create_model_package_group(ModelPackageGroupName=group, Tags=tags)
    refusal = outcome(lambda: sagemaker.create_model_package(ModelPackageGroupName=group, Tags=tags))
    assert refusal.startswith("ValidationException: Tags are not supported on a versioned model package"), refusal
    version = sagemaker.create_model_package(ModelPackageGroupName=group)["ModelPackageArn"]
    assert version.endswith("/1")
    assert outcome(lambda: sagemaker.add_tags(ResourceArn=version, Tags=tags)).startswith("ValidationException")


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"TargetModel": "model.tar.gz"}, "TargetModel is for a multi-model endpoint"),
        ({"TargetContainerHostname": "second"}, "TargetContainerHostname is for a multi-container endpoint"),
        ({"InferenceComponentName": "component"}, "InferenceComponentName is for"),
        ({"CustomAttributes": "a" * 1025}, "length less than or equal to 1024"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_an_ordinary_endpoint_refuses_what_others_take(local_aws, parameters, said):
    runtime = local_aws.client("sagemaker-runtime")
    refusal = outcome(lambda: runtime.invoke_endpoint(EndpointName="any", Body=b"1", **parameters))
    assert refusal.startswith("ValidationError: "), refusal
    assert said in refusal


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


def test_each_unknown_path_of_the_runtime_is_named(local_aws):
    for path, operation in (("nope", "nope"), ("invocations/x", "x"), ("async-invocations", "InvokeEndpointAsync")):
        url = f"{local_aws.endpoint_url}/endpoints/any/{path}"
        headers = signed("POST", url, "sagemaker", b"1")
        with pytest.raises(HTTPError) as refused:
            urlopen(Request(url, b"1", headers), timeout=10)  # noqa: S310 (of the local AWS)
        answer = json.loads(refused.value.read())
        assert answer["__type"] == "UnknownOperationException"
        assert f"The operation {operation} " in answer["message"]


def test_a_bucket_of_another_region_is_elsewhere(local_aws):
    """https://docs.aws.amazon.com/AmazonS3/latest/API/Redirects.html; boto3 follows by itself."""
    bucket = new_bucket(local_aws)
    elsewhere = local_aws.client("s3", region_name="eu-west-1")
    assert elsewhere.head_bucket(Bucket=bucket)["BucketRegion"] == "us-west-2"
    outcomes = {(call["region"], call["status"]) for call in local_aws.ledger(operation="HeadBucket")}
    assert ("us-west-2", 200) in outcomes
    assert {status for region, status in outcomes if region == "eu-west-1"} <= {301, 400}
