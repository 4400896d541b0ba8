"""Model, endpoint configuration and endpoint as a CloudFormation stack, invoked all the time."""

import json
import threading
from contextlib import contextmanager

import pytest
from botocore.config import Config

from tests.local_aws.sagemaker_cases import (
    IMAGE,
    ROLE,
    ROWS,
    broken_model_data,
    model_data,
    predict,
    refused,
    unique,
    wait,
)

pytestmark = pytest.mark.local_aws
ARN = "arn:aws:sagemaker:us-west-2:123456789012:"

TEMPLATE = {
    "AWSTemplateFormatVersion": "2010-09-09",
    "Parameters": {
        "ModelDataUrl": {"Type": "String"},
        "EndpointName": {"Type": "String"},
        "Weight": {"Type": "Number", "Default": 1},
        "Team": {"Type": "String", "Default": "iris"},
    },
    "Resources": {
        "Model": {
            "Type": "AWS::SageMaker::Model",
            "Properties": {
                "ExecutionRoleArn": ROLE,
                "PrimaryContainer": {"Image": IMAGE, "ModelDataUrl": {"Ref": "ModelDataUrl"}},
                "Tags": [{"Key": "team", "Value": {"Ref": "Team"}}],
            },
        },
        "EndpointConfig": {
            "Type": "AWS::SageMaker::EndpointConfig",
            "Properties": {
                "ProductionVariants": [
                    {
                        "VariantName": "model-a",
                        "ModelName": {"Fn::GetAtt": ["Model", "ModelName"]},
                        "InitialInstanceCount": "1",
                        "InitialVariantWeight": {"Ref": "Weight"},
                        "InstanceType": "ml.m4.xlarge",
                    }
                ],
            },
        },
        "Endpoint": {
            "Type": "AWS::SageMaker::Endpoint",
            "Properties": {
                "EndpointName": {"Ref": "EndpointName"},
                "EndpointConfigName": {"Fn::GetAtt": ["EndpointConfig", "EndpointConfigName"]},
            },
        },
    },
    "Outputs": {
        "ModelArn": {"Value": {"Ref": "Model"}},
        "ModelName": {"Value": {"Fn::GetAtt": ["Model", "ModelName"]}},
        "ConfigArn": {"Value": {"Ref": "EndpointConfig"}},
        "ConfigName": {"Value": {"Fn::GetAtt": ["EndpointConfig", "EndpointConfigName"]}},
        "EndpointArn": {"Value": {"Ref": "Endpoint"}},
        "EndpointName": {"Value": {"Fn::GetAtt": ["Endpoint", "EndpointName"]}},
    },
}


class Stack:
    """One stack of the template above and its endpoint."""

    def __init__(self, aws):
        self.aws = aws
        self.name = unique("stack")
        self.endpoint = unique("Endpoint")
        self.cloudformation = aws.client("cloudformation")

    def apply(self, operation, **changes):
        """Create or update the stack and wait for its end; return the final status and the outputs."""
        self.begin(operation, **changes)
        return self.settled()

    def begin(self, operation, **changes):
        """Create or update the stack."""
        parameters = {"EndpointName": self.endpoint} | {name: str(value) for name, value in changes.items()}
        getattr(self.cloudformation, operation)(
            StackName=self.name,
            TemplateBody=json.dumps(TEMPLATE),
            Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()],
            Tags=[{"Key": "slipway:model-prefix", "Value": "iris"}],
        )

    def settled(self):
        """Wait until the stack's operation has ended."""
        wait(lambda: self.describe()["StackStatus"].endswith("_IN_PROGRESS"), True)
        stack = self.describe()
        return stack["StackStatus"], {o["OutputKey"]: o["OutputValue"] for o in stack.get("Outputs", [])}

    def describe(self):
        return self.cloudformation.describe_stacks(StackName=self.name)["Stacks"][0]

    def reasons(self, status):
        """Return the reasons of the events with a status, by logical id."""
        events = self.cloudformation.describe_stack_events(StackName=self.name)["StackEvents"]
        return {
            e["LogicalResourceId"]: e.get("ResourceStatusReason", "") for e in events if e["ResourceStatus"] == status
        }

    def delete(self):
        """Delete the stack and wait until it is gone."""
        identity = self.describe()["StackId"]
        self.cloudformation.delete_stack(StackName=self.name)
        look = lambda: self.cloudformation.describe_stacks(StackName=identity)["Stacks"][0]["StackStatus"]  # noqa: E731
        return wait(look, "DELETE_IN_PROGRESS")


