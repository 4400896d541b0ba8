"""Data capture: the requests and answers of endpoints, as JSON Lines in S3.

https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-data-capture-endpoint.html

An invocation only leaves its bodies here. A separate thread writes the records and puts them to S3.
"""

from __future__ import annotations

import base64
import json
import logging
import random
import threading
import uuid
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError

from local_aws.compute.base import CaptureSpec, ComputeSettings, EndpointKey, InvokeResult

_log = logging.getLogger(__name__)

_FLUSH_BYTES = 4 * 1024 * 1024
# On AWS capture stops when the disk is full, so that it does not disturb inference. Here the limit is memory.
_MOST_BYTES = 64 * 1024 * 1024
_INFERENCE_ID = "x-amzn-sagemaker-inference-id"


@dataclass(frozen=True)
class _Captured:
    """One invocation."""

    key: EndpointKey
    variant: str
    spec: CaptureSpec
    time: datetime
    inference_id: str | None
    request: tuple[bytes, str]
    answer: tuple[bytes, str]

    @property
    def size(self) -> int:
        return len(self.request[0]) + len(self.answer[0])

    def folder(self) -> str:
        """Return the key prefix of the objects for the hour of the invocation."""
        return "/".join(filter(None, (self.spec.prefix, self.key.name, self.variant, f"{self.time:%Y/%m/%d/%H}")))

    def line(self) -> str:
        """Write the record."""
        data = {}
        if self.spec.captures_input:
            data["endpointInput"] = _part(self.spec, "INPUT", *self.request)
        if self.spec.captures_output:
            data["endpointOutput"] = _part(self.spec, "OUTPUT", *self.answer)
        metadata = {"eventId": str(uuid.uuid4())}
        if self.inference_id:
            metadata["inferenceId"] = self.inference_id
        metadata["inferenceTime"] = f"{self.time:%Y-%m-%dT%H:%M:%SZ}"
        return json.dumps({"captureData": data, "eventMetadata": metadata, "eventVersion": "0"})


def _part(spec: CaptureSpec, mode: str, body: bytes, content_type: str) -> dict[str, str]:
    kind = content_type.partition(";")[0].strip().lower()
    encoding = "CSV" if kind in spec.csv_types else "JSON" if kind in spec.json_types else "BASE64"
    try:
        text = body.decode() if encoding != "BASE64" else base64.b64encode(body).decode()
    except UnicodeDecodeError:
        encoding, text = "BASE64", base64.b64encode(body).decode()
    return {"observedContentType": content_type, "mode": mode, "data": text, "encoding": encoding}


class DataCapture:
    """Captures the invocations of all endpoints; call `record` on the event loop, all else in worker threads.

    :param settings: where S3 is, and how often records are put
    """

    def __init__(self, settings: ComputeSettings) -> None:
        self._settings = settings
        # Guards all below; `record` takes it on the event loop, so it must never be held for long.
        self._changed = threading.Condition()
        self._captured: list[_Captured] = []
        self._bytes = 0
        self._stopping = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread."""
        self._thread = threading.Thread(target=self._put_regularly, name="data-capture", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Put the remaining records and end the thread."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread:
            self._thread.join()
            self.put()

    def record(
        self,
        key: EndpointKey,
        variant: str,
        spec: CaptureSpec,
        body: bytes,
        headers: Mapping[str, str],
        result: InvokeResult,
    ) -> None:
        """Capture an invocation that the model has answered, if the sample includes it.

        :param spec: the variant's
        :param headers: the request's that reached the model
        """
        if result.status != 200 or random.random() * 100 >= spec.percentage:
            return
        given = {name.lower(): value for name, value in headers.items()}
        request = body, given.get("content-type", "application/octet-stream")
        answer = result.body, result.headers["Content-Type"]
        captured = _Captured(key, variant, spec, datetime.now(UTC), given.get(_INFERENCE_ID), request, answer)
        with self._changed:
            if self._bytes + captured.size > _MOST_BYTES:
                return
            self._captured.append(captured)
            self._bytes += captured.size
            if self._bytes >= _FLUSH_BYTES:
                self._changed.notify_all()

    def put(self) -> None:
        """Put the records since the last time, an object for each variant and hour."""
        with self._changed:
            captured, self._captured = self._captured, []
            self._bytes = 0
        objects: defaultdict[tuple[EndpointKey, CaptureSpec, str], list[_Captured]] = defaultdict(list)
        for one in captured:
            objects[one.key, one.spec, one.folder()].append(one)
        for (key, spec, folder), records in objects.items():
            # Minute, second and millisecond of the first record, as SageMaker names them.
            name = f"{records[0].time:%M-%S}-{records[0].time.microsecond // 1000:03}-{uuid.uuid4()}.jsonl"
            body = "".join(f"{record.line()}\n" for record in records).encode()
            encryption: dict[str, Any] = {}
            if spec.kms_key_id:
                encryption = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": spec.kms_key_id}
            try:
                client = self._settings.client("s3", key.account_id, key.region, spec.role_arn)
                client.put_object(Bucket=spec.bucket, Key=f"{folder}/{name}", Body=body, **encryption)
            except (ClientError, BotoCoreError, Boto3Error) as error:
                _log.warning("%d captured requests of endpoint %s lost: %s", len(records), key.name, error)

    def _put_regularly(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(
                    lambda: self._stopping or self._bytes >= _FLUSH_BYTES, self._settings.capture_interval_seconds
                )
                if self._stopping:
                    return
            self.put()
