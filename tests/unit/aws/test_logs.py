"""Following a training job's log: nothing twice, nothing lost."""

import asyncio

from slipway.aws.logs import LogsHook, LogTail
from tests.unit.aws.stubs import stubbed


class Logs:
    """CloudWatch Logs with one stream; a token is the place in it."""

    def __init__(self, lines: list[str], page: int = 2) -> None:
        self.lines, self.page = lines, page

    async def describe_log_streams(self, logGroupName, logStreamNamePrefix):
        return {"logStreams": [{"logStreamName": f"{logStreamNamePrefix}algo-1-1"}]}

    async def get_log_events(self, logGroupName, logStreamName, startFromHead, nextToken="0"):
        start = int(nextToken)
        found = self.lines[start : start + self.page]
        return {"events": [{"message": line} for line in found], "nextForwardToken": str(start + len(found))}


def read(tail, logs):
    return asyncio.run(tail.read(logs, stream_count=1))


def test_every_line_is_read_once():
    logs, tail = Logs(["a", "b", "c\n"]), LogTail("job")
    assert read(tail, logs) == ["a", "b", "c"]
    assert read(tail, logs) == []
    logs.lines.append("d")
    assert read(tail, logs) == ["d"]


def test_a_tail_goes_on_where_its_tokens_say():
    logs, tail = Logs(["a", "b", "c"]), LogTail("job")
    read(tail, logs)
    logs.lines.append("d")
    assert read(LogTail("job", dict(tail.tokens)), logs) == ["d"]


def test_the_last_lines_of_a_job_that_never_logged():
    hook = LogsHook(aws_conn_id=None, region_name="us-west-2")
    stubbed(hook, "logs").add_client_error("describe_log_streams", "ResourceNotFoundException", "no group")
    assert hook.last_lines("job", 5) == []


def test_the_last_lines_of_a_job():
    hook = LogsHook(aws_conn_id=None, region_name="us-west-2")
    stub = stubbed(hook, "logs")
    stub.add_response("describe_log_streams", {"logStreams": [{"logStreamName": "job/algo-1-1"}]})
    stub.add_response("get_log_events", {"events": [{"message": "the end\n"}]})
    assert hook.last_lines("job", 5) == ["the end"]
