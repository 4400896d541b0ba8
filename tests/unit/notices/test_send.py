"""Messages: each receiver gets one once, and no failure stops a release."""

from dataclasses import replace

import pytest
from airflow.sdk import BaseNotifier
from airflow.sdk.log import mask_secret

from slipway.model.approval_settings import NewsSettings, Notifier
from slipway.notices.send import TOLD, Message, Notice, Notices
from tests.unit.request_samples import iris_model
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


class CountingStore(MemoryStore):
    """A task's state store that counts what is read."""

    reads = 0

    def get(self, key, default=None):
        self.reads += 1
        return super().get(key, default)


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


@pytest.mark.parametrize("earlier", [2, 200])
def test_a_message_costs_the_same_however_many_the_task_has_sent(topic, earlier):
    store = CountingStore(**{TOLD: [f"arn:topic/{number}" for number in range(earlier)]})
    assert send(Notices("arn:topic", ((NOTIFIER, {"to": "a"}),)), store)
    assert send(Notices("arn:topic", ((NOTIFIER, {"to": "a"}),)), store)
    # Of the second time only that it was sent is read.
    assert (store.reads, store.writes, len(topic.published)) == (2, 2, 1)


def test_nobody_to_tell_is_no_failure():
    assert send(Notices(), MemoryStore())
    assert not Notices()


NEWS = Message(
    Notice.FAILED,
    "failed/it",
    "iris-model",
    "The release failed in train",
    "http://airflow/run",
    version="v14",
    stage="train",
    reason="The training job failed: no rows",
    fix="upload more rows",
)


def test_news_has_a_line_for_each_part(topic):
    assert send(Notices("arn:topic", ((NOTIFIER, {"to": "a"}),)), MemoryStore(), NEWS)
    ((_, message),) = topic.published
    assert message["message"].splitlines() == [
        "The release failed in train",
        "",
        "Model: iris-model",
        "Version: v14",
        "Stage: train",
        "Why: The training job failed: no rows",
        "Fix: upload more rows",
        "",
        "http://airflow/run",
    ]
    ((_, said),) = Remembering.said
    assert {name: said[name] for name in ("version", "stage", "reason", "fix")} == {
        "version": "v14",
        "stage": "train",
        "reason": "The training job failed: no rows",
        "fix": "upload more rows",
    }


def test_a_message_holds_no_secret_and_is_short(topic):
    mask_secret("hunter2-hunter2")
    long = replace(NEWS, reason=f"the password hunter2-hunter2 {'is long ' * 1000}")
    assert send(Notices("arn:topic"), MemoryStore(), long)
    ((_, message),) = topic.published
    assert "hunter2" not in message["message"]
    assert len(message["message"]) < 2000


class Refusing(BaseNotifier):
    """A notifier whose receiver does not answer."""

    def notify(self, context):
        raise RuntimeError("no such channel")


def test_a_notifier_that_fails_counts_as_not_sent(topic, monkeypatch, caplog):
    """Airflow's notifiers log their own errors when they are called."""
    monkeypatch.setattr("airflow.sdk.module_loading.import_string", {NOTIFIER: Refusing}.__getitem__)
    store = MemoryStore()
    assert not send(Notices(None, ((NOTIFIER, {}),)), store)
    assert not store.get(TOLD)
    assert "no such channel. Fix: check the receiver in the model file" in caplog.text


def test_news_goes_to_the_people_of_the_approval_unless_the_model_file_names_others():
    model = iris_model()
    assert Notices.of_news(model) == Notices.of(model.approval)
    other = NewsSettings(topic="arn:aws:sns:{region}:{account}:oncall", notifiers=[Notifier(notifier="a.B")])
    assert Notices.of_news(model.model_copy(update={"news": other})) == Notices(other.topic, (("a.B", {}),))
    nobody = NewsSettings(notifiers=[])
    assert Notices.of_news(model.model_copy(update={"news": nobody})).topic == model.approval.topic