@contextmanager
def under_invocation(aws, endpoint):
    """Invoke an endpoint continuously; return the list of answers, ends with an error if a request failed."""
    runtime = aws.client("sagemaker-runtime", config=Config(retries={"total_max_attempts": 1}))
    answers, failures, over = [], [], threading.Event()

    def invoke():
        while not over.is_set():
            try:
                answer = runtime.invoke_endpoint(EndpointName=endpoint, Body=ROWS[0], ContentType="text/csv")
                answers.append(int(float(answer["Body"].read().decode().strip())))
            except Exception as error:
                failures.append(repr(error))

    thread = threading.Thread(target=invoke)
    thread.start()
    try:
        yield answers
    finally:
        over.set()
        thread.join()
    assert answers
    assert failures == [], f"{len(failures)} of {len(failures) + len(answers)} requests failed"


def names_of(aws, listing, result, member):
    """List every name there is."""
    pages = aws.client("sagemaker").get_paginator(listing).paginate()
    return {item[member] for page in pages for item in page[result]}


def resources(aws):
    return (
        names_of(aws, "list_models", "Models", "ModelName"),
        names_of(aws, "list_endpoint_configs", "EndpointConfigs", "EndpointConfigName"),
        names_of(aws, "list_endpoints", "Endpoints", "EndpointName"),
    )


@pytest.fixture(scope="module")
def urls(local_aws):
    """Artifacts of a model that answers the class and of one that answers the next class, and a broken one."""
    return model_data(local_aws), model_data(local_aws, label_shift=1), broken_model_data(local_aws)


def test_life_of_a_stack_under_invocation(local_aws, urls):
    good, shifted, broken = urls
    sagemaker = local_aws.client("sagemaker")
    before = resources(local_aws)
    stack = Stack(local_aws)
    status, created = stack.apply("create_stack", ModelDataUrl=good)
    assert status == "CREATE_COMPLETE", stack.reasons("CREATE_FAILED")
    assert created["EndpointName"] == stack.endpoint
    assert created["EndpointArn"] == f"{ARN}endpoint/{stack.endpoint.lower()}"
    assert created["ModelName"].startswith("Model-")
    assert created["ModelArn"] == sagemaker.describe_model(ModelName=created["ModelName"])["ModelArn"]
    assert created["ConfigName"].startswith("EndpointConfig-")
    config = sagemaker.describe_endpoint_config(EndpointConfigName=created["ConfigName"])
    assert config["EndpointConfigArn"] == created["ConfigArn"]
    assert config["ProductionVariants"][0]["InitialInstanceCount"] == 1
    tags = {tag["Key"]: tag["Value"] for tag in sagemaker.list_tags(ResourceArn=created["ModelArn"])["Tags"]}
    assert tags.items() >= {"team": "iris", "slipway:model-prefix": "iris"}.items()

    with under_invocation(local_aws, stack.endpoint) as answers:
        status, updated = stack.apply("update_stack", ModelDataUrl=shifted)
        assert status == "UPDATE_COMPLETE", stack.reasons("UPDATE_FAILED")
        assert predict(local_aws, stack.endpoint)[0] == 1
        # Model and configuration are replaced, the endpoint is not.
        assert updated["EndpointArn"] == created["EndpointArn"]
        assert updated["ModelName"] != created["ModelName"]
        assert updated["ConfigName"] != created["ConfigName"]
        for call, name in (
            (lambda name: sagemaker.describe_model(ModelName=name), created["ModelName"]),
            (lambda name: sagemaker.describe_endpoint_config(EndpointConfigName=name), created["ConfigName"]),
        ):
            refused(lambda call=call, name=name: call(name), "ValidationException", "Could not find")
        endpoint = sagemaker.describe_endpoint(EndpointName=stack.endpoint)
        assert (endpoint["EndpointStatus"], endpoint["EndpointConfigName"]) == ("InService", updated["ConfigName"])

        status, outputs = stack.apply("update_stack", ModelDataUrl=broken)
        assert status == "UPDATE_ROLLBACK_COMPLETE"
        assert "did not stabilize" in stack.reasons("UPDATE_FAILED")["Endpoint"]
        assert outputs == updated
        endpoint = sagemaker.describe_endpoint(EndpointName=stack.endpoint)
        assert (endpoint["EndpointStatus"], endpoint["EndpointConfigName"]) == ("InService", updated["ConfigName"])
        assert predict(local_aws, stack.endpoint)[0] == 1
        # One of each kind is left, and nothing of the failed update.
        assert [len(now - then) for now, then in zip(resources(local_aws), before, strict=True)] == [1, 1, 1]

        status, _ = stack.apply("update_stack", ModelDataUrl=good)
        assert status == "UPDATE_COMPLETE", stack.reasons("UPDATE_FAILED")
        assert predict(local_aws, stack.endpoint)[0] == 0
    assert set(answers) == {0, 1}

    assert stack.delete() == "DELETE_COMPLETE"
    assert resources(local_aws) == before


