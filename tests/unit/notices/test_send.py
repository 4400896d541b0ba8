"""Messages: each receiver gets one once, and no failure stops a release."""

import pytest

from slipway.notices.send import TOLD, Message, Notice, Notices
from tests.unit.scripted_aws import MemoryStore

MESSAGE = Message(Notice.WANTED, "decision wanted/1", "iris-model", "Shall it?", "http://airflow/page")
NOTIFIER = "tests.unit.notices.test_send.Remembering"


class Remembering:
    """Stands for one of Airflow's notifiers."""

    said: list = []

    def __init__(self, to: str) -> None:
        self.to = to

    def __call__(self, context):
        Remembering.said.append((self.to, context["slipway"]))


class Topic:
    """Stands for SNS; refuses while it is broken."""

    def __init__(self) -> None:
        self.published, self.broken = [], False

    def publish(self, topic, **message):
        if self.broken:
            raise RuntimeError("no such topic")
        self.published.append((topic, message))


@pytest.fixture
def topic(monkeypatch):
    made = Topic()
    monkeypatch.setattr("slipway.notices.send.SnsPublishHook", lambda aws_conn_id: made)
    # The path of a notifier that is installed nowhere.
    monkeypatch.setattr("airflow.sdk.module_loading.import_string", {NOTIFIER: Remembering}.__getitem__)
    Remembering.said = []
    return made


def send(notices: Notices, store: MemoryStore, message: Message = MESSAGE) -> bool:
    return notices.send(message, {"task_state_store": store}, None)


def test_every_channel_is_told_once(topic):
    notices, store = Notices("arn:topic", ((NOTIFIER, {"to": "a"}), (NOTIFIER, {"to": "b"}))), MemoryStore()
    assert send(notices, store)
    assert send(notices, store)
    ((arn, message),) = topic.published
    assert (arn, message["subject"]) == ("arn:topic", "iris-model: decision wanted")
    assert message["message"] == "Shall it?\n\nhttp://airflow/page"
    assert message["attributes"] == {"model": "iris-model", "notice": "decision wanted"}
    assert [(to, said["link"]) for to, said in Remembering.said] == [("a", MESSAGE.link), ("b", MESSAGE.link)]


def test_one_channel_that_fails_is_tried_again_and_the_others_are_not(topic, caplog):
    notices, store = Notices("arn:topic", ((NOTIFIER, {"to": "a"}),)), MemoryStore()
    topic.broken = True
    assert not send(notices, store)
    assert "no such topic" in caplog.text
    topic.broken = False
    assert send(notices, store)
    assert (len(topic.published), len(Remembering.said), len(store.get(TOLD))) == (1, 1, 2)


def test_nobody_to_tell_is_no_failure():
    assert send(Notices(), MemoryStore())
    assert not Notices()
