"""Reads SNS's topics and SQS's queues for people, and remembers what was published, which ministack does not."""

import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from local_aws.framework.store import Scope

PRIVATE_PARTS = {
    "ministack.services.sns": ("_fanout", "_topics"),
    "ministack.services.sqs": ("_queues",),
}

# So many of all topics; a longer text is cut.
_KEPT = 1000
_KEPT_CHARACTERS = 20_000


@dataclass(frozen=True)
class Published:
    """A message that was published to a topic.

    :param at: epoch seconds
    """

    at: float
    topic_arn: str
    message_id: str
    subject: str
    message: str


class MessageViews:
    """What the console shows of messages; any thread may ask.

    :param modules: ministack's modules by name
    """

    def __init__(self, modules: Mapping[str, Any]) -> None:
        self._sns = modules["ministack.services.sns"]
        self._sqs = modules["ministack.services.sqs"]
        self._published: deque[Published] = deque(maxlen=_KEPT)
        deliver = self._sns._fanout

        def remembered(topic_arn: str, msg_id: str, message: str, subject: str, *rest: Any, **named: Any) -> Any:
            text = str(message)[:_KEPT_CHARACTERS]
            self._published.append(Published(time.time(), topic_arn, msg_id, str(subject or ""), text))
            return deliver(topic_arn, msg_id, message, subject, *rest, **named)

        self._sns._fanout = remembered

    def published(self, scope: Scope) -> list[Published]:
        """Return what was published since the start, the newest first."""
        mine = f":{scope.region}:{scope.account_id}:"
        return [one for one in reversed(list(self._published)) if mine in one.topic_arn]

    def topics(self, scope: Scope) -> list[Mapping[str, Any]]:
        """Return the topics, by ARN."""
        return sorted(_of(self._sns._topics, scope), key=lambda topic: str(topic["arn"]))

    def queues(self, scope: Scope) -> list[Mapping[str, Any]]:
        """Return the queues with the messages that wait in them, by name."""
        return sorted(_of(self._sqs._queues, scope), key=lambda queue: str(queue["name"]))


def _of(store: Any, scope: Scope) -> list[Mapping[str, Any]]:
    wanted = (scope.account_id, scope.region)
    return [value for key, value in list(store._data.items()) if key[:2] == wanted]
