"""Requests that AWS refuses, or answers otherwise than ministack alone does: each with AWS's answer and its page.

A case is a function of a server, whose result is what a caller sees: ``code: text`` of a refusal, or a few words.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from tests.local_aws.sagemaker_cases import unique
from tests.local_aws.server import LocalAws, eventually

DOCS = "https://docs.aws.amazon.com"
CFN = f"{DOCS}/AWSCloudFormation/latest"
TOPIC = {"Topic": {"Type": "AWS::SNS::Topic"}}
ROLE = {
    "Role": {
        "Type": "AWS::IAM::Role",
        "Properties": {
            "AssumeRolePolicyDocument": {
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Effect": "Allow",
                        "Principal": {"Service": "sagemaker.amazonaws.com"},
                        "Action": "sts:AssumeRole",
                    }
                ],
            }
        },
    }
}
NAMED_ROLE = {"Role": {**ROLE["Role"], "Properties": {**ROLE["Role"]["Properties"], "RoleName": "named-role"}}}


@dataclass(frozen=True)
class Case:
    """One request.

    :param name: of the case
    :param ask: makes the request
    :param answer: what AWS answers; ``*`` stands for any text
    :param page: where AWS says so
    """

    name: str
    ask: Callable[[LocalAws], str]
    answer: str
    page: str


def outcome(call: Callable[[], Any]) -> str:
    """Return the code and text of a refusal, or ``accepted``."""
    try:
        call()
    except ClientError as error:
        return f"{error.response['Error']['Code']}: {error.response['Error'].get('Message', '')}"
    return "accepted"


def template(resources: dict[str, Any], **sections: Any) -> str:
    return json.dumps({"Resources": resources, **sections})


def create(aws: LocalAws, body: str, **parameters: Any) -> str:
    """Ask for a stack; return the refusal."""
    stacks = aws.client("cloudformation")
    return outcome(lambda: stacks.create_stack(StackName=unique("refused"), TemplateBody=body, **parameters))


def made(aws: LocalAws, body: str, name: str | None = None, **parameters: Any) -> str:
    """Make a stack, wait for it, and return its name."""
    name = name or unique("made")
    aws.client("cloudformation").create_stack(StackName=name, TemplateBody=body, **parameters)
    ended(aws, name)
    return name


def ended(aws: LocalAws, name: str) -> dict[str, Any]:
    """Wait until a stack's operation has ended; return the stack."""
    stacks = aws.client("cloudformation")
    return eventually(
        lambda: stacks.describe_stacks(StackName=name)["Stacks"][0],
        lambda stack: not stack["StackStatus"].endswith("_IN_PROGRESS"),
    )


def events(aws: LocalAws, name: str) -> list[str]:
    """Return a stack's events, the newest first: ``status reason``."""
    found = aws.client("cloudformation").describe_stack_events(StackName=name)["StackEvents"]
    return [f"{one['ResourceStatus']} {one.get('ResourceStatusReason', '')}".strip() for one in found]


def rolled_back(aws: LocalAws) -> str:
    """Make a stack that fails; return its name."""
    missing = {"Endpoint": {"Type": "AWS::SNS::Subscription", "Properties": {"TopicArn": {"Fn::GetAtt": ["Q", "No"]}}}}
    queue = {"Q": {"Type": "AWS::SQS::Queue"}}
    return made(aws, template({**queue, **missing}))


# --- CloudFormation --------------------------------------------------------------------------------------------------


def _create_over(aws: LocalAws) -> str:
    name = rolled_back(aws)
    stacks = aws.client("cloudformation")
    return outcome(lambda: stacks.create_stack(StackName=name, TemplateBody=template(TOPIC)))


def _update_over(aws: LocalAws) -> str:
    name = rolled_back(aws)
    stacks = aws.client("cloudformation")
    return outcome(lambda: stacks.update_stack(StackName=name, TemplateBody=template(TOPIC)))


def _change_set_over(kind: str) -> Callable[[LocalAws], str]:
    def ask(aws: LocalAws) -> str:
        name = rolled_back(aws)
        stacks = aws.client("cloudformation")
        return outcome(
            lambda: stacks.create_change_set(
                StackName=name, ChangeSetName="over", ChangeSetType=kind, TemplateBody=template(TOPIC)
            )
        )

    return ask


