"""The log of a build in CloudWatch Logs, written with the service role's permissions.

https://docs.aws.amazon.com/codebuild/latest/userguide/view-build-details.html
"""

import contextlib
from typing import Any

from local_aws.compute.logs import LogStream
from local_aws.framework.store import Document, Scope

_DEFAULT_GROUP = "/aws/codebuild/"


class BuildLog(LogStream):
    """The log stream of one build, which `create_stream` has made."""

    def _message(self, line: str) -> str:
        return f"{line}\n"

    def _create(self) -> None:
        """Do nothing: the stream is there."""


def create_stream(client: Any, group: str, stream: str) -> None:
    """Make the log stream of a build, and its group only where it is missing.

    :param client: of CloudWatch Logs, with the role's permissions
    :param group: its name
    :param stream: its name
    :raises ClientError: the role may not
    """
    try:
        client.create_log_stream(logGroupName=group, logStreamName=stream)
    except client.exceptions.ResourceNotFoundException:
        with contextlib.suppress(client.exceptions.ResourceAlreadyExistsException):
            client.create_log_group(logGroupName=group)
        client.create_log_stream(logGroupName=group, logStreamName=stream)


def is_enabled(build: Document) -> bool:
    """Tell whether a build writes a log.

    :param build: the build
    """
    return bool(_settings(build).get("status", "ENABLED") == "ENABLED")


def location(scope: Scope, build: Document) -> dict[str, Any]:
    """Return where the log of a build is.

    https://docs.aws.amazon.com/codebuild/latest/APIReference/API_LogsLocation.html

    :param scope: account and region
    :param build: the build
    """
    settings = {"status": "ENABLED", **_settings(build)}
    found: dict[str, Any] = {"cloudWatchLogs": settings, "s3Logs": {"status": "DISABLED", "encryptionDisabled": False}}
    if settings["status"] != "ENABLED":
        return found
    group = settings.get("groupName") or f"{_DEFAULT_GROUP}{build['projectName']}"
    stream = "/".join(
        [*([settings["streamName"]] if settings.get("streamName") else []), build["id"].partition(":")[2]]
    )
    return {
        **found,
        "groupName": group,
        "streamName": stream,
        "deepLink": f"https://console.aws.amazon.com/cloudwatch/home?region={scope.region}"
        f"#logEvent:group={group};stream={stream}",
        "cloudWatchLogsArn": scope.arn("logs", f"log-group:{group}:log-stream:{stream}"),
    }


def _settings(build: Document) -> dict[str, Any]:
    found: dict[str, Any] = (build.get("logsConfig") or {}).get("cloudWatchLogs") or {}
    return found
