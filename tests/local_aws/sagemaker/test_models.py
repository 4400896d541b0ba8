"""Create, Describe, List and Delete of models and endpoint configurations."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.local_aws.sagemaker_cases import (
    BUCKET,
    IMAGE,
    ROLE,
    ROWS,
    create_config,
    create_model,
    model_data,
    predict,
    refused,
    unique,
    upload,
    variant,
    wait_for_endpoint,
)

pytestmark = pytest.mark.local_aws
ARN = "arn:aws:sagemaker:us-west-2:123456789012:"
MISSING_IMAGE = "123456789012.dkr.ecr.us-west-2.amazonaws.com/nothing:1"


@pytest.fixture(scope="module")
def url(local_aws):
    return model_data(local_aws)


@pytest.fixture
def model(local_aws, url):
    return create_model(local_aws, url)


# --- models ----------------------------------------------------------------------------------------------------------


def test_model_is_described_as_created(sagemaker, url):
    name = unique("Model")
    container = {"Image": IMAGE, "ModelDataUrl": url, "Environment": {"LEVEL": "1"}}
    tags = [{"Key": "team", "Value": "iris"}]
    arn = sagemaker.create_model(ModelName=name, PrimaryContainer=container, ExecutionRoleArn=ROLE, Tags=tags)[
        "ModelArn"
    ]
    assert arn == f"{ARN}model/{name.lower()}"
    model = sagemaker.describe_model(ModelName=name)
    assert model["ModelName"] == name
    assert model["PrimaryContainer"] == container
    assert (model["ExecutionRoleArn"], model["EnableNetworkIsolation"]) == (ROLE, False)
    assert datetime.now(UTC) - model["CreationTime"] < timedelta(hours=1)
    assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == tags


def test_deleted_model_is_gone_with_its_tags(sagemaker, model):
    arn = sagemaker.describe_model(ModelName=model)["ModelArn"]
    sagemaker.delete_model(ModelName=model)
    for call in (sagemaker.describe_model, sagemaker.delete_model):
        refused(lambda call=call: call(ModelName=model), "ValidationException", f'Could not find model "{arn}".')
    refused(lambda: sagemaker.list_tags(ResourceArn=arn), "ValidationException", arn)


def test_model_name_is_taken_in_any_case(sagemaker, model):
    refused(
        lambda: sagemaker.create_model(
            ModelName=model.upper(), PrimaryContainer={"Image": IMAGE}, ExecutionRoleArn=ROLE
        ),
        "ValidationException",
        f'Cannot create already existing model "{ARN}model/{model}".',
    )


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"ModelName": "-bad"}, "at 'modelName' failed to satisfy constraint: Member must satisfy regular expression"),
        ({"ModelName": "m" * 64}, "Member must have length less than or equal to 63"),
        ({"ExecutionRoleArn": "arn:aws:iam::12:role/too-short-id"}, "at 'executionRoleArn' failed to satisfy"),
        ({"PrimaryContainer": {}}, "Specify one of either Image and Model Data URL or ModelPackageName"),
        (
            {"PrimaryContainer": {"Image": IMAGE, "ModelPackageName": "iris"}},
            "Specify one of either Image and Model Data URL or ModelPackageName in container definition.",
        ),
        ({"Containers": [{"Image": IMAGE}]}, "Specify one of either PrimaryContainer or Containers"),
        (
            {"PrimaryContainer": {"Image": IMAGE, "ModelDataUrl": f"s3://{BUCKET}/nothing/model.tar.gz"}},
            f"Could not find model data at s3://{BUCKET}/nothing/model.tar.gz.",
        ),
        (
            {"PrimaryContainer": {"Image": IMAGE, "ModelDataUrl": "s3://no-such-bucket-anywhere/model.tar.gz"}},
            "Could not find model data at s3://no-such-bucket-anywhere/model.tar.gz.",
        ),
        ({"PrimaryContainer": {"Image": MISSING_IMAGE}}, f"Requested image {MISSING_IMAGE} not found."),
        ({"Tags": [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}]}, "Duplicate tag keys"),
        ({"PrimaryContainer": {"Image": IMAGE, "Mode": "MultiModel"}}, "offers no MultiModel"),
    ],
)
def test_refused_model(local_aws, sagemaker, changes, text):
    upload(local_aws, "models")
    request = {"ModelName": unique("refused"), "PrimaryContainer": {"Image": IMAGE}, "ExecutionRoleArn": ROLE} | changes
    refused(lambda: sagemaker.create_model(**request), "ValidationException", text)


def test_models_are_listed(sagemaker, url):
    group = unique("listed")
    names = [f"{group}-{letter}" for letter in "abc"]
    for name in names:
        sagemaker.create_model(ModelName=name, PrimaryContainer={"Image": IMAGE}, ExecutionRoleArn=ROLE)

    def listed(**parameters):
        pages = sagemaker.get_paginator("list_models").paginate(NameContains=group, **parameters)
        return [model["ModelName"] for page in pages for model in page["Models"]]

    assert listed() == names[::-1]
    assert listed(SortBy="Name", SortOrder="Ascending", MaxResults=1) == names
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    assert listed(CreationTimeBefore=tomorrow, MaxResults=2) == names[::-1]
    assert listed(CreationTimeAfter=tomorrow) == []


def test_model_of_a_model_package(local_aws, sagemaker, url):
    group = unique("group")
    sagemaker.create_model_package_group(ModelPackageGroupName=group)
    package = sagemaker.create_model_package(
        ModelPackageGroupName=group,
        ModelApprovalStatus="PendingManualApproval",
        InferenceSpecification={
            "Containers": [{"Image": IMAGE, "ModelDataUrl": url}],
            "SupportedContentTypes": ["text/csv"],
            "SupportedResponseMIMETypes": ["text/csv"],
        },
    )["ModelPackageArn"]
    name = unique("model")
    request = {"ModelName": name, "PrimaryContainer": {"ModelPackageName": package}, "ExecutionRoleArn": ROLE}
    refused(lambda: sagemaker.create_model(**request), "ValidationException", "PendingManualApproval")
    sagemaker.update_model_package(ModelPackageArn=package, ModelApprovalStatus="Approved")
    sagemaker.create_model(**request)
    assert sagemaker.describe_model(ModelName=name)["PrimaryContainer"] == {"ModelPackageName": package}
    endpoint = unique("packaged")
    sagemaker.create_endpoint(EndpointName=endpoint, EndpointConfigName=create_config(local_aws, variant(name)))
    assert wait_for_endpoint(local_aws, endpoint)["EndpointStatus"] == "InService"
    assert predict(local_aws, endpoint, ROWS[2])[0] == 2
    sagemaker.delete_endpoint(EndpointName=endpoint)


def test_other_accounts_and_regions_see_nothing(local_aws, model):
    others = local_aws.client_of("210987654321", "sagemaker"), local_aws.client("sagemaker", region_name="eu-west-1")
    for other in others:
        refused(
            lambda other=other: other.describe_model(ModelName=model), "ValidationException", "Could not find model"
        )
        assert other.list_models()["Models"] == []


# --- endpoint configurations -----------------------------------------------------------------------------------------


def test_endpoint_config_is_described_as_created(sagemaker, model):
    name = unique("config")
    variants = [
        variant(model, "model-a", InitialVariantWeight=0.75),
        variant(model, "model-b", InitialInstanceCount=2),
    ]
    capture = {
        "EnableCapture": True,
        "InitialSamplingPercentage": 100,
        "DestinationS3Uri": f"s3://{BUCKET}/monitoring/dev",
        "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
    }
    arn = sagemaker.create_endpoint_config(
        EndpointConfigName=name, ProductionVariants=variants, DataCaptureConfig=capture
    )["EndpointConfigArn"]
    assert arn == f"{ARN}endpoint-config/{name}"
    config = sagemaker.describe_endpoint_config(EndpointConfigName=name)
    assert config["EndpointConfigName"] == name
    assert config["ProductionVariants"] == [variants[0], variants[1] | {"InitialVariantWeight": 1.0}]
    assert config["DataCaptureConfig"] == capture
    assert datetime.now(UTC) - config["CreationTime"] < timedelta(hours=1)


def test_deleted_endpoint_config_is_gone(local_aws, sagemaker, model):
    name = create_config(local_aws, variant(model))
    sagemaker.delete_endpoint_config(EndpointConfigName=name)
    for call in (sagemaker.describe_endpoint_config, sagemaker.delete_endpoint_config):
        refused(
            lambda call=call: call(EndpointConfigName=name),
            "ValidationException",
            f'Could not find endpoint configuration "{ARN}endpoint-config/{name}".',
        )


def test_endpoint_config_of_a_missing_model(sagemaker):
    refused(
        lambda: sagemaker.create_endpoint_config(
            EndpointConfigName=unique("config"), ProductionVariants=[variant("nobody")]
        ),
        "ValidationException",
        f'Could not find model "{ARN}model/nobody".',
    )


def test_endpoint_config_name_is_taken(local_aws, sagemaker, model):
    name = create_config(local_aws, variant(model))
    refused(
        lambda: sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant(model)]),
        "ValidationException",
        f'Cannot create already existing endpoint configuration "{ARN}endpoint-config/{name}".',
    )


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"InstanceType": "local"}, "at 'productionVariants.1.member.instanceType' failed to satisfy constraint"),
        ({"VariantName": "no_underscores"}, "at 'productionVariants.1.member.variantName' failed to satisfy"),
        ({"InitialVariantWeight": 0.0}, "greater than 0"),
        ({"ServerlessConfig": {"MemorySizeInMB": 1024, "MaxConcurrency": 1}}, "offers no ServerlessConfig"),
    ],
)
def test_refused_variant(sagemaker, model, changes, text):
    refused(
        lambda: sagemaker.create_endpoint_config(
            EndpointConfigName=unique("config"), ProductionVariants=[variant(model) | changes]
        ),
        "ValidationException",
        text,
    )


@pytest.mark.parametrize("member", ["ModelName", "InstanceType", "InitialInstanceCount"])
def test_incomplete_variant(sagemaker, model, member):
    incomplete = {name: value for name, value in variant(model).items() if name != member}
    refused(
        lambda: sagemaker.create_endpoint_config(EndpointConfigName=unique("config"), ProductionVariants=[incomplete]),
        "ValidationException",
        f"{member} must be specified",
    )


def test_variant_named_twice(sagemaker, model):
    refused(
        lambda: sagemaker.create_endpoint_config(
            EndpointConfigName=unique("config"), ProductionVariants=[variant(model), variant(model)]
        ),
        "ValidationException",
        "Duplicate variant names",
    )


def test_endpoint_configs_are_listed(sagemaker, model):
    group = unique("listed")
    names = [f"{group}-{letter}" for letter in "abc"]
    for name in names:
        sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant(model)])

    def listed(**parameters):
        pages = sagemaker.get_paginator("list_endpoint_configs").paginate(NameContains=group, **parameters)
        return [config["EndpointConfigName"] for page in pages for config in page["EndpointConfigs"]]

    assert listed() == names[::-1]
    assert listed(SortBy="Name", SortOrder="Ascending", MaxResults=1) == names
    assert listed(CreationTimeAfter=datetime.now(UTC) + timedelta(days=1)) == []