def test_failed_creation_rolls_back_to_nothing(local_aws, urls):
    before = resources(local_aws)
    stack = Stack(local_aws)
    status, _ = stack.apply("create_stack", ModelDataUrl=urls[2])
    assert status == "ROLLBACK_COMPLETE"
    assert "did not stabilize" in stack.reasons("CREATE_FAILED")["Endpoint"]
    assert resources(local_aws) == before
    assert stack.delete() == "DELETE_COMPLETE"


def test_missing_model_data_fails_the_model(local_aws, urls):
    before = resources(local_aws)
    stack = Stack(local_aws)
    missing = urls[0].replace("model.tar.gz", "nothing.tar.gz")
    status, _ = stack.apply("create_stack", ModelDataUrl=missing)
    assert status == "ROLLBACK_COMPLETE"
    assert f"Could not find model data at {missing}." in stack.reasons("CREATE_FAILED")["Model"]
    assert resources(local_aws) == before
    stack.delete()


def test_tags_and_weights_change_no_more_than_they_must(local_aws, urls):
    sagemaker = local_aws.client("sagemaker")
    stack = Stack(local_aws)
    status, created = stack.apply("create_stack", ModelDataUrl=urls[0])
    assert status == "CREATE_COMPLETE", stack.reasons("CREATE_FAILED")
    status, retagged = stack.apply("update_stack", ModelDataUrl=urls[0], Team="wine")
    assert (status, retagged) == ("UPDATE_COMPLETE", created)
    tags = {tag["Key"]: tag["Value"] for tag in sagemaker.list_tags(ResourceArn=created["ModelArn"])["Tags"]}
    assert tags["team"] == "wine"
    status, reweighed = stack.apply("update_stack", ModelDataUrl=urls[0], Team="wine", Weight=0.5)
    assert status == "UPDATE_COMPLETE", stack.reasons("UPDATE_FAILED")
    assert reweighed["ModelName"] == created["ModelName"]
    assert reweighed["ConfigName"] != created["ConfigName"]
    endpoint = sagemaker.describe_endpoint(EndpointName=stack.endpoint)
    assert endpoint["ProductionVariants"][0]["CurrentWeight"] == 0.5
    assert stack.delete() == "DELETE_COMPLETE"


def test_stack_whose_endpoint_was_deleted_by_hand(local_aws, urls):
    stack = Stack(local_aws)
    assert stack.apply("create_stack", ModelDataUrl=urls[0])[0] == "CREATE_COMPLETE"
    local_aws.client("sagemaker").delete_endpoint(EndpointName=stack.endpoint)
    assert stack.delete() == "DELETE_COMPLETE"
