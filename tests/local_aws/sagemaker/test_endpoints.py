"""Endpoints: create, update, weights, delete, and what is refused during them, with real model servers."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.local_aws.sagemaker_cases import (
    BUCKET,
    IMAGE,
    ROWS,
    broken_model_data,
    create_config,
    create_model,
    model_data,
    predict,
    refused,
    unique,
    variant,
    wait_for_endpoint,
)

pytestmark = pytest.mark.local_aws
ARN = "arn:aws:sagemaker:us-west-2:123456789012:"


@pytest.fixture(scope="module")
def model(local_aws):
    """A model that answers the class of a row."""
    return create_model(local_aws, model_data(local_aws))


@pytest.fixture(scope="module")
def shifted_model(local_aws):
    """A model that answers the class after that."""
    return create_model(local_aws, model_data(local_aws, label_shift=1))


@pytest.fixture(scope="module")
def broken_model(local_aws):
    return create_model(local_aws, broken_model_data(local_aws))


@pytest.fixture
def endpoint(local_aws, sagemaker, model):
    """An endpoint in service with one variant."""
    name = unique("Endpoint")
    config = create_config(local_aws, variant(model))
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config)
    assert wait_for_endpoint(local_aws, name)["EndpointStatus"] == "InService"
    yield name
    wait_for_endpoint(local_aws, name)
    sagemaker.delete_endpoint(EndpointName=name)


def test_endpoint_is_created_described_and_deleted(local_aws, sagemaker, model):
    name = unique("Life")
    capture = {
        "EnableCapture": True,
        "InitialSamplingPercentage": 50,
        "DestinationS3Uri": f"s3://{BUCKET}/monitoring/dev",
        "CaptureOptions": [{"CaptureMode": "Input"}],
    }
    config = create_config(local_aws, variant(model, InitialVariantWeight=0.5), DataCaptureConfig=capture)
    tags = [{"Key": "team", "Value": "iris"}]
    arn = sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config, Tags=tags)["EndpointArn"]
    assert arn == f"{ARN}endpoint/{name.lower()}"
    creating = sagemaker.describe_endpoint(EndpointName=name)
    assert creating["EndpointStatus"] == "Creating"
    assert "ProductionVariants" not in creating
    assert creating["PendingDeploymentSummary"]["EndpointConfigName"] == config
    for call in (sagemaker.update_endpoint, sagemaker.delete_endpoint):
        parameters = {"EndpointConfigName": config} if call == sagemaker.update_endpoint else {}
        refused(
            lambda call=call, parameters=parameters: call(EndpointName=name, **parameters),
            "ValidationException",
            f'Cannot update in-progress endpoint "{arn}".',
        )
    live = wait_for_endpoint(local_aws, name)
    assert (live["EndpointStatus"], live["EndpointConfigName"], live["EndpointArn"]) == ("InService", config, arn)
    assert "PendingDeploymentSummary" not in live
    assert "FailureReason" not in live
    (summary,) = live["ProductionVariants"]
    assert {m: summary[m] for m in summary if m != "DeployedImages"} == {
        "VariantName": "model-a",
        "CurrentWeight": 0.5,
        "DesiredWeight": 0.5,
        "CurrentInstanceCount": 1,
        "DesiredInstanceCount": 1,
    }
    assert summary["DeployedImages"][0]["SpecifiedImage"] == IMAGE
    assert live["DataCaptureConfig"]["CurrentSamplingPercentage"] == 50
    assert live["CreationTime"] <= live["LastModifiedTime"]
    assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == tags
    assert [predict(local_aws, name, row)[0] for row in ROWS.values()] == list(ROWS)

    sagemaker.delete_endpoint(EndpointName=name)
    with pytest.raises(sagemaker.exceptions.ClientError, match="Could not find endpoint"):
        wait_for_endpoint(local_aws, name)
    refused(lambda: sagemaker.list_tags(ResourceArn=arn), "ValidationException", arn)


def test_update_serves_the_new_model(local_aws, sagemaker, endpoint, shifted_model):
    before = sagemaker.describe_endpoint(EndpointName=endpoint)
    config = create_config(local_aws, variant(shifted_model))
    assert predict(local_aws, endpoint)[0] == 0
    answer = sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=config)
    assert answer["EndpointArn"] == before["EndpointArn"]
    updating = sagemaker.describe_endpoint(EndpointName=endpoint)
    assert updating["EndpointStatus"] == "Updating"
    assert updating["EndpointConfigName"] == before["EndpointConfigName"]
    assert updating["PendingDeploymentSummary"]["EndpointConfigName"] == config
    assert updating["ProductionVariants"] == before["ProductionVariants"]
    live = wait_for_endpoint(local_aws, endpoint)
    assert (live["EndpointStatus"], live["EndpointConfigName"]) == ("InService", config)
    assert live["LastModifiedTime"] > before["LastModifiedTime"]
    assert predict(local_aws, endpoint)[0] == 1


def test_failed_update_leaves_the_old_model_serving(local_aws, sagemaker, endpoint, broken_model, shifted_model):
    before = sagemaker.describe_endpoint(EndpointName=endpoint)
    sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=create_config(local_aws, variant(broken_model)))
    after = wait_for_endpoint(local_aws, endpoint)
    assert (after["EndpointStatus"], after["EndpointConfigName"]) == ("InService", before["EndpointConfigName"])
    assert after["ProductionVariants"] == before["ProductionVariants"]
    assert "model-a" in after["FailureReason"]
    assert predict(local_aws, endpoint)[0] == 0
    # The next successful update clears the reason.
    sagemaker.update_endpoint(
        EndpointName=endpoint, EndpointConfigName=create_config(local_aws, variant(shifted_model))
    )
    assert "FailureReason" not in wait_for_endpoint(local_aws, endpoint)


def test_endpoint_whose_model_crashes_fails_and_can_only_be_deleted(local_aws, sagemaker, broken_model, model):
    name = unique("broken")
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=create_config(local_aws, variant(broken_model)))
    endpoint = wait_for_endpoint(local_aws, name)
    assert endpoint["EndpointStatus"] == "Failed"
    assert "model-a" in endpoint["FailureReason"]
    other = create_config(local_aws, variant(model))
    refused(
        lambda: sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=other),
        "ValidationException",
        "Cannot update failed endpoint",
    )
    sagemaker.delete_endpoint(EndpointName=name)


def test_endpoint_outlives_its_config_and_model(local_aws, sagemaker, shifted_model):
    name, own_model = unique("orphan"), create_model(local_aws, model_data(local_aws))
    config = create_config(local_aws, variant(own_model))
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config)
    wait_for_endpoint(local_aws, name)
    sagemaker.delete_endpoint_config(EndpointConfigName=config)
    sagemaker.delete_model(ModelName=own_model)
    assert predict(local_aws, name)[0] == 0
    sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=create_config(local_aws, variant(shifted_model)))
    assert wait_for_endpoint(local_aws, name)["EndpointStatus"] == "InService"
    assert predict(local_aws, name)[0] == 1
    sagemaker.delete_endpoint(EndpointName=name)


def test_weights_and_capacities(local_aws, sagemaker, model, shifted_model):
    name = unique("weights")
    config = create_config(local_aws, variant(model), variant(shifted_model, "model-b", InitialVariantWeight=0.0))
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config)
    wait_for_endpoint(local_aws, name)
    assert {predict(local_aws, name) for _ in range(10)} == {(0, "model-a")}
    assert predict(local_aws, name, TargetVariant="model-b") == (1, "model-b")
    changes = [
        {"VariantName": "model-a", "DesiredWeight": 0.0},
        {"VariantName": "model-b", "DesiredWeight": 2.0, "DesiredInstanceCount": 2},
    ]
    sagemaker.update_endpoint_weights_and_capacities(EndpointName=name, DesiredWeightsAndCapacities=changes)
    updating = sagemaker.describe_endpoint(EndpointName=name)
    assert updating["EndpointStatus"] == "Updating"
    assert [(v["CurrentWeight"], v["DesiredWeight"]) for v in updating["ProductionVariants"]] == [
        (1.0, 0.0),
        (0.0, 2.0),
    ]
    live = wait_for_endpoint(local_aws, name)
    assert live["EndpointStatus"] == "InService"
    assert [
        (v["CurrentWeight"], v["CurrentInstanceCount"], v["DesiredInstanceCount"]) for v in live["ProductionVariants"]
    ] == [(0.0, 1, 1), (2.0, 2, 2)]
    assert {predict(local_aws, name) for _ in range(10)} == {(1, "model-b")}

    retained = create_config(local_aws, variant(shifted_model), variant(model, "model-b"))
    sagemaker.update_endpoint(
        EndpointName=name,
        EndpointConfigName=retained,
        RetainAllVariantProperties=True,
        ExcludeRetainedVariantProperties=[{"VariantPropertyType": "DesiredInstanceCount"}],
    )
    live = wait_for_endpoint(local_aws, name)
    assert [(v["CurrentWeight"], v["CurrentInstanceCount"]) for v in live["ProductionVariants"]] == [(0.0, 1), (2.0, 1)]
    sagemaker.delete_endpoint(EndpointName=name)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ([{"VariantName": "model-z", "DesiredWeight": 1.0}], 'Could not find variant "model-z"'),
        ([{"VariantName": "model-a", "DesiredInstanceCount": 0}], "must be at least 1"),
        ([{"VariantName": "model-a", "DesiredWeight": 0.0}], "greater than 0"),
        (
            [{"VariantName": "no_underscores"}],
            "at 'desiredWeightsAndCapacities.1.member.variantName' failed to satisfy",
        ),
        ([{"VariantName": "model-a"}, {"VariantName": "model-a"}], "Duplicate variant names"),
    ],
)
def test_refused_weights(local_aws, sagemaker, serving, changes, text):
    name, _ = serving
    refused(
        lambda: sagemaker.update_endpoint_weights_and_capacities(
            EndpointName=name, DesiredWeightsAndCapacities=changes
        ),
        "ValidationException",
        text,
    )
    assert sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"] == "InService"


@pytest.fixture(scope="module")
def serving(local_aws, sagemaker, model):
    """An endpoint and its configuration, for the tests of refusals."""
    name, config = unique("serving"), create_config(local_aws, variant(model))
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config)
    wait_for_endpoint(local_aws, name)
    yield name, config
    sagemaker.delete_endpoint(EndpointName=name)


def test_name_is_taken_in_any_case(sagemaker, serving):
    name, config = serving
    refused(
        lambda: sagemaker.create_endpoint(EndpointName=name.upper(), EndpointConfigName=config),
        "ValidationException",
        f'Cannot create already existing endpoint "{ARN}endpoint/{name}".',
    )


def test_update_to_the_same_config(sagemaker, serving):
    name, config = serving
    refused(
        lambda: sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=config),
        "ValidationException",
        f'Cannot update endpoint with the currently in use endpoint configuration "{config}".',
    )


def test_missing_config(sagemaker, serving):
    name, _ = serving
    text = f'Could not find endpoint configuration "{ARN}endpoint-config/nobody".'
    for call, endpoint in ((sagemaker.create_endpoint, unique("new")), (sagemaker.update_endpoint, name)):
        refused(
            lambda call=call, endpoint=endpoint: call(EndpointName=endpoint, EndpointConfigName="nobody"),
            "ValidationException",
            text,
        )


def test_missing_endpoint(sagemaker, serving):
    _, config = serving
    weights = [{"VariantName": "model-a", "DesiredWeight": 1.0}]
    for call, parameters in (
        (sagemaker.describe_endpoint, {}),
        (sagemaker.delete_endpoint, {}),
        (sagemaker.update_endpoint, {"EndpointConfigName": config}),
        (sagemaker.update_endpoint_weights_and_capacities, {"DesiredWeightsAndCapacities": weights}),
    ):
        refused(
            lambda call=call, parameters=parameters: call(EndpointName="nobody", **parameters),
            "ValidationException",
            f'Could not find endpoint "{ARN}endpoint/nobody".',
        )


def test_endpoints_are_listed(local_aws, sagemaker, serving, broken_model):
    group = unique("listed")
    names = [f"{group}-{letter}" for letter in "ab"]
    config = create_config(local_aws, variant(broken_model))
    for name in names:
        sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config)
        wait_for_endpoint(local_aws, name)

    def listed(**parameters):
        pages = sagemaker.get_paginator("list_endpoints").paginate(NameContains=group, **parameters)
        return [endpoint["EndpointName"] for page in pages for endpoint in page["Endpoints"]]

    assert listed() == names[::-1]
    assert listed(SortBy="Name", SortOrder="Ascending", MaxResults=1) == names
    assert listed(SortBy="Status", StatusEquals="Failed") == names[::-1]
    assert listed(StatusEquals="InService") == []
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    for member in ("CreationTime", "LastModifiedTime"):
        assert listed(**{f"{member}Before": tomorrow}) == names[::-1]
        assert listed(**{f"{member}After": tomorrow}) == []
    for name in names:
        sagemaker.delete_endpoint(EndpointName=name)
