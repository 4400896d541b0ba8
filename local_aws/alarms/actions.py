"""What CloudWatch sends when an alarm changes its state.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-actions.html
"""

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

import botocore.session

from local_aws.alarms.evaluation import iso
from local_aws.framework.store import Scope

_ACTIONS = {"ALARM": "AlarmActions", "OK": "OKActions", "INSUFFICIENT_DATA": "InsufficientDataActions"}
# https://docs.aws.amazon.com/sns/latest/api/API_Publish.html, Subject
_MAX_SUBJECT = 100


def actions_of(alarm: Mapping[str, Any], state: str, service: str) -> list[str]:
    """Return the ARNs of an alarm's actions.

    :param alarm: a MetricAlarm or CompositeAlarm
    :param state: the new state
    :param service: whose ARNs are wanted, such as ``sns``
    :returns: none where the alarm's actions are disabled
    """
    if not alarm.get("ActionsEnabled", True):
        return []
    return [arn for arn in alarm.get(_ACTIONS[state]) or [] if arn.split(":")[2:3] == [service]]


def notification(
    scope: Scope, alarm: Mapping[str, Any], old: str, new: str, reason: str, now: float
) -> tuple[str, str]:
    """Write what CloudWatch publishes to an SNS topic.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Notify_Users_Alarm_Changes.html

    :param scope: the alarm's account and region
    :param alarm: a MetricAlarm or CompositeAlarm
    :param old: the state before
    :param new: the state now
    :param reason: its StateReason
    :param now: when, epoch seconds
    :returns: subject and message
    """
    region = _region_name(scope.region)
    message = {
        "AlarmName": alarm["AlarmName"],
        "AlarmDescription": alarm.get("AlarmDescription") or None,
        "AWSAccountId": scope.account_id,
        "AlarmConfigurationUpdatedTimestamp": iso(alarm["AlarmConfigurationUpdatedTimestamp"]),
        "NewStateValue": new,
        "NewStateReason": reason,
        "StateChangeTime": iso(now),
        "Region": region,
        "AlarmArn": alarm["AlarmArn"],
        "OldStateValue": old,
        **{member: alarm.get(member) or [] for member in ("OKActions", "AlarmActions", "InsufficientDataActions")},
        **({"AlarmRule": alarm["AlarmRule"]} if "AlarmRule" in alarm else {"Trigger": _trigger(alarm)}),
    }
    return f'{new}: "{alarm["AlarmName"]}" in {region}'[:_MAX_SUBJECT], json.dumps(message)


def _trigger(alarm: Mapping[str, Any]) -> dict[str, Any]:
    extended = alarm.get("ExtendedStatistic")
    statistic = (
        {"StatisticType": "ExtendedStatistic", "ExtendedStatistic": extended}
        if extended
        else {"StatisticType": "Statistic", "Statistic": alarm["Statistic"].upper()}
    )
    return {
        "MetricName": alarm["MetricName"],
        "Namespace": alarm["Namespace"],
        **statistic,
        "Unit": alarm.get("Unit"),
        "Dimensions": [{"value": item["Value"], "name": item["Name"]} for item in alarm.get("Dimensions") or []],
        "Period": alarm["Period"],
        "EvaluationPeriods": alarm["EvaluationPeriods"],
        "DatapointsToAlarm": alarm.get("DatapointsToAlarm") or alarm["EvaluationPeriods"],
        "ComparisonOperator": alarm["ComparisonOperator"],
        "Threshold": alarm["Threshold"],
        "TreatMissingData": alarm.get("TreatMissingData") or "missing",
        "EvaluateLowSampleCountPercentile": "",
    }


@cache
def _region_name(region: str) -> str:
    for partition in botocore.session.get_session().get_data("endpoints")["partitions"]:
        if region in partition["regions"]:
            return partition["regions"][region]["description"]
    return region
