"""What a save writes and an alarm's evaluation reads does not follow how many points were put."""

import json

from tests.local_aws.gateway_script import run_with_gateway

# Runs where ministack is installed: puts points by the hour, and prints what is saved and read after each time.
_PUTS = """
import time
from local_aws.alarms.evaluation import windows
from ministack.services import cloudwatch

scope = Scope("123456789012", "us-west-2")

def call(operation, **document):
    target = f"GraniteServiceVersion20100801.{operation}"
    headers = {"x-amz-target": target, "content-type": "application/x-amz-json-1.0"}
    answer = asyncio.run(cloudwatch.handle_request("POST", "/", headers, json.dumps(document).encode(), {}))
    assert answer[0] == 200, answer

alarm = {"AlarmName": "a", "Namespace": "n", "MetricName": "m", "ExtendedStatistic": "p99", "Period": 60,
         "EvaluationPeriods": 3, "Threshold": 1.0, "ComparisonOperator": "GreaterThanThreshold"}
call("PutMetricAlarm", **alarm)
now = int(time.time()) // 60 * 60
costs = []
for hours in (range(1), range(1, 10)):
    for hour in hours:
        times = range(now - 60 - 3600 * hour, now - 60 - 3600 * (hour + 1), -60)
        data = [{"MetricName": "m", "Timestamp": at, "Values": [1.0, 2.0, at % 7.0]} for at in times]
        call("PutMetricData", Namespace="n", MetricData=data)
    before = built.metrics.rows_read
    found = built.cloudwatch.statistics(scope, alarm, windows(now, 60, 5))
    assert None not in found, found
    read = built.metrics.rows_read - before
    states = [get_state() for get_state in app._build_persistence_save_dict().values()]
    costs.append([len(json.dumps(states, default=persistence._json_default)), read])
print(json.dumps(costs))
"""


def test_neither_a_save_nor_an_alarm_follows_the_history(tmp_path):
    (bytes_saved, rows_read), later = json.loads(run_with_gateway(_PUTS, tmp_path))
    assert later == [bytes_saved, rows_read]
