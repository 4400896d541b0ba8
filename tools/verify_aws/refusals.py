"""What AWS answers to requests that it has to refuse; Slipway decides by some of these codes and texts.

What is asked here changes nothing, whatever AWS does.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from slipway.command.stacks import ACCOUNT_STACK
from tools.verify_aws.account import Account
from tools.verify_aws.findings import Finding, cannot_tell, differs, refusal, same, unanswered

NONE = "slipway-verify-none"
MISSING = r"(?i)^ValidationException: .*(not found|could not find|does not exist)"
_MISSING_STACK = r"^ValidationError: .*does not exist"


@dataclass(frozen=True)
class Refusal:
    """One request and its answer.

    :param name: what is asked
    :param service: boto3's name of it
    :param operation: as a method of boto3
    :param request: makes the parameters for an account
    :param answer: ``code: text`` as the local AWS has it, ``*`` for any text
    :param needed: a pattern of what Slipway reads of it; None where it only shows the text
    """

    name: str
    service: str
    operation: str
    request: Callable[[Account], dict[str, Any]]
    answer: str
    needed: str | None = None


def checks(account: Account) -> Iterator[Finding]:
    """Ask for each refusal that can be asked for without a risk."""
    for one in READS:
        yield ask(account, one)


def ask(account: Account, one: Refusal) -> Finding:
    """Make a request and compare its refusal."""
    check = f"the refusal of {one.name}"
    try:
        getattr(account.client(one.service), one.operation)(**one.request(account))
    except (ClientError, BotoCoreError) as error:
        said = refusal(error)
        if fnmatchcase(said, one.answer.replace("[", "[[]")):
            return same(check)
        reason = unanswered(error)
        if reason:
            return cannot_tell(check, reason)
        # No page says in which order AWS looks at the two faults of a request.
        if f"role/{NONE}" in said:
            return cannot_tell(check, "AWS names the role that does not exist before anything else")
        return differs(check, one.answer, said, _meaning(one, said))
    return differs(check, one.answer, "no refusal")


def _meaning(one: Refusal, said: str) -> str:
    if one.needed is None:
        return "Slipway only shows the text"
    return "Slipway understands it" if re.search(one.needed, said) else "Slipway does not understand it"


def given(**parameters: Any) -> Callable[[Account], dict[str, Any]]:
    return lambda account: parameters


def _object(**parameters: Any) -> Callable[[Account], dict[str, Any]]:
    return lambda account: {"Bucket": account.bucket, "Key": f"{NONE}/none", **parameters}


def _template(resources: dict[str, Any], **sections: Any) -> Callable[[Account], dict[str, Any]]:
    return given(TemplateBody=json.dumps({"Resources": resources, **sections}))


def topic(**members: Any) -> dict[str, Any]:
    return {"Type": "AWS::SNS::Topic", **members}


def _reference(text: Any) -> Callable[[Account], dict[str, Any]]:
    return _template({"Topic": topic(Properties={"TopicName": text})})


_UNRESOLVED = (
    "ValidationError: Template format error: Unresolved resource dependencies [Nope] in the {} block of the template"
)

# https://docs.aws.amazon.com/sagemaker/latest/APIReference/CommonErrors.html
# https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/CommonErrors.html
# https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
READS = (
    Refusal(
        "a training job that is not there",
        "sagemaker",
        "describe_training_job",
        given(TrainingJobName=NONE),
        "ValidationException: Requested resource not found.",
        MISSING,
    ),
    Refusal(
        "an endpoint that is not there",
        "sagemaker",
        "describe_endpoint",
        given(EndpointName=NONE),
        'ValidationException: Could not find endpoint "*".',
        MISSING,
    ),
    Refusal(
        "an endpoint configuration that is not there",
        "sagemaker",
        "describe_endpoint_config",
        given(EndpointConfigName=NONE),
        'ValidationException: Could not find endpoint configuration "*".',
        MISSING,
    ),
    Refusal(
        "a model that is not there",
        "sagemaker",
        "describe_model",
        given(ModelName=NONE),
        'ValidationException: Could not find model "*".',
        MISSING,
    ),
    Refusal(
        "a group that is not there",
        "sagemaker",
        "describe_model_package_group",
        given(ModelPackageGroupName=NONE),
        "ValidationException: ModelPackageGroup * does not exist.",
        MISSING,
    ),
    Refusal(
        "a model package that is not there",
        "sagemaker",
        "describe_model_package",
        lambda account: {"ModelPackageName": account.arn("sagemaker", f"model-package/{NONE}/1")},
        "ValidationException: ModelPackage * does not exist.",
        MISSING,
    ),
    Refusal(
        "the packages of a group that is not there",
        "sagemaker",
        "list_model_packages",
        given(ModelPackageGroupName=NONE),
        "ValidationException: ModelPackageGroup * does not exist.",
        MISSING,
    ),
    Refusal(
        "the tags of an endpoint that is not there",
        "sagemaker",
        "list_tags",
        lambda account: {"ResourceArn": account.arn("sagemaker", f"endpoint/{NONE}")},
        "ValidationException: The resource * does not exist.",
        MISSING,
    ),
    Refusal(
        "a stack that is not there",
        "cloudformation",
        "describe_stacks",
        given(StackName=NONE),
        f"ValidationError: Stack with id {NONE} does not exist",
        _MISSING_STACK,
    ),
    Refusal(
        "the events of a stack that is not there",
        "cloudformation",
        "describe_stack_events",
        given(StackName=NONE),
        f"ValidationError: Stack [{NONE}] does not exist",
        _MISSING_STACK,
    ),
    Refusal(
        "the resources of a stack that is not there",
        "cloudformation",
        "list_stack_resources",
        given(StackName=NONE),
        f"ValidationError: Stack [{NONE}] does not exist",
        _MISSING_STACK,
    ),
    Refusal(
        "a change set that is not there",
        "cloudformation",
        "describe_change_set",
        given(StackName=ACCOUNT_STACK, ChangeSetName=NONE),
        f"ChangeSetNotFound: ChangeSet [{NONE}] does not exist",
        r"^ChangeSetNotFound",
    ),
    Refusal(
        "a change set of a stack that is not there",
        "cloudformation",
        "describe_change_set",
        given(StackName=NONE, ChangeSetName=NONE),
        f"ChangeSetNotFound: ChangeSet [{NONE}] does not exist",
        r"^ChangeSetNotFound|^ValidationError: .*does not exist",
    ),
    Refusal("a Ref to nothing", "cloudformation", "validate_template", _reference({"Ref": "Nope"}),
            _UNRESOLVED.format("Resources")),
    Refusal("a Fn::Sub of nothing", "cloudformation", "validate_template", _reference({"Fn::Sub": "${Nope}"}),
            _UNRESOLVED.format("Resources")),
    Refusal("an output of nothing", "cloudformation", "validate_template",
            _template({"Topic": topic()}, Outputs={"Out": {"Value": {"Ref": "Nope"}}}), _UNRESOLVED.format("Outputs")),
    Refusal("DependsOn nothing", "cloudformation", "validate_template",
            _template({"Topic": topic(DependsOn=["Nope"])}), _UNRESOLVED.format("Resources")),
    Refusal("a cycle", "cloudformation", "validate_template",
            _template({"First": topic(DependsOn="Second"), "Second": topic(DependsOn="First")}),
            "ValidationError: Circular dependency between resources: [First, Second]"),
    Refusal("no Resources", "cloudformation", "validate_template",
            given(TemplateBody=json.dumps({"Parameters": {"One": {"Type": "String"}}})),
            "ValidationError: Template format error: At least one Resources member must be defined."),
    Refusal("an object that is not there", "s3", "head_object", _object(), "404: Not Found", "^(404|NoSuchKey)"),
    Refusal("reading an object that is not there", "s3", "get_object", _object(),
            "NoSuchKey: The specified key does not exist.", "^(404|NoSuchKey)"),
    Refusal("a queue that is not there", "sqs", "get_queue_url", given(QueueName=NONE),
            "AWS.SimpleQueueService.NonExistentQueue: The specified queue does not exist*", "NonExistentQueue"),
    Refusal("a log that is not there", "logs", "get_log_events", given(logGroupName=f"/{NONE}", logStreamName=NONE),
            "ResourceNotFoundException: The specified log group does not exist*", "^ResourceNotFoundException"),
    Refusal("a dashboard that is not there", "cloudwatch", "get_dashboard", given(DashboardName=NONE),
            "ResourceNotFound: Dashboard * does not exist"),
    Refusal("a period of 7 s", "cloudwatch", "get_metric_statistics",
            given(Namespace=NONE, MetricName="m", StartTime=0, EndTime=600, Period=7, Statistics=["Sum"]),
            "InvalidParameterValue: *Period*"),
)  # fmt: skip
