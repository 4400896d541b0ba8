"""The metrics of a training job, which a separate process finds in its log.

https://docs.aws.amazon.com/sagemaker/latest/dg/define-train-metrics.html
"""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from local_aws.compute.base import FinalMetric

# Where the SDK's TrainingJobAnalytics looks: https://github.com/aws/sagemaker-python-sdk, analytics.py
NAMESPACE = "/aws/sagemaker/TrainingJobs"
_DIMENSION = "TrainingJobName"
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricData.html
_MAX_DATA = 1000
_MATCHER = Path(__file__).with_name("metric_matcher.py")
# After the log's end; longer than the matcher's own limit of CPU time, because the machine may be busy.
_END_SECONDS = 240.0

_log = logging.getLogger(__name__)


class FinalMetrics:
    """The metrics in a log, the last value of each and all of them by second; use it in one thread at a time.

    The matcher is started with the first line, and `end` must be called after the last.

    :param definitions: name and regular expression of each
    """

    def __init__(self, definitions: tuple[tuple[str, str], ...]) -> None:
        self._definitions = definitions
        self._matcher: subprocess.Popen[str] | None = None
        self._lost = False
        self._values: tuple[FinalMetric, ...] = ()
        self._seconds: dict[str, dict[str, list[float]]] = {}

    def read(self, line: str) -> None:
        """Read the metrics of one line, with tabs written as #011."""
        if self._lost or not self._definitions:
            return
        try:
            if self._matcher is None:
                self._matcher = self._started()
            self._input.write(line.replace("\n", " ").replace("\r", " ") + "\n")
        except OSError as error:
            # The process reached one of its limits.
            _log.warning("the metrics of a job are lost: %s", error)
            self._lost = True

    def end(self) -> list[str]:
        """Stop reading.

        :returns: for the job's log, which metrics were given up and why
        """
        matcher = self._matcher
        if matcher is None:
            return []
        try:
            output = matcher.communicate(timeout=_END_SECONDS)[0]
        except (OSError, subprocess.TimeoutExpired):
            matcher.kill()
            output = matcher.communicate()[0]
        try:
            answer: dict[str, Any] = json.loads(output)
        except ValueError:
            return ["Metrics: none, because the process that searched the log for them failed or ran out of time."]
        self._values = tuple(
            FinalMetric(name, value, datetime.fromtimestamp(when, UTC))
            for name, (value, when) in answer["found"].items()
        )
        self._seconds = answer["seconds"]
        return [f"Metrics: {name} was given up, its Regex {why}." for name, why in answer["given_up"].items()]

    def values(self) -> tuple[FinalMetric, ...]:
        """Return what was found; empty before the end."""
        return self._values

    def put(self, client: Any, job_name: str) -> None:
        """Put all values to CloudWatch, those of a second as one datum; call it after the end.

        https://docs.aws.amazon.com/sagemaker/latest/dg/training-metrics.html. A metric that cannot be put is missing
        there, and the job goes on.

        :param client: of CloudWatch, as the job's role
        """
        data = [
            {
                "MetricName": name,
                "Dimensions": [{"Name": _DIMENSION, "Value": job_name}],
                "Timestamp": datetime.fromtimestamp(int(second), UTC),
                "StatisticValues": {"SampleCount": count, "Sum": total, "Minimum": least, "Maximum": most},
                "StorageResolution": 1,
            }
            for name, seconds in self._seconds.items()
            for second, (count, total, least, most) in seconds.items()
        ]
        try:
            for start in range(0, len(data), _MAX_DATA):
                client.put_metric_data(Namespace=NAMESPACE, MetricData=data[start : start + _MAX_DATA])
        except (ClientError, BotoCoreError) as error:
            _log.warning("metrics of training job %s lost: %s", job_name, error)

    @property
    def _input(self) -> Any:
        assert self._matcher is not None  # noqa: S101 - started by `read`
        return self._matcher.stdin

    def _started(self) -> subprocess.Popen[str]:
        # It gets no variables of this process, which has the local AWS's own keys.
        matcher = subprocess.Popen(
            [sys.executable, "-I", "-S", str(_MATCHER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            env={},
            start_new_session=True,
        )
        assert matcher.stdin is not None  # noqa: S101 - a pipe
        matcher.stdin.write(json.dumps(self._definitions) + "\n")
        return matcher
