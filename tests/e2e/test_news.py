"""News: each end of a release is told once, by what a topic's subscriber gets."""

from __future__ import annotations

import pytest

from demo import upload
from tests.e2e.inbox import Inbox, subscribed

pytestmark = pytest.mark.e2e

IRIS = "iris-model"


@pytest.fixture(scope="module")
def slipway(struck):
    """Nothing is killed here; the process that has the other instance has more to do."""
    return struck


@pytest.fixture(scope="module")
def inbox(slipway) -> Inbox:
    return subscribed(slipway, "news")


def ends(messages: list[tuple[str, str]]) -> list[str]:
    """The subjects of the messages that are about an end."""
    return [subject for subject, _ in messages if "decision" not in subject]


def test_each_end_is_told_once(slipway, inbox):
    # Refused by Slipway.
    refused = slipway.release(IRIS, b"not a zip")
    assert slipway.wait_end(IRIS, refused) == "failed"
    ((subject, text),) = slipway.wait("the news of a refused zip", lambda: inbox.about(refused))
    assert subject == "iris-model: failed"
    assert "The release failed in process_request" in text
    for part in ("Model: iris-model", "Version: VersionId ", "Stage: process_request", "Why: ", "Fix: "):
        assert part in text
    assert f"/dags/{IRIS}/runs/{refused}/tasks/process_request" in text

    # Superseded, and rejected by a person.
    upload.upload_data(slipway.settings, IRIS, "iris")
    older, newer = (slipway.release(IRIS) for _ in range(2))
    slipway.wait_approval(IRIS, newer)
    assert slipway.wait_end(IRIS, older) == "success"
    slipway.wait("the news of a superseded release", lambda: ends(inbox.about(older)))
    assert ends(inbox.about(older)) == ["iris-model: superseded"]
    slipway.api("alice").answer(IRIS, newer, "approve", "Reject")
    assert slipway.wait_end(IRIS, newer) == "failed"
    slipway.wait("the news of a rejection", lambda: ends(inbox.about(newer)))

    # Failed outside of Slipway's code: an approver marks the task, which then does nothing more.
    marked = slipway.release(IRIS)
    slipway.wait_approval(IRIS, marked)
    body = {"new_state": "failed"}
    slipway.api("alice").call("PATCH", f"/dags/{IRIS}/dagRuns/{marked}/taskInstances/approve", body)
    assert slipway.wait_end(IRIS, marked) == "failed"
    slipway.wait("the news of a marked task", lambda: ends(inbox.about(marked)))

    # Airflow calls nothing for a run that a person marks failed as a whole.
    slipway.api("alice").call("PATCH", f"/dags/{IRIS}/dagRuns/{older}", {"state": "failed"})
    slipway.wait("the news of a marked run", lambda: len(ends(inbox.about(older))) > 1)
    assert "The release was marked failed by alice" in inbox.about(older)[-1][1]

    # Every message before the last one has come.
    assert ends(inbox.about(refused)) == ["iris-model: failed"]
    assert ends(inbox.about(older)) == ["iris-model: superseded", "iris-model: failed"]
    assert ends(inbox.about(newer)) == ["iris-model: rejected"]
    assert len(ends(inbox.about(marked))) == 1
