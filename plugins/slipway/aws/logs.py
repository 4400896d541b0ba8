"""CloudWatch Logs: following the log of a job or a build while it runs, and its last lines once it has ended."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from slipway.aws.patience import patient
from slipway.aws.session import AwsHook
from slipway.aws.translation import translate
from slipway.errors import AwsError

# https://docs.aws.amazon.com/sagemaker/latest/dg/logging-cloudwatch.html
TRAINING_LOG_GROUP = "/aws/sagemaker/TrainingJobs"
# One poll reads at most this many pages of a stream, so that a job with a long log does not delay other triggers.
_PAGES_PER_POLL = 20


def is_no_log_yet(error: Exception) -> bool:
    """Tell whether the log group or stream does not exist, as before the first line.

    :param error: what boto3 raised
    :returns: True for a missing group or stream
    """
    return isinstance(error, ClientError) and error.response["Error"]["Code"] == "ResourceNotFoundException"


@dataclass
class LogTail:
    """A place in the log of one training job, which has a stream for each of its instances, or of one build.

    :param job_name: the training job's name
    :param tokens: where to continue in each stream; from the start if empty
    :param group: the log group of the streams
    """

    job_name: str
    tokens: dict[str, str] = field(default_factory=dict)
    group: str = TRAINING_LOG_GROUP

    async def read(self, client: Any, *, stream_count: int) -> list[str]:
        """Read what has been written since the last call.

        https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_GetLogEvents.html

        :param client: an asynchronous client of CloudWatch Logs
        :param stream_count: how many streams the job will have: its instances
        :returns: the new lines, stream by stream
        """
        if len(self.tokens) < stream_count:
            await self._find_streams(client)
        return [line for stream in sorted(self.tokens) for line in await self._read_stream(client, stream)]

    async def _find_streams(self, client: Any) -> None:
        response = await client.describe_log_streams(logGroupName=self.group, logStreamNamePrefix=f"{self.job_name}/")
        for stream in response["logStreams"]:
            self.tokens.setdefault(stream["logStreamName"], "")

    async def _read_stream(self, client: Any, stream: str) -> list[str]:
        lines: list[str] = []
        for _ in range(_PAGES_PER_POLL):
            token = self.tokens[stream]
            response = await client.get_log_events(
                logGroupName=self.group,
                logStreamName=stream,
                startFromHead=True,
                **({"nextToken": token} if token else {}),
            )
            lines += _messages(response["events"])
            self.tokens[stream] = response["nextForwardToken"]
            # At the end of a stream the service returns the token that it was given.
            if response["nextForwardToken"] == token:
                break
        return lines


class LogsHook(AwsHook):
    """The logs of training jobs.

    https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_Operations.html
    """

    service = "logs"

    @patient
    def last_lines(self, job_name: str, count: int) -> list[str]:
        """Read the end of a job's log.

        :param job_name: the training job's name
        :param count: how many lines of each stream at most
        :returns: the lines, stream by stream; none where the job has not written any
        :raises slipway.errors.AwsError: when a call fails
        """
        try:
            streams = self._streams(job_name)
            return [line for stream in streams for line in self._end_of(TRAINING_LOG_GROUP, stream, count)]
        except (ClientError, BotoCoreError) as error:
            if is_no_log_yet(error):
                return []
            raise self._translated(error, job_name) from error

    @patient
    def last_lines_of_stream(self, group: str, stream: str, count: int) -> list[str]:
        """Read the end of one stream.

        :param group: its log group
        :param stream: its name
        :param count: how many lines at most
        :returns: the lines; none where nothing was written
        :raises slipway.errors.AwsError: when the call fails
        """
        try:
            return self._end_of(group, stream, count)
        except (ClientError, BotoCoreError) as error:
            if is_no_log_yet(error):
                return []
            raise translate(error, what="Cannot read the log", resource=f"{group}, {stream}") from error

    def _streams(self, job_name: str) -> list[str]:
        pages = self.conn.get_paginator("describe_log_streams").paginate(
            logGroupName=TRAINING_LOG_GROUP, logStreamNamePrefix=f"{job_name}/"
        )
        return [stream["logStreamName"] for page in pages for stream in page["logStreams"]]

    def _end_of(self, group: str, stream: str, count: int) -> list[str]:
        response = self.conn.get_log_events(logGroupName=group, logStreamName=stream, startFromHead=False, limit=count)
        return _messages(response["events"])

    @staticmethod
    def _translated(error: Exception, job_name: str) -> AwsError:
        return translate(error, what="Cannot read the log of the training job", resource=job_name)


def _messages(events: Iterable[dict]) -> list[str]:
    return [event["message"].rstrip("\n") for event in events]
