"""Requests of S3, IAM, CloudWatch, Logs and CloudFormation that AWS refuses, and ministack alone does not."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from functools import cache
from typing import Any

from tests.local_aws.refusals import CFN, DOCS, TOPIC, Case, made, new_bucket, outcome, template
from tests.local_aws.sagemaker_cases import unique
from tests.local_aws.server import LocalAws

_S3 = f"{DOCS}/AmazonS3/latest/API"
_METRICS = f"{DOCS}/AmazonCloudWatch/latest/APIReference"
_LOGS = f"{DOCS}/AmazonCloudWatchLogs/latest/APIReference"
_IAM = f"{DOCS}/IAM/latest/APIReference"
_DAY = 86400


@cache
def _unchecked_client(aws: LocalAws, service: str) -> Any:
    from botocore.config import Config

    config = Config(parameter_validation=False, retries={"total_max_attempts": 1}, s3={"addressing_style": "path"})
    return aws.client(service, config=config)


def _call(service: str, operation: str, **parameters: Any) -> Callable[[LocalAws], str]:
    """Make a call that boto3 itself does not check."""

    def ask(aws: LocalAws) -> str:
        client = _unchecked_client(aws, service)
        given = {name: value(aws) if callable(value) else value for name, value in parameters.items()}
        return outcome(lambda: getattr(client, operation)(**given))

    return ask


def _parts(numbers: list[int], **chosen: Any) -> Callable[[LocalAws], str]:
    """Complete an upload whose parts are listed in some order."""

    def ask(aws: LocalAws) -> str:
        objects, where = aws.client("s3"), {"Bucket": new_bucket(aws), "Key": "parts"}
        where["UploadId"] = objects.create_multipart_upload(**where)["UploadId"]
        body = b"x" * 5 * 1024 * 1024
        tags = {n: objects.upload_part(**where, PartNumber=n, Body=body)["ETag"] for n in sorted(numbers)}
        parts = [{"PartNumber": number, "ETag": tags[number]} for number in numbers]
        return outcome(lambda: objects.complete_multipart_upload(**where, MultipartUpload={"Parts": parts}))

    return ask


def _copied(aws: LocalAws) -> str:
    objects, bucket = aws.client("s3"), new_bucket(aws)
    objects.put_object(Bucket=bucket, Key="same", Body=b"1")
    return outcome(lambda: objects.copy_object(Bucket=bucket, Key="same", CopySource=f"{bucket}/same"))


def _datum(**members: Any) -> Callable[[LocalAws], str]:
    return _call("cloudwatch", "put_metric_data", Namespace="Tests", MetricData=[{"MetricName": "m", **members}])


def _alarm(**changes: Any) -> Callable[[LocalAws], str]:
    alarm = {
        "AlarmName": unique("alarm"),
        "Namespace": "Tests",
        "MetricName": "m",
        "Statistic": "Sum",
        "Period": 60,
        "EvaluationPeriods": 1,
        "Threshold": 1,
        "ComparisonOperator": "GreaterThanThreshold",
    }
    return _call("cloudwatch", "put_metric_alarm", **{**alarm, **changes})


def _statistics(**changes: Any) -> Callable[[LocalAws], str]:
    wanted = {
        "Namespace": "Tests",
        "MetricName": "m",
        "StartTime": 0,
        "EndTime": 600,
        "Period": 60,
        "Statistics": ["Sum"],
    }
    return _call("cloudwatch", "get_metric_statistics", **{**wanted, **changes})


def _queries(*ids: str, **changes: Any) -> Callable[[LocalAws], str]:
    stat = {"Metric": {"Namespace": "Tests", "MetricName": "m"}, "Period": 60, "Stat": "Sum", **changes}
    queries = [{"Id": name, "MetricStat": stat} for name in ids]
    return _call("cloudwatch", "get_metric_data", StartTime=0, EndTime=600, MetricDataQueries=queries)


def _group(aws: LocalAws) -> str:
    logs, group = aws.client("logs"), f"/tests/{unique('refused')}"
    logs.create_log_group(logGroupName=group)
    logs.create_log_stream(logGroupName=group, logStreamName="stream")
    return group


def _events(*seconds: float) -> Callable[[LocalAws], str]:
    """Put events of some seconds from now; return which are rejected."""

    def ask(aws: LocalAws) -> str:
        now = time.time()
        events = [{"timestamp": int((now + one) * 1000), "message": "m"} for one in seconds]
        where = {"logGroupName": _group(aws), "logStreamName": "stream"}
        answers: list[Any] = []
        refused = outcome(
            lambda: answers.append(_unchecked_client(aws, "logs").put_log_events(**where, logEvents=events))
        )
        return json.dumps(answers[0].get("rejectedLogEventsInfo")) if answers else refused

    return ask


def _trust(document: str) -> Callable[[LocalAws], str]:
    return _call("iam", "create_role", RoleName=unique("role"), AssumeRolePolicyDocument=document)


def _statement(**members: Any) -> str:
    return json.dumps(
        {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", **members}]}
    )


def _stack(**members: Any) -> Callable[[LocalAws], str]:
    return _call("cloudformation", "create_stack", StackName=unique("refused"), TemplateBody=template(TOPIC), **members)


def _object(**members: Any) -> Callable[[LocalAws], str]:
    return _call("s3", "put_object", **{"Bucket": new_bucket, "Key": "key", "Body": b"1", **members})


_SERVICE = {"Principal": {"Service": "sagemaker.amazonaws.com"}}
_DATUM = f"{_METRICS}/API_MetricDatum.html"
_PUT_ALARM = f"{_METRICS}/API_PutMetricAlarm.html"
_MALFORMED = "MalformedXML: The XML you provided was not well-formed*"
REFUSED_REQUESTS = [
    Case(
        "a key of 1025 bytes",
        _object(Key="k" * 1025),
        "KeyTooLongError: Your key is too long",
        f"{_S3}/ErrorResponses.html",
    ),
    Case(
        "metadata of more than 2 KB",
        _object(Metadata={"a": "x" * 2100}),
        "MetadataTooLarge: *",
        f"{_S3}/ErrorResponses.html",
    ),
    Case("parts out of order", _parts([2, 1]), "InvalidPartOrder: *", f"{_S3}/API_CompleteMultipartUpload.html"),
    Case("an upload without parts", _parts([]), _MALFORMED, f"{_S3}/API_CompleteMultipartUpload.html"),
    Case(
        "a deletion of 1001 objects",
        _call("s3", "delete_objects", Bucket=new_bucket, Delete={"Objects": [{"Key": str(n)} for n in range(1001)]}),
        _MALFORMED,
        f"{_S3}/API_DeleteObjects.html",
    ),
    Case(
        "a copy onto the object itself",
        _copied,
        "InvalidRequest: This copy request is illegal*",
        f"{_S3}/API_CopyObject.html",
    ),
    Case(
        "two tags of one key",
        _call("s3", "put_bucket_tagging", Bucket=new_bucket, Tagging={"TagSet": [{"Key": "a", "Value": "1"}] * 2}),
        "InvalidTag: *",
        f"{_S3}/API_PutBucketTagging.html",
    ),
    Case(
        "a continuation token that is none",
        _call("s3", "list_objects_v2", Bucket=new_bucket, ContinuationToken="garbage"),
        "InvalidArgument: The continuation token provided is incorrect",
        f"{_S3}/API_ListObjectsV2.html",
    ),
    Case(
        "a negative MaxKeys",
        _call("s3", "list_objects_v2", Bucket=new_bucket, MaxKeys=-1),
        "InvalidArgument: *",
        f"{_S3}/API_ListObjectsV2.html",
    ),
    Case(
        "a metric of 15 days ago",
        _datum(Value=1.0, Timestamp=time.time() - 15 * _DAY),
        "InvalidParameterValue: *MetricData.member.1.Timestamp*two weeks*",
        _DATUM,
    ),
    Case(
        "a metric of tomorrow",
        _datum(Value=1.0, Timestamp=time.time() + _DAY),
        "InvalidParameterValue: *MetricData.member.1.Timestamp*two hours*",
        _DATUM,
    ),
    Case("a metric without a value", _datum(), "MissingParameter: *", _DATUM),
    Case("a metric with a value and values", _datum(Value=1.0, Values=[1.0]), "InvalidParameterCombination: *", _DATUM),
    Case("more values than counts", _datum(Values=[1.0, 2.0], Counts=[1.0]), "InvalidParameterCombination: *", _DATUM),
    Case("151 values", _datum(Values=[1.0] * 151), "InvalidParameterValue: *150.", _DATUM),
    Case("a resolution of 7 s", _datum(Value=1.0, StorageResolution=7), "InvalidParameterValue: *", _DATUM),
    Case("an unknown unit", _datum(Value=1.0, Unit="Parsec"), "ValidationError: *'metricData.1.member.unit'*", _DATUM),
    Case(
        "31 dimensions",
        _datum(Value=1.0, Dimensions=[{"Name": f"n{n}", "Value": "v"} for n in range(31)]),
        "ValidationError: *'metricData.1.member.dimensions'*",
        _DATUM,
    ),
    Case(
        "an alarm's name of 256 characters", _alarm(AlarmName="a" * 256), "ValidationError: *'alarmName'*", _PUT_ALARM
    ),
    Case(
        "an alarm with an unknown operator",
        _alarm(ComparisonOperator="Nope"),
        "ValidationError: *'comparisonOperator'*",
        _PUT_ALARM,
    ),
    Case(
        "more datapoints than periods", _alarm(DatapointsToAlarm=2), "ValidationError: *DatapointsToAlarm*", _PUT_ALARM
    ),
    Case(
        "an alarm over more than a day",
        _alarm(EvaluationPeriods=1441),
        "ValidationError: Metrics cannot be checked across more than a day*",
        _PUT_ALARM,
    ),
    Case(
        "an alarm with two kinds of statistic",
        _alarm(ExtendedStatistic="p99"),
        "InvalidParameterCombination: *",
        _PUT_ALARM,
    ),
    Case(
        "an alarm on a percentile above 100",
        _alarm(ExtendedStatistic="p101"),
        "InvalidParameterValue: The value p101 for parameter ExtendedStatistic is not supported.",
        _PUT_ALARM,
    ),
    Case(
        "data of a statistic that is none",
        _queries("a", Stat="Median"),
        "ValidationError: The value Median for parameter MetricDataQueries.member.1.MetricStat.Stat is not supported.",
        f"{_METRICS}/API_MetricStat.html",
    ),
    Case(
        "an unknown treatment of missing data",
        _alarm(TreatMissingData="nope"),
        "ValidationError: *TreatMissingData*",
        _PUT_ALARM,
    ),
    Case(
        "an alarm's action that is no ARN",
        _alarm(AlarmActions=["nope"]),
        "ValidationError: Invalid arn syntax: nope",
        _PUT_ALARM,
    ),
    Case(
        "six actions of an alarm",
        _alarm(AlarmActions=["arn:aws:sns:us-west-2:123456789012:t"] * 6),
        "ValidationError: *'alarmActions'*",
        _PUT_ALARM,
    ),
    Case(
        "statistics that end before they begin",
        _statistics(StartTime=600, EndTime=0),
        "InvalidParameterCombination: The parameter StartTime must be less than the parameter EndTime.",
        f"{_METRICS}/API_GetMetricStatistics.html",
    ),
    Case(
        "1441 datapoints",
        _statistics(EndTime=1441 * 60),
        "InvalidParameterCombination: You have requested up to 1,441 datapoints*",
        f"{_METRICS}/API_GetMetricStatistics.html",
    ),
    Case(
        "two queries of one id",
        _queries("a", "a"),
        "ValidationError: *not unique*",
        f"{_METRICS}/API_GetMetricData.html",
    ),
    Case(
        "a query's id in capitals",
        _queries("A"),
        "ValidationError: *MetricDataQueries.member.1.Id*",
        f"{_METRICS}/API_MetricDataQuery.html",
    ),
    Case(
        "a query with a period of 7 s",
        _queries("a", Period=7),
        "ValidationError: *Period*",
        f"{_METRICS}/API_MetricStat.html",
    ),
    Case(
        "a dashboard's name with a blank",
        _call("cloudwatch", "put_dashboard", DashboardName="a b", DashboardBody='{"widgets": []}'),
        "InvalidParameterInput: *DashboardName*",
        f"{_METRICS}/API_PutDashboard.html",
    ),
    Case(
        "log events out of order",
        _events(0, -5),
        "InvalidParameterException: *chronological order.",
        f"{_LOGS}/API_PutLogEvents.html",
    ),
    Case(
        "log events that are too old",
        _events(-15 * _DAY, 0),
        '{"tooOldLogEventEndIndex": 1}',
        f"{_LOGS}/API_RejectedLogEventsInfo.html",
    ),
    Case(
        "log events of tomorrow",
        _events(0, _DAY),
        '{"tooNewLogEventStartIndex": 1}',
        f"{_LOGS}/API_RejectedLogEventsInfo.html",
    ),
    Case("no log events", _events(), "InvalidParameterException: *'logEvents'*", f"{_LOGS}/API_PutLogEvents.html"),
    Case(
        "a limit of 0 log events",
        _call("logs", "filter_log_events", logGroupName=_group, limit=0),
        "InvalidParameterException: *'limit'*",
        f"{_LOGS}/API_FilterLogEvents.html",
    ),
    Case(
        "log events of a stream that is not there",
        _call("logs", "filter_log_events", logGroupName=_group, logStreamNames=["nope"]),
        "ResourceNotFoundException: The specified log stream does not exist.",
        f"{_LOGS}/API_FilterLogEvents.html",
    ),
    Case(
        "a log group's name with a blank",
        _call("logs", "create_log_group", logGroupName="a b"),
        "InvalidParameterException: *'logGroupName'*",
        f"{_LOGS}/API_CreateLogGroup.html",
    ),
    Case(
        "a role's name with a blank",
        _call("iam", "create_role", RoleName="a b", AssumeRolePolicyDocument=_statement(**_SERVICE)),
        "ValidationError: *'roleName'*",
        f"{_IAM}/API_CreateRole.html",
    ),
    Case(
        "a trust policy that is no JSON",
        _trust("{"),
        "MalformedPolicyDocument: This policy contains invalid Json",
        f"{_IAM}/API_CreateRole.html",
    ),
    Case(
        "a trust policy without a principal",
        _trust(_statement()),
        "MalformedPolicyDocument: Missing required field Principal",
        f"{_IAM}/API_CreateRole.html",
    ),
    Case(
        "a trust policy with a resource",
        _trust(_statement(**_SERVICE, Resource="*")),
        "MalformedPolicyDocument: Has prohibited field Resource",
        f"{_IAM}/API_CreateRole.html",
    ),
    Case(
        "a stack policy that is none",
        _stack(StackPolicyBody="{}"),
        "ValidationError: Error validating stack policy: Invalid stack policy",
        f"{CFN}/APIReference/API_SetStackPolicy.html",
    ),
    Case(
        "two templates at once",
        _stack(TemplateURL="https://s3.amazonaws.com/a/b"),
        "ValidationError: *only one of TemplateBody or TemplateURL*",
        f"{CFN}/APIReference/API_CreateStack.html",
    ),
    Case(
        "a timeout of 0 minutes",
        _stack(TimeoutInMinutes=0),
        "ValidationError: *'timeoutInMinutes'*",
        f"{CFN}/APIReference/API_CreateStack.html",
    ),
    Case(
        "six topics of a stack",
        _stack(NotificationARNs=["arn:aws:sns:us-west-2:123456789012:t"] * 6),
        "ValidationError: *'notificationARNs'*",
        f"{CFN}/APIReference/API_CreateStack.html",
    ),
    Case(
        "a change set's name that begins with a digit",
        _call(
            "cloudformation",
            "create_change_set",
            StackName=lambda aws: made(aws, template(TOPIC)),
            ChangeSetName="1a",
            TemplateBody=template(TOPIC),
        ),
        "ValidationError: *'changeSetName'*",
        f"{CFN}/APIReference/API_CreateChangeSet.html",
    ),
    Case(
        "stacks of an unknown status",
        _call("cloudformation", "list_stacks", StackStatusFilter=["NOPE"]),
        "ValidationError: *'stackStatusFilter.1.member'*",
        f"{CFN}/APIReference/API_ListStacks.html",
    ),
]
