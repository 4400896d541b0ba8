"""Sends the lines of a container to CloudWatch Logs while it runs."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

_log = logging.getLogger(__name__)

# https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutLogEvents.html: a batch holds at most
# 1,048,576 bytes, 26 of them for each event, and 10,000 events; an event at most 1 MB. Far below both is fast enough.
_MAX_BATCH_EVENTS = 1000
_MAX_BATCH_BYTES = 900_000
_MAX_EVENT_BYTES = 250_000
_FLUSH_SECONDS = 0.5


class LogStream:
    """One log stream, made with its group on first use; lines may be written by any thread."""

    def __init__(self, client: Any, group: str, stream: str) -> None:
        self._client = client
        self._group = group
        self._stream = stream
        # Guards _events and _closed.
        self._changed = threading.Condition()
        self._events: list[dict[str, Any]] = []
        self._closed = False
        self._sender = threading.Thread(target=self._send_all, name=f"logs-{stream}", daemon=True)
        self._sender.start()

    def write(self, line: str) -> None:
        """Queue a line."""
        message = self._message(line).encode()[:_MAX_EVENT_BYTES].decode(errors="ignore")
        if not message:
            # CloudWatch Logs refuses empty events.
            return
        with self._changed:
            self._events.append({"timestamp": int(time.time() * 1000), "message": message})
            self._changed.notify()

    def _message(self, line: str) -> str:
        """Return the text of a line's event: control characters are #nnn in octal, a tab #011, as in SageMaker's."""
        return "".join(char if char >= " " else f"#{ord(char):03o}" for char in line)

    def close(self) -> None:
        """Send the remaining lines and return when they are sent."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._sender.join()

    def _send_all(self) -> None:
        created = False
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._events or self._closed)
                if not self._events:
                    return
                if not self._closed:
                    self._changed.wait_for(lambda: self._closed, _FLUSH_SECONDS)
                batch = self._take()
            try:
                if not created:
                    self._create()
                    created = True
                self._client.put_log_events(logGroupName=self._group, logStreamName=self._stream, logEvents=batch)
            except (ClientError, BotoCoreError) as error:
                # A container does not fail for its log; SageMaker also runs jobs whose role may not write logs.
                _log.warning("%d log lines of %s/%s lost: %s", len(batch), self._group, self._stream, error)

    def _take(self) -> list[dict[str, Any]]:
        count = size = 0
        for event in self._events[:_MAX_BATCH_EVENTS]:
            size += len(event["message"].encode()) + 26
            if size > _MAX_BATCH_BYTES:
                break
            count += 1
        batch, self._events = self._events[:count], self._events[count:]
        return batch

    def _create(self) -> None:
        exists = self._client.exceptions.ResourceAlreadyExistsException
        with contextlib.suppress(exists):
            self._client.create_log_group(logGroupName=self._group)
        with contextlib.suppress(exists):
            self._client.create_log_stream(logGroupName=self._group, logStreamName=self._stream)
