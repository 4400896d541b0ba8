"""A log line is kept once: Logs Insights, for which ministack keeps each a second time, is not there."""

import json
import sqlite3
from contextlib import closing

import pytest

from tests.local_aws.gateway_script import run_with_gateway

# Runs where ministack is installed; prints how many lines it finds, how many second copies, and how many rows of the
# group's own are on disk.
PUT = """
import time
from ministack.services import cloudwatch_logs as logs

app._load_persisted_state()
now = int(time.time() * 1000)
logs._create_log_group({"logGroupName": "jobs"})
logs._create_log_stream({"logGroupName": "jobs", "logStreamName": "job"})
for number in range(int(sys.argv[2])):
    line = {"timestamp": now + number, "message": "a line"}
    logs._put_log_events({"logGroupName": "jobs", "logStreamName": "job", "logEvents": [line]})
built.persistence.save_later("logs")
built.persistence.save()
kept = len(logs._log_records)
rows = built.persistence._rows._database.rows("SELECT member FROM entries WHERE state = 'cloudwatch_logs'")
print(json.dumps([kept, sorted({member for member, in rows}), len(rows)]))
"""
START = """
from ministack.services import cloudwatch_logs as logs

read = []
rows = built.persistence._rows
every = rows.read
rows.read = lambda state: [read.append(state) or row for row in every(state)]
app._load_persisted_state()
lines = logs._get_log_events({"logGroupName": "jobs", "logStreamName": "job", "startFromHead": True})[2]
print(json.dumps([len(json.loads(lines)["events"]), len(logs._log_records), read.count("cloudwatch_logs")]))
"""
_INSERT = "INSERT INTO entries (state, member, key, part, body) VALUES ('cloudwatch_logs', 'log_records', ?, '', ?)"


@pytest.mark.parametrize("count", [32, 320])
def test_a_line_is_kept_once_and_copies_of_an_earlier_version_go_at_a_start(tmp_path, count):
    kept, members, rows = json.loads(run_with_gateway(PUT, tmp_path, str(count)))
    # The group, its stream, and a piece for each 32 lines.
    assert (kept, members, rows) == (0, ["log_groups"], 2 + count // 32)
    copies = [
        (json.dumps(["123456789012", "us-west-2", str(number)]), json.dumps({"@ptr": str(number), "@log": "jobs"}))
        for number in range(count)
    ]
    with closing(sqlite3.connect(tmp_path / "ministack/state.sqlite")) as former, former:
        former.executemany(_INSERT, copies)
    assert json.loads(run_with_gateway(START, tmp_path)) == [count, 0, rows]
    assert json.loads(run_with_gateway(START, tmp_path)) == [count, 0, rows]


# A full disk: nothing can be removed, and the copies are read and left alone.
FULL = """
from local_aws.framework.disk import DiskFull

def full(members):
    raise DiskFull("full")

built.persistence._rows.forget = full
"""


def test_a_start_on_a_full_disk_leaves_the_copies_where_they_are(tmp_path):
    run_with_gateway(PUT, tmp_path, "32")
    with closing(sqlite3.connect(tmp_path / "ministack/state.sqlite")) as former, former:
        former.execute(_INSERT, (json.dumps(["123456789012", "us-west-2", "1"]), json.dumps({"@log": "jobs"})))
    assert json.loads(run_with_gateway(FULL + START, tmp_path)) == [32, 0, 4]
    assert json.loads(run_with_gateway(START, tmp_path)) == [32, 0, 3]
