"""News of builds: one message for each that fails, and a count of how each has ended."""

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from slipway.images import news
from slipway.notices.news import marked_failed_by
from slipway.notices.send import Notice, Notices
from tests.unit.image_samples import forest_model

REFUSED = {
    "what": "The image's source is refused",
    "where": "Dockerfile",
    "why": "line 1: expected a base of the list, found ubuntu:22.04",
    "fix": "begin with an allowed base",
    "kind": "ImageRefused",
    "told": False,
}


class Task:
    """The task that failed, and the results of its run."""

    dag_id, run_id, task_id = "image_build-iris-forest", "s3__1", "check_source"

    def __init__(self, failure=None, **results) -> None:
        self.failure, self.results = failure, {"source": {"version_id": "abc"}, **results}

    def xcom_pull(self, task_ids, key="return_value"):
        return self.failure if key == "slipway_failure" else self.results.get(task_ids)


@pytest.fixture
def sent(monkeypatch):
    messages = []
    monkeypatch.setattr(Notices, "send_from_callback", lambda self, message, *_: messages.append(message))
    return messages


@pytest.fixture
def counted(monkeypatch):
    found = []
    monkeypatch.setattr(news, "enabled", lambda: True)
    monkeypatch.setattr(news, "record", lambda metric, value, **labels: found.append((metric.name, value, labels)))
    return found


def context(ti):
    return {"ti": ti, "dag_run": SimpleNamespace(conf={}, start_date=datetime.now(UTC), end_date=None)}


def test_a_refused_source_is_told_with_reason_fix_and_link(sent):
    news.on_failure(forest_model())(context(Task(REFUSED)))
    (message,) = sent
    assert message.subject == "iris-forest: failed"
    assert message.text == "The build of the image failed in check_source"
    assert message.version == "VersionId abc of the zip"
    assert message.reason == f"{REFUSED['what']} (Dockerfile): {REFUSED['why']}"
    assert message.fix == REFUSED["fix"]
    assert message.link.endswith("/dags/image_build-iris-forest/runs/s3__1/tasks/check_source")


def test_a_killed_build_and_one_that_a_person_marked_are_told(sent):
    news.on_failure(forest_model())(context(Task()))
    news.on_failure(forest_model())({**context(Task(REFUSED)), "reason": marked_failed_by("alice")})
    assert [message.notice for message in sent] == [Notice.FAILED] * 2
    assert "it was killed or marked" in sent[0].reason
    assert sent[1].text == "The build of the image was marked failed by alice"


@pytest.mark.parametrize(
    ("kind", "outcome"),
    [("ImageRefused", "refused"), ("ScanFailed", "refused"), ("BuildFailed", "failed"), (None, "failed")],
)
def test_a_failure_is_counted_by_who_ended_it(sent, counted, kind, outcome):
    news.on_failure(forest_model())(context(Task(REFUSED | {"kind": kind} if kind else None)))
    assert counted == [("slipway.image.builds", 1, {"model": "iris-forest", "outcome": outcome})]


def test_a_recorded_image_is_counted_and_a_run_that_another_was_faster_than_is_not(sent, counted):
    tell = news.on_success(forest_model())
    tell(context(Task()))
    assert counted == []
    tell(context(Task(record={"digest": "sha256:1"})))
    assert counted == [("slipway.image.builds", 1, {"model": "iris-forest", "outcome": "recorded"})]
    assert sent == []


def test_without_metrics_a_success_needs_no_callback():
    assert news.on_success(forest_model()) is None