def _boundary(aws: LocalAws) -> str:
    name, boundary = unique("bounded"), "arn:aws:iam::aws:policy/ReadOnlyAccess"
    properties = {**ROLE["Role"]["Properties"], "RoleName": name, "PermissionsBoundary": boundary}
    made(aws, template({"Role": {**ROLE["Role"], "Properties": properties}}), Capabilities=["CAPABILITY_NAMED_IAM"])
    role = aws.client("iam").get_role(RoleName=name)["Role"]
    return str(role.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn", "no boundary"))


def _reason(aws: LocalAws) -> str:
    name = rolled_back(aws)
    return next(one for one in events(aws, name) if one.startswith("ROLLBACK_IN_PROGRESS"))


def _token(aws: LocalAws) -> str:
    stacks, name = aws.client("cloudformation"), unique("token")
    request = {"StackName": name, "TemplateBody": template(TOPIC), "ClientRequestToken": name}
    first = stacks.create_stack(**request)["StackId"]
    ended(aws, name)
    try:
        return "the same stack" if stacks.create_stack(**request)["StackId"] == first else "another stack"
    except ClientError as error:
        return error.response["Error"]["Code"]


def _export_twice(aws: LocalAws) -> str:
    export = {"Out": {"Value": "1", "Export": {"Name": unique("export")}}}
    first = made(aws, template(TOPIC, Outputs=export))
    second = made(aws, template(TOPIC, Outputs=export))
    failed = [one for one in events(aws, second) if "already exported" in one]
    return failed[0].replace(first, "FIRST").replace(export["Out"]["Export"]["Name"], "NAME") if failed else "accepted"


def _stack_policy(aws: LocalAws) -> str:
    policy = {"Statement": [{"Effect": "Deny", "Action": "Update:*", "Principal": "*", "Resource": "*"}]}
    name = made(aws, template(TOPIC), StackPolicyBody=json.dumps(policy))
    changed = {"Topic": {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": "other"}}}
    aws.client("cloudformation").update_stack(StackName=name, TemplateBody=template(changed))
    status = ended(aws, name)["StackStatus"]
    return next((one for one in events(aws, name) if one.startswith("UPDATE_FAILED")), status)


def _unknown_property(kind: str, **properties: Any) -> Callable[[LocalAws], str]:
    def ask(aws: LocalAws) -> str:
        wrong = {"Made": {"Type": kind, "Properties": {**properties, "NoSuchProperty": "1"}}}
        name = made(aws, template(wrong), Capabilities=["CAPABILITY_IAM"])
        status = ended(aws, name)["StackStatus"]
        return next((one for one in events(aws, name) if one.startswith("CREATE_FAILED")), status)

    return ask


def _full_bucket(aws: LocalAws) -> str:
    bucket = unique("full")
    name = made(aws, template({"Bucket": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": bucket}}}))
    objects = aws.client("s3")
    objects.put_object(Bucket=bucket, Key="kept", Body=b"1")
    stacks = aws.client("cloudformation")
    stack_id = stacks.describe_stacks(StackName=name)["Stacks"][0]["StackId"]
    stacks.delete_stack(StackName=name)
    status = ended(aws, stack_id)["StackStatus"]
    return f"{status}, {outcome(lambda: objects.get_object(Bucket=bucket, Key='kept'))}"


def _cleanup(aws: LocalAws) -> str:
    name = made(aws, template({**TOPIC, "Queue": {"Type": "AWS::SQS::Queue"}}))
    aws.client("cloudformation").update_stack(StackName=name, TemplateBody=template(TOPIC))
    ended(aws, name)
    statuses = [one for one in events(aws, name) if one.startswith("UPDATE_COMPLETE")]
    return ", ".join(reversed(statuses))


def _template_url(aws: LocalAws) -> str:
    bucket, objects = unique("templates"), aws.client("s3")
    objects.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    objects.put_object(Bucket=bucket, Key="a/topic.json", Body=template(TOPIC))
    url = f"https://{bucket}.s3.us-west-2.amazonaws.com/a/topic.json"
    stacks = aws.client("cloudformation")
    return outcome(lambda: stacks.create_stack(StackName=unique("url"), TemplateURL=url))


def _unquoted(value: str, written: str) -> Callable[[LocalAws], str]:
    """Compare a parameter with an unquoted value of YAML."""

    def ask(aws: LocalAws) -> str:
        body = f"""
Parameters:
  Given: {{Type: String}}
Conditions:
  Wanted: !Equals [!Ref Given, {written}]
Resources:
  Topic: {{Type: AWS::SNS::Topic}}
  Second: {{Type: AWS::SNS::Topic, Condition: Wanted}}
"""
        name = made(aws, body, Parameters=[{"ParameterKey": "Given", "ParameterValue": value}])
        found = aws.client("cloudformation").describe_stack_resources(StackName=name)["StackResources"]
        return "equal" if len(found) == 2 else "different"

    return ask


CLOUDFORMATION = [
    Case(
        "an unknown parameter",
        lambda aws: create(aws, template(TOPIC), Parameters=[{"ParameterKey": "Nope", "ParameterValue": "1"}]),
        "ValidationError: Parameters: [Nope] do not exist in the template",
        f"{CFN}/UserGuide/parameters-section-structure.html",
    ),
    Case(
        "a role's boundary",
        _boundary,
        "arn:aws:iam::aws:policy/ReadOnlyAccess",
        f"{CFN}/TemplateReference/aws-resource-iam-role.html",
    ),
    Case(
        "a Ref to nothing",
        lambda aws: create(
            aws, template({"Topic": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": {"Ref": "Nope"}}}})
        ),
        "ValidationError: Template format error: Unresolved resource dependencies [Nope] in the Resources block of the "
        "template",
        f"{CFN}/UserGuide/troubleshooting.html",
    ),
    Case(
        "a Fn::Sub of nothing",
        lambda aws: create(
            aws,
            template(
                {"Topic": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": {"Fn::Sub": "${Nope}-${!Kept}"}}}}
            ),
        ),
        "ValidationError: Template format error: Unresolved resource dependencies [Nope] in the Resources block of the "
        "template",
        f"{CFN}/UserGuide/intrinsic-function-reference-sub.html",
    ),
    Case(
        "an output of nothing",
        lambda aws: create(aws, template(TOPIC, Outputs={"Out": {"Value": {"Ref": "Nope"}}})),
        "ValidationError: Template format error: Unresolved resource dependencies [Nope] in the Outputs block of the "
        "template",
        f"{CFN}/UserGuide/troubleshooting.html",
    ),
    Case(
        "DependsOn nothing",
        lambda aws: create(aws, template({"Topic": {"Type": "AWS::SNS::Topic", "DependsOn": ["Nope"]}})),
        "ValidationError: Template format error: Unresolved resource dependencies [Nope] in the Resources block of the "
        "template",
        f"{CFN}/TemplateReference/aws-attribute-dependson.html",
    ),
    Case(
        "a cycle",
        lambda aws: create(
            aws,
            template(
                {
                    "First": {"Type": "AWS::SNS::Topic", "DependsOn": "Second"},
                    "Second": {"Type": "AWS::SNS::Topic", "DependsOn": "First"},
                }
            ),
        ),
        "ValidationError: Circular dependency between resources: [First, Second]",
        f"{CFN}/TemplateReference/aws-attribute-dependson.html",
    ),
    Case(
        "no Resources",
        lambda aws: create(aws, json.dumps({"Parameters": {"One": {"Type": "String"}}})),
        "ValidationError: Template format error: At least one Resources member must be defined.",
        f"{CFN}/UserGuide/resources-section-structure.html",
    ),
    Case(
        "a role without a capability",
        lambda aws: create(aws, template(ROLE)),
        "InsufficientCapabilitiesException: Requires capabilities : [CAPABILITY_IAM]",
        f"{CFN}/APIReference/API_CreateStack.html",
    ),
    Case(
        "a named role without its capability",
        lambda aws: create(aws, template(NAMED_ROLE), Capabilities=["CAPABILITY_IAM"]),
        "InsufficientCapabilitiesException: Requires capabilities : [CAPABILITY_NAMED_IAM]",
        f"{CFN}/APIReference/API_CreateStack.html",
    ),
    Case(
        "CreateStack over ROLLBACK_COMPLETE",
        _create_over,
        "AlreadyExistsException: Stack [*] already exists",
        f"{CFN}/APIReference/API_CreateStack.html",
    ),
    Case(
        "UpdateStack over ROLLBACK_COMPLETE",
        _update_over,
        "ValidationError: Stack:arn:* is in ROLLBACK_COMPLETE state and can not be updated.",
        f"{CFN}/UserGuide/view-stack-events.html",
    ),
    Case(
        "an UPDATE change set over ROLLBACK_COMPLETE",
        _change_set_over("UPDATE"),
        "ValidationError: Stack:arn:* is in ROLLBACK_COMPLETE state and can not be updated.",
        f"{CFN}/UserGuide/view-stack-events.html",
    ),
    Case(
        "a CREATE change set over ROLLBACK_COMPLETE",
        _change_set_over("CREATE"),
        "ValidationError: Stack [*] already exists and cannot be created again with the changeSet [over].",
        "https://github.com/compose-x/ecs_composex/issues/785",
    ),
    Case(
        "the reason of a roll-back",
        _reason,
        "ROLLBACK_IN_PROGRESS The following resource(s) failed to create: [Endpoint]. Rollback requested by user.",
        f"{CFN}/UserGuide/stack-failure-options.html",
    ),
    Case(
        "a ClientRequestToken again",
        _token,
        "the same stack",
        f"{CFN}/APIReference/API_CreateStack.html",
    ),
    Case(
        "an export of another stack",
        _export_twice,
        "CREATE_FAILED Export with name NAME is already exported by stack FIRST",
        f"{CFN}/UserGuide/using-cfn-stack-exports.html",
    ),
    Case(
        "an update that the stack's policy denies",
        _stack_policy,
        "UPDATE_FAILED Action denied by stack policy: Statement [#1] does not allow [Update:Modify] for resource "
        "[LogicalResourceId/Topic]",
        f"{CFN}/UserGuide/protect-stack-resources.html",
    ),
    *(
        Case(
            f"an unknown property of {kind}",
            _unknown_property(kind, **properties),
            "CREATE_FAILED *NoSuchProperty*",
            f"{DOCS}/cloudformation-cli/latest/userguide/resource-type-schema.html",
        )
        for kind, properties in (
            ("AWS::SNS::Topic", {}),
            ("AWS::SQS::Queue", {}),
            ("AWS::S3::Bucket", {}),
            ("AWS::IAM::Role", ROLE["Role"]["Properties"]),
        )
    ),
    Case(
        "the deletion of a bucket with objects",
        _full_bucket,
        "DELETE_FAILED, accepted",
        f"{CFN}/TemplateReference/aws-resource-s3-bucket.html",
    ),
    Case(
        "the clean-up of an update",
        _cleanup,
        "*UPDATE_COMPLETE_CLEANUP_IN_PROGRESS, UPDATE_COMPLETE",
        f"{CFN}/UserGuide/view-stack-events.html",
    ),
    Case(
        "a TemplateURL whose host names the bucket",
        _template_url,
        "accepted",
        f"{DOCS}/AmazonS3/latest/userguide/VirtualHosting.html",
    ),
    Case(
        "a parameter beside an unquoted true",
        _unquoted("true", "true"),
        "equal",
        f"{CFN}/UserGuide/intrinsic-function-reference-conditions.html",
    ),
]

# --- S3, CloudWatch, Logs --------------------------------------------------------------------------------------------


def new_bucket(aws: LocalAws) -> str:
    """Make a bucket; return its name."""
    bucket = unique("refusals")
    aws.client("s3").create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    return bucket


def _kms(aws: LocalAws) -> str:
    objects, bucket = aws.client("s3"), new_bucket(aws)
    try:
        put = objects.put_object(Bucket=bucket, Key="k", Body=b"1", ServerSideEncryption="aws:kms")
    except ClientError as error:
        return error.response["Error"]["Code"]
    return put["SSEKMSKeyId"]


def _default_encryption(aws: LocalAws) -> str:
    objects, bucket = aws.client("s3"), new_bucket(aws)
    put = objects.put_object(Bucket=bucket, Key="k", Body=b"1").get("ServerSideEncryption")
    return f"{put}, {objects.head_object(Bucket=bucket, Key='k').get('ServerSideEncryption')}"


def _small_parts(aws: LocalAws) -> str:
    objects, where = aws.client("s3"), {"Bucket": new_bucket(aws), "Key": "parts"}
    where["UploadId"] = objects.create_multipart_upload(**where)["UploadId"]
    parts = [
        {"PartNumber": number, "ETag": objects.upload_part(**where, PartNumber=number, Body=b"small")["ETag"]}
        for number in (1, 2)
    ]
    return outcome(lambda: objects.complete_multipart_upload(**where, MultipartUpload={"Parts": parts}))


def _policy(text: str) -> Callable[[LocalAws], str]:
    def ask(aws: LocalAws) -> str:
        objects, bucket = aws.client("s3"), new_bucket(aws)
        return outcome(lambda: objects.put_bucket_policy(Bucket=bucket, Policy=text))

    return ask


def _alarm(aws: LocalAws) -> str:
    alarms = aws.client("cloudwatch")
    return outcome(
        lambda: alarms.put_metric_alarm(
            AlarmName=unique("alarm"),
            Namespace="Tests",
            MetricName="m",
            Statistic="Sum",
            Period=7,
            EvaluationPeriods=1,
            Threshold=1,
            ComparisonOperator="GreaterThanThreshold",
        )
    )


def _datum(**value: Any) -> Callable[[LocalAws], str]:
    def ask(aws: LocalAws) -> str:
        metrics = aws.client("cloudwatch")
        return outcome(lambda: metrics.put_metric_data(Namespace="Tests", MetricData=[{"MetricName": "m", **value}]))

    return ask


def _statistics(aws: LocalAws) -> str:
    metrics = aws.client("cloudwatch")
    return outcome(
        lambda: metrics.get_metric_statistics(
            Namespace="Tests", MetricName="m", StartTime=0, EndTime=600, Period=7, Statistics=["Sum"]
        )
    )


def _dashboard(body: str) -> Callable[[LocalAws], str]:
    def ask(aws: LocalAws) -> str:
        dashboards = aws.client("cloudwatch")
        return outcome(lambda: dashboards.put_dashboard(DashboardName=unique("dashboard"), DashboardBody=body))

    return ask


def _streams(**chosen: Any) -> Callable[[LocalAws], str]:
    def ask(aws: LocalAws) -> str:
        logs, group = aws.client("logs"), f"/tests/{unique('streams')}"
        logs.create_log_group(logGroupName=group)
        for stream in ("job-1/algo", "job-2/algo"):
            logs.create_log_stream(logGroupName=group, logStreamName=stream)
            line = {"timestamp": int(time.time() * 1000), "message": stream}
            logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=[line])
        try:
            found = logs.filter_log_events(logGroupName=group, **chosen)["events"]
        except ClientError as error:
            return error.response["Error"]["Code"]
        return ", ".join(event["message"] for event in found)

    return ask


_METRICS = f"{DOCS}/AmazonCloudWatch/latest/APIReference"
OTHERS = [
    Case("aws:kms without a key", _kms, "arn:aws:kms:us-west-2:*", f"{DOCS}/AmazonS3/latest/API/API_PutObject.html"),
    Case(
        "encryption by default",
        _default_encryption,
        "AES256, AES256",
        f"{DOCS}/AmazonS3/latest/userguide/default-encryption-faq.html",
    ),
    Case(
        "parts that are too small",
        _small_parts,
        "EntityTooSmall: Your proposed upload is smaller than the minimum allowed size",
        f"{DOCS}/AmazonS3/latest/API/API_CompleteMultipartUpload.html",
    ),
    Case(
        "a policy that is no JSON",
        _policy("{"),
        "MalformedPolicy: Policies must be valid JSON and the first byte must be '{'",
        f"{DOCS}/AmazonS3/latest/API/API_PutBucketPolicy.html",
    ),
    Case(
        "a policy without an action",
        _policy(json.dumps({"Statement": [{"Effect": "Allow", "Principal": "*", "Resource": "*"}]})),
        "MalformedPolicy: Missing required field Action",
        f"{DOCS}/AmazonS3/latest/API/API_PutBucketPolicy.html",
    ),
    Case(
        "a metric that is not a number",
        _datum(Value=float("nan")),
        "InvalidParameterValue: The value NaN for parameter MetricData.member.1.Value is invalid.",
        f"{_METRICS}/API_MetricDatum.html",
    ),
    Case(
        "one of several values that is infinite",
        _datum(Values=[1.0, float("inf")]),
        "InvalidParameterValue: The value Infinity for parameter MetricData.member.1.Values.member.2 is invalid.",
        f"{_METRICS}/API_MetricDatum.html",
    ),
    Case("a period of 7 s", _statistics, "InvalidParameterValue: *Period*", f"{_METRICS}/API_GetMetricStatistics.html"),
    Case("an alarm's period of 7 s", _alarm, "InvalidParameterValue: *Period*", f"{_METRICS}/API_PutMetricAlarm.html"),
    Case(
        "a dashboard that is no JSON",
        _dashboard("{"),
        "InvalidParameterInput: The field DashboardBody must be a valid JSON object",
        f"{_METRICS}/API_PutDashboard.html",
    ),
    Case(
        "a widget of an unknown type",
        _dashboard(json.dumps({"widgets": [{"type": "nope", "properties": {}}]})),
        "InvalidParameterInput: *widgets/0/type*",
        f"{_METRICS}/CloudWatch-Dashboard-Body-Structure.html",
    ),
    Case(
        "log events of streams by prefix",
        _streams(logStreamNamePrefix="job-1/"),
        "job-1/algo",
        f"{DOCS}/AmazonCloudWatchLogs/latest/APIReference/API_FilterLogEvents.html",
    ),
    Case(
        "log events by prefix and by name",
        _streams(logStreamNamePrefix="job-1/", logStreamNames=["job-2/algo"]),
        "InvalidParameterException",
        f"{DOCS}/AmazonCloudWatchLogs/latest/APIReference/API_FilterLogEvents.html",
    ),
]
# What ministack would answer otherwise.
MINISTACK = [*CLOUDFORMATION, *OTHERS]
