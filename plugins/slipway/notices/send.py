"""Messages about decisions, and about a model whose bytes have changed, to an SNS topic and to Airflow's notifiers."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from slipway.aws.identity import resolve
from slipway.aws.patience import without_patience
from slipway.aws.sns import SnsPublishHook
from slipway.errors import problem_of

if TYPE_CHECKING:
    from airflow.sdk import Context

    from slipway.model.approval_settings import ApprovalSettings

log = logging.getLogger(__name__)

# The entry of the task's state store that names the messages that were sent.
TOLD = "told"
# A message that failed is retried after this time: each attempt takes a worker for a moment.
RETRY_SECONDS = 60.0


class Notice(StrEnum):
    """What a message is about."""

    WANTED = "decision wanted"
    REMINDER = "decision still wanted"
    APPROVED = "approved"
    REJECTED = "rejected"
    TIMED_OUT = "timed out"
    SUPERSEDED = "superseded"
    ARTEFACT_CHANGED = "artefact changed"
    DRIFTED = "changed by hand"


@dataclass(frozen=True)
class Message:
    """One message.

    :param notice: what it is about
    :param key: names it among the task's messages, so that it is sent once
    :param model: the model's prefix
    :param text: the message itself
    :param link: the page that it links to
    """

    notice: Notice
    key: str
    model: str
    text: str
    link: str

    @property
    def subject(self) -> str:
        """The subject line."""
        return f"{self.model}: {self.notice}"


@dataclass(frozen=True)
class Notices:
    """The receivers of messages.

    :param topic: ARN of an SNS topic; may contain {region} and {account}
    :param notifiers: class path and arguments of each of Airflow's notifiers
    """

    topic: str | None = None
    notifiers: tuple[tuple[str, Mapping[str, Any]], ...] = ()

    @classmethod
    def of(cls, approval: ApprovalSettings) -> Notices:
        """Read the receivers from a model file's section ``approval``."""
        return cls(approval.topic, tuple((item.notifier, item.arguments) for item in approval.notifiers))

    def __bool__(self) -> bool:
        return bool(self.topic or self.notifiers)

    def send(self, message: Message, context: Context, aws_conn_id: str | None) -> bool:
        """Send a message unless it was sent before; a failure is only logged.

        :param message: the message
        :param context: the task's Airflow context
        :param aws_conn_id: Airflow connection with the AWS credentials
        :returns: whether every receiver has been sent it
        """
        store = context["task_state_store"]
        told: Any = store.get(TOLD) or []
        for channel, deliver in self._channels(message, context, aws_conn_id):
            name = f"{channel}/{message.key}"
            if name in told:
                continue
            try:
                deliver()
            # Any error of a notifier: a release never waits for a message.
            except Exception as error:
                log.warning("Cannot send the message %r to %s: %s", message.subject, channel, problem_of(error))
                continue
            told = [*told, name]
            store.set(TOLD, told)
        return all(f"{channel}/{message.key}" in told for channel, _ in self._channels(message, context, aws_conn_id))

    def _channels(self, message: Message, context: Context, aws_conn_id: str | None) -> list[tuple[str, Any]]:
        channels: list[tuple[str, Any]] = []
        if self.topic:
            channels.append((self.topic, lambda: self._publish(message, aws_conn_id)))
        for number, (path, arguments) in enumerate(self.notifiers):
            channels.append((f"{path}#{number}", lambda p=path, a=arguments: _notify(p, a, message, context)))
        return channels

    def _publish(self, message: Message, aws_conn_id: str | None) -> None:
        # A release never waits for a message.
        with without_patience():
            topic = resolve(str(self.topic), aws_conn_id)
        SnsPublishHook(aws_conn_id=aws_conn_id).publish(
            topic,
            subject=message.subject,
            message=f"{message.text}\n\n{message.link}",
            attributes={"model": message.model, "notice": message.notice.value},
        )


def retry_at() -> float:
    """Return when a message that failed is retried, in seconds since the epoch."""
    return time.time() + RETRY_SECONDS


def _notify(path: str, arguments: Mapping[str, Any], message: Message, context: Context) -> None:
    """Call one notifier; its templated arguments may use ``slipway.subject``, ``.text``, ``.link`` and ``.notice``."""
    from airflow.sdk.module_loading import import_string

    said = {
        "subject": message.subject,
        "text": message.text,
        "link": message.link,
        "notice": message.notice.value,
        "model": message.model,
    }
    import_string(path)(**arguments)({**context, "slipway": said})
