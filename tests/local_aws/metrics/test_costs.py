"""What a save writes and an alarm's evaluation reads does not follow how many points were put."""

import json
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[3]

# Runs where ministack is installed: puts points by the hour, and prints what is saved and read after each time.
_PUTS = """
import asyncio, json, sys, time
from pathlib import Path
from local_aws.alarms.evaluation import windows
from local_aws.framework.disk import Disk
from local_aws.framework.store import Scope, Store
from local_aws.host import gateway
from local_aws.host.stack_operations import Journal
from local_aws.settings import Settings

folder = Path(sys.argv[1])
disk = Disk(folder)
journal = Journal(Store(folder / "store", disk))
built = gateway.Gateway(Settings(port=1, bind="127.0.0.1", state_dir=folder), journal, disk)
from ministack import app
from ministack.core import persistence, responses
from ministack.services import cloudwatch

scope = Scope("123456789012", "us-west-2")
responses.set_request_account_id(scope.account_id)
responses.set_request_region(scope.region)

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
    answer = subprocess.run(
        [ROOT / ".venv-aws/bin/python", "-c", _PUTS, tmp_path], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stderr
    (bytes_saved, rows_read), later = json.loads(answer.stdout.splitlines()[-1])
    assert later == [bytes_saved, rows_read]
