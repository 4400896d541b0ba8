"""The alarms of all endpoints, and what their variants did in the last minutes, by few calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from slipway.aws.calls import aws_call
from slipway.aws.cloudwatch import NAMESPACE, metric_query
from slipway.aws.patience import patient
from slipway.aws.session import AwsHook

# The largest page of DescribeAlarms, and the most queries of one GetMetricData.
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DescribeAlarms.html
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html
ALARMS_IN_A_PAGE = 100
QUERIES_IN_A_CALL = 500
_MINUTE_SECONDS = 60
# The beginning of the names of the template's alarms.
_ALARM_PREFIX = "slipway-"
_FIRES = "ALARM"


@dataclass(frozen=True)
class AlarmState:
    """The state of one of the template's alarms.

    :param name: without what all alarms of its endpoint begin with
    :param full_name: its name in CloudWatch, which is another one for each configuration of the endpoint
    :param since: when it came into this state, ISO 8601, UTC
    :param reason: why, in CloudWatch's words
    :param description: what it watches, and what to do
    """

    endpoint: str
    name: str
    state: str
    variant: str = ""
    full_name: str = ""
    since: str = ""
    reason: str = ""
    description: str = ""

    @property
    def fires(self) -> bool:
        """Tell whether it is in the state ALARM."""
        return self.state == _FIRES


@dataclass(frozen=True)
class MetricOfVariant:
    """One statistic of one metric of SageMaker's, of one variant."""

    endpoint: str
    variant: str
    metric: str
    statistic: str


class EndpointMetricsHook(AwsHook):
    """Alarms and metrics of many endpoints at once.

    https://docs.aws.amazon.com/sagemaker/latest/dg/monitoring-cloudwatch.html
    """

    service = "cloudwatch"

    @patient
    def alarm_states(self) -> list[AlarmState]:
        """Read the states of the alarms of all endpoints; one call for each hundred alarms.

        https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DescribeAlarms.html

        :raises slipway.errors.AwsError: when a call fails
        """
        with aws_call("list the alarms", f"{_ALARM_PREFIX}*"):
            pages = self.conn.get_paginator("describe_alarms").paginate(
                AlarmNamePrefix=_ALARM_PREFIX, AlarmTypes=["MetricAlarm"], MaxRecords=ALARMS_IN_A_PAGE
            )
            return [found for page in pages for one in page["MetricAlarms"] if (found := _alarm(one))]

    @patient
    def minutes(
        self, wanted: Sequence[MetricOfVariant], now: datetime, minutes: int
    ) -> dict[MetricOfVariant, dict[datetime, float]]:
        """Read the last whole minutes of some metrics; one call for each five hundred of them.

        https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html

        :param wanted: the metrics
        :param now: until when
        :param minutes: how many minutes
        :returns: the values by the beginning of their minute; a metric or a minute without data is left out
        :raises slipway.errors.AwsError: when a call fails
        """
        end = now.astimezone(UTC).replace(second=0, microsecond=0)
        found: dict[MetricOfVariant, dict[datetime, float]] = {}
        remaining = iter(wanted)
        while batch := list(islice(remaining, QUERIES_IN_A_CALL)):
            queries = [
                metric_query(f"q{at}", NAMESPACE, one.metric, one.statistic, one.endpoint, one.variant, _MINUTE_SECONDS)
                for at, one in enumerate(batch)
            ]
            with aws_call("read the metrics", "all endpoints"):
                pages = self.conn.get_paginator("get_metric_data").paginate(
                    StartTime=end - timedelta(minutes=minutes), EndTime=end, MetricDataQueries=queries
                )
                for result in (one for page in pages for one in page["MetricDataResults"]):
                    values = zip(result["Timestamps"], result["Values"], strict=True)
                    found.setdefault(batch[int(result["Id"][1:])], {}).update(values)
        return {metric: values for metric, values in found.items() if values}


def _alarm(found: Mapping[str, Any]) -> AlarmState | None:
    """Read one of the template's alarms: its name begins with its endpoint and the endpoint's configuration.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricAlarm.html
    """
    dimensions = {one["Name"]: one["Value"] for one in found.get("Dimensions", ())}
    endpoint, config = dimensions.get("EndpointName", ""), dimensions.get("EndpointConfigName", "")
    name = found["AlarmName"]
    if not endpoint or not name.startswith(beginning := f"{_ALARM_PREFIX}{endpoint}-"):
        return None
    since = found.get("StateTransitionedTimestamp") or found.get("StateUpdatedTimestamp")
    return AlarmState(
        endpoint,
        name.removeprefix(beginning).removeprefix(f"{config}-"),
        found["StateValue"],
        variant=dimensions.get("VariantName", ""),
        full_name=name,
        since=since.astimezone(UTC).isoformat() if since else "",
        reason=found.get("StateReason", ""),
        description=found.get("AlarmDescription", ""),
    )
