"""The call ledger: one line of JSON for every AWS call, written before its answer is sent."""

import json
import os
import re
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

OK = "ok"
# The outcome of a call whose connection was closed on purpose instead of performing it.
DROPPED = "dropped"
_XML_CODE = re.compile(rb"<Code>([^<]+)</Code>")


class Call(NamedTuple):
    """One AWS call and how it ended.

    :param service: as the gateway routes it, such as ``s3`` or ``sagemaker``
    :param operation: such as ``CreateTrainingJob``
    :param resource: what it was about: bucket/key, stack, job, endpoint …
    :param outcome: ``ok`` or AWS's error code
    :param status: of HTTP; 0 where nothing was answered
    :param caller: access key; ``anonymous``; the ARN or service that acts for someone
    :param region: an AWS region name
    :param request_id: the answer's request id
    :param fault: id of the injected fault the call met; the member is written only then
    :param milliseconds: from its arrival until its answer was made; written for calls that came from outside
    :param denied: what IAM refused, and the statement that would allow it; written only then
    """

    service: str
    operation: str
    resource: str
    outcome: str
    status: int
    caller: str
    region: str
    request_id: str
    fault: str | None = None
    milliseconds: float | None = None
    denied: dict[str, Any] | None = None


class Ledger:
    """An append-only file; every line but the last is complete at any time.

    :param path: the file; created when missing
    """

    def __init__(self, path: Path) -> None:
        # O_APPEND and a single write keep lines whole in every thread. The line outlives the process once the write
        # returns.
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def record(self, call: Call) -> None:
        """Write one call.

        :param call: a call whose outcome is known
        """
        line = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), **call._asdict()}
        for name in ("fault", "milliseconds", "denied"):
            if line[name] is None:
                del line[name]
        os.write(self._file, (json.dumps(line) + "\n").encode())

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def milliseconds_since(began: float) -> float:
    """Return how long a call has taken so far.

    :param began: when it began, by ``time.perf_counter``
    """
    return round((time.perf_counter() - began) * 1000, 1)


def outcome(status: int, headers: dict[str, str], body: bytes) -> str:
    """Name the outcome of a call.

    :param status: of HTTP
    :param headers: the answer's, names in lower case
    :param body: the answer's first part
    :returns: ``ok``, the error code in the answer, or the status when it has none, as in answers to HEAD
    """
    if status < 400:
        return OK
    if "x-amzn-errortype" in headers:
        return headers["x-amzn-errortype"].partition(":")[0]
    if match := _XML_CODE.search(body):
        return match[1].decode()
    try:
        answer = json.loads(body)
    except ValueError:
        return str(status)
    code = answer.get("__type") or answer.get("code") if isinstance(answer, dict) else None
    return str(code).rpartition("#")[2] if code else str(status)
