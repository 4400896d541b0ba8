"""Requests from outside: another process sends them at a constant rate and records each result.

As a program, the sender: `python -m tests.local_aws.outside URL ENDPOINT RATE FILE`, until SIGTERM.
"""

import asyncio
import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import astuple, dataclass
from functools import partial
from pathlib import Path

from botocore.credentials import ReadOnlyCredentials

from slipway.load.phases import Share
from slipway.load.rows import Row
from slipway.load.sender import HttpSender, NoReply, OnReply, Reply
from slipway.load.sending_loops import Drive
from slipway.load.signing import RequestSigner, Target
from tests.aws_keys import CREDENTIALS
from tests.local_aws.sagemaker_cases import ROWS
from tests.local_aws.server import REGION, ROOT, LocalAws

# Limit of requests in flight; further ones wait and are sent late.
_CONCURRENCY = 150
_STOP_SECONDS = 60
_LABELS = {row.encode(): label for label, row in ROWS.items()}


@dataclass(frozen=True)
class Request:
    """One request.

    :param sent: when, in epoch seconds
    :param label: the class of its row
    :param answer: the class that was answered; None without an answer
    :param variant: who answered
    :param error: its error, if it has no answer
    """

    sent: float
    label: int
    answer: int | None
    variant: str
    error: str

    @property
    def shift(self) -> int | None:
        """The shift of the labels of the model that answered, which identifies the model."""
        return None if self.answer is None else (self.answer - self.label) % len(ROWS)


class Outside:
    """Sends from another process while it is entered, at a rate that does not depend on the answers.

    :param rate_rps: requests each second
    :param folder: where the requests are recorded
    """

    def __init__(self, aws: LocalAws, endpoint_name: str, rate_rps: float, folder: Path) -> None:
        self._path = folder / f"requests-{time.monotonic_ns()}.jsonl"
        self._arguments = [aws.endpoint_url, endpoint_name, str(rate_rps), str(self._path)]
        self._process: subprocess.Popen[bytes] | None = None
        # All requests, once it has ended.
        self._requests: list[Request] | None = None

    def __enter__(self) -> "Outside":
        path = os.pathsep.join([str(ROOT / "plugins"), str(ROOT)])
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.local_aws.outside", *self._arguments],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": path},
        )
        while not self.requests():
            assert self._process.poll() is None, "nothing is sent"
            time.sleep(0.05)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.terminate()
        assert self._process.wait(_STOP_SECONDS) == 0
        self._requests = self.requests()

    def requests(self) -> list[Request]:
        """Return those that have ended."""
        if self._requests is not None:
            return self._requests
        if not self._path.exists():
            return []
        # The last line may still be written.
        whole = self._path.read_text().rpartition("\n")[0]
        return [Request(*json.loads(line)) for line in whole.splitlines()]


class _WrittenDown:
    """A sender that records the result of each request.

    :param sender: sends it
    :param write: takes a line
    """

    def __init__(self, sender: HttpSender, write: Callable[[str], object]) -> None:
        self._sender = sender
        self._write = write

    def send(self, body: bytes, done: OnReply) -> None:
        self._sender.send(body, partial(self._answered, time.time(), _LABELS[body], done))

    def _answered(self, sent: float, label: int, done: OnReply, reply: Reply | NoReply) -> None:
        if isinstance(reply, NoReply):
            record = [sent, label, None, "", reply.kind]
        else:
            record = [sent, label, int(float(reply.body)), reply.variant, ""]
        self._write(json.dumps(record) + "\n")
        done(reply)

    def abandon(self) -> None:
        self._sender.abandon()


async def _main(url: str, endpoint_name: str, rate_rps: str, path: str) -> None:
    target = Target(url, REGION, "sagemaker", endpoint_name)
    signer = RequestSigner(target, ReadOnlyCredentials(*astuple(CREDENTIALS.operator), None))
    rows = [Row(str(label), row) for label, row in ROWS.items()]
    # Until SIGTERM.
    share = Share(0, 1, sys.maxsize, _CONCURRENCY, 1 / float(rate_rps))
    with Path(path).open("w", buffering=1) as lines:
        async with HttpSender(target, signer, timeout_seconds=65) as sender:
            drive = Drive(share, rows, _WrittenDown(sender, lines.write), time.monotonic())
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, drive.stop)
            await drive.run(drain_seconds=math.inf)


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
