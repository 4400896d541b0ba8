"""`.venv-aws/bin/python -m bench.local_aws_state`: what the saves of the local AWS cost in an account with a history.

It runs in the local AWS's own environment and process, without HTTP: it makes what stacks of endpoints leave in the
state, a queue in which messages wait and an object with many versions, and prints the CPU time of each save.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from local_aws.framework.disk import Disk
from local_aws.framework.store import Store
from local_aws.host.gateway import Gateway
from local_aws.host.stack_operations import Journal
from local_aws.host.used_entries import begin_call
from local_aws.settings import Settings

ACCOUNT, REGION, BUCKET, KEY = "123456789012", "us-west-2", "kept", "training_jobs/model/trainingjob.zip"
_TIMES = 10
_ALARMS, _MESSAGES = 5, 5


class Account:
    """An account in this process.

    :param folder: the state folder
    """

    def __init__(self, folder: Path) -> None:
        disk = Disk(folder)
        settings = Settings(port=1, bind="127.0.0.1", state_dir=folder)
        self.gateway = Gateway(settings, Journal(Store(folder / "local_aws.sqlite", disk)), disk)
        self.app, self.responses = import_module("ministack.app"), import_module("ministack.core.responses")
        names = ("cloudformation", "cloudwatch", "s3", "sqs")
        self.cloudformation, self.cloudwatch, self.s3, self.sqs = (
            import_module(f"ministack.services.{name}") for name in names
        )
        self.responses.set_request_account_id(ACCOUNT)
        self.responses.set_request_region(REGION)

    def stack(self, name: str) -> None:
        """Make what an endpoint's stack leaves: its record and events, its alarms and its dashboard."""
        stack_id = f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/{name}/1"
        resources = {f"R{n}": {"Type": "AWS::CloudWatch::Alarm", "Properties": {"Name": "n" * 200}} for n in range(40)}
        made = {f"R{n}": {"PhysicalResourceId": name, "Properties": {"Name": "n" * 100}} for n in range(12)}
        record = {"StackName": name, "StackId": stack_id, "StackStatus": "CREATE_COMPLETE"}
        self.cloudformation._stacks[name] = {**record, "_template": {"Resources": resources}, "_resources": made}
        self.cloudformation._stack_events[stack_id] = [{"EventId": str(n), "Text": "t" * 300} for n in range(40)]
        for number in range(_ALARMS):
            alarm = f"{name}-{number}"
            self.cloudwatch._alarms[alarm] = {"AlarmName": alarm, "AlarmDescription": "d" * 300, "StateValue": "OK"}
        self.cloudwatch._dashboards[name] = {"DashboardName": name, "DashboardBody": "b" * 5000}

    def send(self, queue: str) -> None:
        """Send a message, as S3 does."""
        self.sqs._act_send_message({"QueueUrl": queue, "MessageBody": "m" * 500}, queue)

    def put(self) -> None:
        """Put a version of the object."""
        self.s3._dispatch("PUT", BUCKET, KEY, {}, b"content", {})

    def fill(self, stacks: int, versions: int) -> str:
        """Make the account; return its queue."""
        self.s3._dispatch("PUT", BUCKET, "", {}, b"", {})
        self.s3._dispatch("PUT", BUCKET, "", {}, b"<V><Status>Enabled</Status></V>", {"versioning": [""]})
        queue: str = self.sqs._act_create_queue({"QueueName": "told"}, "")["QueueUrl"]
        for number in range(stacks):
            self.stack(f"endpoint-{number}")
        for _ in range(stacks * _MESSAGES):
            self.send(queue)
        for _ in range(versions):
            self.put()
        for service in ("cloudformation", "monitoring", "s3", "sqs"):
            self.gateway.persistence.save_later(service)
        self.gateway.persistence.save()
        return queue


def milliseconds(call: Callable[[], Any], times: int = _TIMES) -> dict[str, float]:
    """Return the CPU time of a call, the median and the longest."""
    taken = []
    for _ in range(times):
        begin_call()
        began = time.process_time()
        call()
        taken.append((time.process_time() - began) * 1000)
    return {"median": round(statistics.median(taken), 2), "longest": round(max(taken), 2)}


def measured(folder: Path, stacks: int, versions: int) -> dict[str, Any]:
    """Return what each save costs in an account of a size."""
    account = Account(folder)
    saves = account.gateway.persistence
    queue = account.fill(stacks, versions)

    def alarm() -> None:
        account.cloudwatch._alarms[f"new-{time.monotonic_ns()}"] = {"AlarmName": "new", "StateValue": "OK"}
        saves.save_service("monitoring")

    def operation() -> None:
        account.stack(f"new-{time.monotonic_ns()}")
        saves.save_service("cloudformation")

    def message() -> None:
        account.send(queue)
        saves.save_delivered(("sns", "sqs"))

    def listed() -> None:
        account.s3._dispatch("GET", BUCKET, "", {}, b"", {"versions": [""], "max-keys": ["100"]})

    told = {
        "a step that makes an alarm": milliseconds(alarm),
        "the end of a stack's operation": milliseconds(operation),
        "a message about an object": milliseconds(message),
        "a put of an object": milliseconds(account.put),
        "a page of 100 versions": milliseconds(listed),
        "the save of each second": milliseconds(saves.save),
        "the save at a stop": milliseconds(lambda: account.app.save_all({}), 1),
    }
    again = time.process_time()
    for state in account.app._state_map:
        saves._load(state)
    return {**told, "the load at a start": {"median": round((time.process_time() - again) * 1000)}}


def main() -> None:
    """Print the costs in a new account and in one with a history."""
    parser = argparse.ArgumentParser(prog="python -m bench.local_aws_state", description=__doc__)
    parser.add_argument("--stacks", type=int, default=2000, help="endpoints' stacks (default: %(default)s)")
    parser.add_argument("--versions", type=int, default=2000, help="of one object (default: %(default)s)")
    parser.add_argument("--fresh", action="store_true", help="measure the new account only")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        size = (0, 0) if asked.fresh else (asked.stacks, asked.versions)
        print(json.dumps(measured(Path(folder), *size), indent=1))


if __name__ == "__main__":
    main()
