"""Requests that would make or delete something if AWS took them; sent only on demand.

Each is wrong in two ways at least, so that a mistake about one of them starts nothing: see `broken_job` and
`broken_stack`. The others name what does not exist.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from slipway.command.stacks import ACCOUNT_STACK
from tools.verify_aws.account import Account
from tools.verify_aws.findings import Finding
from tools.verify_aws.refusals import MISSING, NONE, Refusal, ask, given, topic

# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_StoppingCondition.html
_LONGEST = 28 * 86400


def checks(account: Account) -> Iterator[Finding]:
    """Send each request."""
    for one in SENT:
        yield ask(account, one)


def operations() -> set[str]:
    """Name the operations as the services do."""
    return {"".join(part.capitalize() for part in one.operation.split("_")) for one in SENT}


def broken_job(**changes: Any) -> Callable[[Account], dict[str, Any]]:
    """Ask for a training job that cannot start: its role, its image and its data do not exist.

    What the case is about is wrong as well. https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateTrainingJob.html
    """

    def request(account: Account) -> dict[str, Any]:
        channel = {
            "ChannelName": "train",
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{account.bucket}/{NONE}/"}},
        }
        image = f"{account.id}.dkr.ecr.{account.region}.{account.domain}/{NONE}:none"
        job: dict[str, Any] = {
            "TrainingJobName": NONE,
            "AlgorithmSpecification": {"TrainingImage": image, "TrainingInputMode": "File"},
            "RoleArn": account.arn("iam", f"role/{NONE}"),
            "InputDataConfig": [channel],
            "OutputDataConfig": {"S3OutputPath": f"s3://{account.bucket}/{NONE}"},
            "ResourceConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1},
            "StoppingCondition": {"MaxRuntimeInSeconds": 60},
        }
        times = changes.get("channels", 1)
        job["InputDataConfig"] *= times
        return job | {key: value for key, value in changes.items() if key != "channels"}

    return request


def broken_stack(resource: dict[str, Any], **more: Any) -> Callable[[Account], dict[str, Any]]:
    """Ask for a stack under a role that does not exist, beside what the case is about.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_CreateStack.html
    """
    body = json.dumps({"Resources": {"Made": resource}})
    return lambda account: {
        "StackName": NONE,
        "TemplateBody": body,
        "RoleARN": account.arn("iam", f"role/{NONE}"),
        **more,
    }


_TRUST = {
    "Statement": {"Effect": "Deny", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}
}
_ROLE = {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": _TRUST}}

SENT = (
    Refusal("two channels of one name", "sagemaker", "create_training_job", broken_job(channels=2),
            "ValidationException: Duplicate channel names*"),
    Refusal("a tag of AWS's own", "sagemaker", "create_training_job", broken_job(Tags=[{"Key": "aws:x", "Value": "1"}]),
            "ValidationException: *aws: prefixed tag key names*"),
    Refusal("spot without a wait", "sagemaker", "create_training_job", broken_job(EnableManagedSpotTraining=True),
            "ValidationException: Invalid MaxWaitTimeInSeconds. It must be present*"),
    Refusal("a job of more than 28 days", "sagemaker", "create_training_job",
            broken_job(StoppingCondition={"MaxRuntimeInSeconds": _LONGEST + 1}),
            "ValidationException: *less than or equal to 2419200*"),
    Refusal("tags of a version of a package", "sagemaker", "create_model_package",
            given(ModelPackageGroupName=NONE, Tags=[{"Key": "a", "Value": "b"}]),
            "ValidationException: Tags are not supported on a versioned model package*"),
    Refusal("the stop of a training job that is not there", "sagemaker", "stop_training_job",
            given(TrainingJobName=NONE), "ValidationException: Requested resource not found.", MISSING),
    Refusal("the deletion of an endpoint that is not there", "sagemaker", "delete_endpoint",
            given(EndpointName=NONE), 'ValidationException: Could not find endpoint "*".', MISSING),
    Refusal("the deletion of a model that is not there", "sagemaker", "delete_model",
            given(ModelName=NONE), 'ValidationException: Could not find model "*".', MISSING),
    Refusal("the request to an endpoint that is not there", "sagemaker-runtime", "invoke_endpoint",
            given(EndpointName=NONE, Body=b"1"), f"ValidationError: Endpoint {NONE} of account * not found."),
    Refusal("a change set to execute that is not there", "cloudformation", "execute_change_set",
            given(StackName=ACCOUNT_STACK, ChangeSetName=NONE), f"ChangeSetNotFound: ChangeSet [{NONE}] does not exist",
            r"^ChangeSetNotFound"),
    Refusal("a scalable target that is not there", "application-autoscaling", "deregister_scalable_target",
            given(ServiceNamespace="sagemaker", ResourceId=f"endpoint/{NONE}/variant/model-a",
                   ScalableDimension="sagemaker:variant:DesiredInstanceCount"),
            "ObjectNotFoundException: *", r"^ObjectNotFoundException"),
    Refusal("a role without a capability", "cloudformation", "create_stack", broken_stack(_ROLE),
            "InsufficientCapabilitiesException: Requires capabilities : [CAPABILITY_IAM]"),
    Refusal("an unknown parameter", "cloudformation", "create_stack",
            broken_stack(topic(), Parameters=[{"ParameterKey": "Nope", "ParameterValue": "1"}]),
            "ValidationError: Parameters: [Nope] do not exist in the template"),
)  # fmt: skip
