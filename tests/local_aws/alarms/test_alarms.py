"""Alarms of CloudWatch as a client sees them; AWS's minutes pass 120 times as fast."""

import json
import time

import pytest

from tests.local_aws.server import FROM_SERVICES, LocalAws, eventually

pytestmark = pytest.mark.local_aws

TIME_SCALE = 120
DIMENSIONS = [{"Name": "EndpointName", "Value": "e"}]


@pytest.fixture(scope="module")
def aws(tmp_path_factory):
    running = LocalAws(tmp_path_factory.mktemp("alarms") / "state", "--time-scale", str(TIME_SCALE)).start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def cloudwatch(aws):
    return aws.client("cloudwatch")


@pytest.fixture(scope="module")
def topic(aws):
    """A topic's ARN, and its messages."""
    sns, sqs = aws.client("sns"), aws.client("sqs")
    arn = sns.create_topic(Name="alarms")["TopicArn"]
    queue = sqs.create_queue(QueueName="alarms", Attributes=FROM_SERVICES)["QueueUrl"]
    queue_arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=queue_arn)

    def received():
        found = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
        return [json.loads(message["Body"]) for message in found]

    return arn, received


def put_alarm(cloudwatch, name, **changes):
    cloudwatch.put_metric_alarm(
        **{
            "AlarmName": name,
            "Namespace": "Slipway",
            "MetricName": name,
            "Dimensions": DIMENSIONS,
            "Period": 60,
            "EvaluationPeriods": 3,
            "DatapointsToAlarm": 2,
            "Threshold": 50.0,
            "ComparisonOperator": "GreaterThanThreshold",
            **changes,
        }
    )


def stored_states(stored, name):
    """Return what the state on disk says of an alarm."""
    if isinstance(stored, dict):
        found = {stored["StateValue"]} if stored.get("AlarmName") == name and "StateValue" in stored else set()
        return found.union(*(stored_states(value, name) for value in stored.values()))
    if isinstance(stored, list):
        return set().union(*(stored_states(value, name) for value in stored))
    return set()


def put_values(cloudwatch, name, *values, dimensions=DIMENSIONS, periods=1):
    """Put values for this period, and for some before it, however late a busy machine is."""
    datum = {"MetricName": name, "Dimensions": dimensions, "Values": [float(value) for value in values]}
    now = time.time()
    data = [{**datum, "Timestamp": now - 60 / TIME_SCALE * number} for number in range(periods)]
    cloudwatch.put_metric_data(Namespace="Slipway", MetricData=data)


def alarm(cloudwatch, name):
    return cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"][0]


def until(cloudwatch, name, state, act=lambda: None):
    """Repeat something until an alarm is in a state."""

    def look():
        act()
        return alarm(cloudwatch, name)

    return eventually(look, lambda found: found["StateValue"] == state, 60)


def test_a_percentile_goes_off_and_comes_back(cloudwatch, topic):
    arn, received = topic
    put_alarm(cloudwatch, "p90", ExtendedStatistic="p90", AlarmActions=[arn], OKActions=[arn])
    found = until(cloudwatch, "p90", "ALARM", lambda: put_values(cloudwatch, "p90", *range(1, 101), periods=3))
    assert "out of the last 3 datapoints [9" in found["StateReason"]
    assert "were greater than the threshold (50.0) (minimum 2 datapoints for" in found["StateReason"]
    assert json.loads(found["StateReasonData"])["statistic"] == "p90"
    # It is evaluated without any call of a client, and it has no state without data.
    until(cloudwatch, "p90", "INSUFFICIENT_DATA")
    until(cloudwatch, "p90", "OK", lambda: put_values(cloudwatch, "p90", 1, 1, 1))

    items = cloudwatch.describe_alarm_history(AlarmName="p90", HistoryItemType="StateUpdate")["AlarmHistoryItems"]
    changes = [item["HistorySummary"] for item in items][::-1]
    assert changes[-2:] == [
        "Alarm updated from ALARM to INSUFFICIENT_DATA",
        "Alarm updated from INSUFFICIENT_DATA to OK",
    ]
    messages = [message for message in received() if "p90" in message["Subject"]]
    told = {json.loads(message["Message"])["NewStateValue"]: message for message in messages}
    assert told.keys() == {"ALARM", "OK"}
    assert told["ALARM"]["Subject"] == 'ALARM: "p90" in US West (Oregon)'
    content = json.loads(told["ALARM"]["Message"])
    assert (content["AWSAccountId"], content["AlarmArn"]) == ("123456789012", found["AlarmArn"])
    assert content["Trigger"]["ExtendedStatistic"] == "p90"
    assert content["Trigger"]["Dimensions"] == [{"value": "e", "name": "EndpointName"}]


def test_only_its_own_dimensions_count(cloudwatch):
    put_alarm(cloudwatch, "own", Statistic="Maximum", EvaluationPeriods=1, DatapointsToAlarm=1)
    other = [{"Name": "EndpointName", "Value": "other"}]

    def both():
        put_values(cloudwatch, "own", 1)
        put_values(cloudwatch, "own", 100, dimensions=other)

    until(cloudwatch, "own", "OK", both)
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline:
        both()
        # A busy machine may let a period pass without a value.
        assert alarm(cloudwatch, "own")["StateValue"] != "ALARM"


def test_missing_data_as_the_alarm_says(cloudwatch):
    for treatment, state in {"breaching": "ALARM", "notBreaching": "OK"}.items():
        put_alarm(cloudwatch, treatment, Statistic="Sum", TreatMissingData=treatment)
        until(cloudwatch, treatment, state)


def test_disabled_actions_and_composite_alarms(cloudwatch, topic):
    arn, received = topic
    put_alarm(cloudwatch, "child", Statistic="Sum", TreatMissingData="notBreaching", AlarmActions=[arn])
    cloudwatch.disable_alarm_actions(AlarmNames=["child"])
    cloudwatch.put_composite_alarm(AlarmName="parent", AlarmRule='ALARM("child")', AlarmActions=[arn])
    until(cloudwatch, "child", "ALARM", lambda: put_values(cloudwatch, "child", 1000))
    described = cloudwatch.describe_alarms(AlarmNames=["parent"], AlarmTypes=["CompositeAlarm"])
    assert described["CompositeAlarms"][0]["StateValue"] == "ALARM"
    subjects = eventually(lambda: [message["Subject"] for message in received()], len)
    assert subjects == ['ALARM: "parent" in US West (Oregon)']


def test_a_state_outlives_the_process(aws, cloudwatch):
    put_alarm(cloudwatch, "kept", Statistic="Sum", TreatMissingData="ignore", EvaluationPeriods=1, DatapointsToAlarm=1)
    until(cloudwatch, "kept", "ALARM", lambda: put_values(cloudwatch, "kept", 1000))
    # No request makes this change, so it is saved later.
    eventually(lambda: stored_states(aws.saved(), "kept"), lambda states: "ALARM" in states)
    aws.kill()
    aws.start()
    assert alarm(cloudwatch, "kept")["StateValue"] == "ALARM"
