"""Search, over what is here.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_Search.html
"""

import pytest

from tests.local_aws.sagemaker_cases import model_data, refused, unique

pytestmark = pytest.mark.local_aws
JOB = "shared-model-0"


@pytest.fixture(scope="module")
def search(local_aws):
    """A function that searches and returns the names of the jobs that were found."""
    model_data(local_aws)

    def search(*filters, **more):
        expression = {"Filters": [dict(zip(("Name", "Operator", "Value"), one, strict=False)) for one in filters]}
        found = local_aws.client("sagemaker").search(Resource="TrainingJob", SearchExpression=expression, **more)
        return [one["TrainingJob"]["TrainingJobName"] for one in found["Results"]]

    return search


@pytest.mark.parametrize(
    "one",
    [
        ("TrainingJobName", "Equals", JOB),
        ("HyperParameters.num_round", "LessThan", "6"),
        ("HyperParameters.objective", "In", "a, multi:softmax"),
        ("InputDataConfig.DataSource.S3DataSource.S3Uri", "Contains", "shared-0/input/train"),
        ("Metrics.validation:merror", "LessThanOrEqualTo", "0.2"),
        ("CreationTime", "GreaterThan", "2020-01-01T00:00:00Z"),
        ("FailureReason", "NotExists"),
        ("TrainingJobStatus", "NotEquals", "Failed"),
    ],
)
def test_a_job_is_found_by_its_properties(search, one):
    assert search(one, ("TrainingJobName", "Equals", JOB)) == [JOB]


@pytest.mark.parametrize(
    "one",
    [
        ("HyperParameters.num_round", "GreaterThan", "5"),
        ("Tags.team", "Exists"),
        ("TrainingJobStatus", "Equals", "Failed"),
        ("FailureReason", "Exists"),
    ],
)
def test_a_job_without_the_property_is_not_found(search, one):
    assert search(one, ("TrainingJobName", "Equals", JOB)) == []


def test_expressions_are_combined(local_aws, search):
    sagemaker = local_aws.client("sagemaker")
    either = {
        "Operator": "Or",
        "Filters": [{"Name": "TrainingJobName", "Operator": "Equals", "Value": unique("none")}],
        "SubExpressions": [{"Filters": [{"Name": "TrainingJobName", "Operator": "Equals", "Value": JOB}]}],
    }
    found = sagemaker.search(Resource="TrainingJob", SearchExpression=either)
    assert [one["TrainingJob"]["TrainingJobName"] for one in found["Results"]] == [JOB]
    assert found["TotalHits"] == {"Value": 1, "Relation": "EqualTo"}


def test_what_the_sdk_asks_before_it_registers_a_model(local_aws):
    """sagemaker.core.model_registry searches the group, and makes it when there is none."""
    sagemaker, name = local_aws.client("sagemaker"), unique("group")
    by_name = {"Filters": [{"Name": "ModelPackageGroupName", "Value": name, "Operator": "Equals"}]}
    assert sagemaker.search(Resource="ModelPackageGroup", SearchExpression=by_name)["Results"] == []
    tags = [{"Key": "team", "Value": "iris"}]
    sagemaker.create_model_package_group(ModelPackageGroupName=name, Tags=tags)
    by_tag = {"Filters": [*by_name["Filters"], {"Name": "Tags.team", "Operator": "Equals", "Value": "iris"}]}
    (found,) = sagemaker.search(Resource="ModelPackageGroup", SearchExpression=by_tag)["Results"]
    assert found["ModelPackageGroup"]["ModelPackageGroupName"] == name
    assert found["ModelPackageGroup"]["Tags"] == tags


def test_what_is_not_here_is_said(local_aws):
    sagemaker = local_aws.client("sagemaker")
    refused(
        lambda: sagemaker.search(Resource="ExperimentTrialComponent"),
        "ValidationException",
        "It has no ExperimentTrialComponent.",
    )
    nested = [{"NestedPropertyName": "InputDataConfig", "Filters": [{"Name": "x", "Value": "y"}]}]
    refused(
        lambda: sagemaker.search(Resource="TrainingJob", SearchExpression={"NestedFilters": nested}),
        "ValidationException",
        "The local AWS offers no NestedFilters.",
    )
