"""Messages about decisions and news about releases, to an SNS topic and to Airflow's notifiers."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseNotifier
from airflow.sdk.log import redact

from slipway.aws.identity import resolve
from slipway.aws.patience import without_patience
from slipway.aws.sns import SnsPublishHook
from slipway.errors import SlipwayError, problem_of

if TYPE_CHECKING:
    from airflow.sdk import Context

    from slipway.model.approval_settings import ApprovalSettings
    from slipway.model.config import ModelConfig

log = logging.getLogger(__name__)

# The entry of the task's state store that names the messages that were sent.
TOLD = "told"
# A message is for a phone's screen; the page that it links to has all of it.
_PART_MAX_CHARS = 1_000


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
    FAILED = "failed"
    RELEASED = "released"
    ORPHANED = "orphaned job stopped"
    ORPHANED_BUILD = "orphaned build stopped"
    ALARM = "alarm"


@dataclass(frozen=True)
class Message:
    """One message.

    :param notice: what it is about
    :param key: names it among the task's messages, so that it is sent once
    :param model: the model's prefix
    :param text: what has happened
    :param link: the page that it links to
    :param version: the release, in words
    :param stage: the task that it happened in
    :param reason: why
    :param fix: what the reader can do about it
    """

    notice: Notice
    key: str
    model: str
    text: str
    link: str
    version: str = ""
    stage: str = ""
    reason: str = ""
    fix: str = ""

    @property
    def subject(self) -> str:
        """The subject line."""
        return f"{self.model}: {self.notice}"

    @property
    def body(self) -> str:
        """The message in full but for its link: what has happened, then a line for each part that it has."""
        parts = {"Model": self.model, "Version": self.version, "Stage": self.stage, "Why": self.reason, "Fix": self.fix}
        named = [f"{name}: {text}" for name, text in parts.items() if text]
        # The model alone is in the subject.
        return "\n".join([self.text, "", *named]) if len(named) > 1 else self.text

    def without_secrets(self) -> Message:
        """Return a copy in which Airflow's secrets are masked and long parts are cut."""
        return replace(self, text=_short(self.text), reason=_short(self.reason), fix=_short(self.fix))


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

    @classmethod
    def of_news(cls, model: ModelConfig) -> Notices:
        """Read the receivers of news from a model file: those of its section ``news``, else those of ``approval``."""
        named = model.news.notifiers
        notifiers = model.approval.notifiers if named is None else named
        return cls(model.news_topic, tuple((item.notifier, item.arguments) for item in notifiers))

    @property
    def notifiers_only(self) -> Notices:
        """The same without the topic, for what CloudWatch publishes there itself."""
        return Notices(None, self.notifiers)

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
        missed = False
        for channel, deliver in self._channels(message.without_secrets(), context, aws_conn_id):
            name = f"{channel}/{message.key}"
            if name in told:
                continue
            if not _delivered(channel, deliver, message):
                missed = True
                continue
            told = [*told, name]
            store.set(TOLD, told)
        return not missed

    def send_from_callback(self, message: Message, context: Context, aws_conn_id: str | None) -> None:
        """Send a message from one of the DAG's callbacks, which Airflow calls once and which have no state store.

        :param message: the message
        :param context: the callback's context
        :param aws_conn_id: Airflow connection with the AWS credentials
        """
        for channel, deliver in self._channels(message.without_secrets(), context, aws_conn_id):
            _delivered(channel, deliver, message)

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
            message=f"{message.body}\n\n{message.link}",
            attributes={"model": message.model, "notice": message.notice.value},
        )


def _delivered(channel: str, deliver: Callable[[], None], message: Message) -> bool:
    """Deliver a message to one receiver; say in the log what is wrong, because a release never waits for a message."""
    try:
        deliver()
    # Any error of a notifier.
    except Exception as error:
        fix = error.fix if isinstance(error, SlipwayError) and error.fix else "check the receiver in the model file"
        log.warning("Cannot send the message %r to %s: %s. Fix: %s", message.subject, channel, problem_of(error), fix)
        return False
    return True


def _notify(path: str, arguments: Mapping[str, Any], message: Message, context: Context) -> None:
    """Call one notifier; its templated arguments may use ``slipway.subject`` and the other names of ``said``."""
    from airflow.sdk.module_loading import import_string

    said = {
        "subject": message.subject,
        "text": message.body,
        "link": message.link,
        "notice": message.notice.value,
        "model": message.model,
        "version": message.version,
        "stage": message.stage,
        "reason": message.reason,
        "fix": message.fix,
    }
    notifier = import_string(path)(**arguments)
    more: Any = {**context, "slipway": said}
    if not isinstance(notifier, BaseNotifier):
        notifier(more)
        return
    # A call would only log an error of the notifier; here it counts as not sent.
    notifier.render_template_fields(more)
    notifier.notify(more)


def _short(text: str) -> str:
    masked = str(redact(text))
    return masked if len(masked) <= _PART_MAX_CHARS else f"{masked[:_PART_MAX_CHARS]} …"
