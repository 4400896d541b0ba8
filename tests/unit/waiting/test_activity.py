"""How long a watcher pauses: a task's note and what it has seen itself keep it busy, and a note ends a long pause."""

import asyncio
from types import SimpleNamespace

import pytest

from slipway.waiting import activity
from slipway.waiting.activity import BUSY_SECONDS, Activity


class Hours:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds

    async def to_thread(self, act):
        return act()


@pytest.fixture
def hours(monkeypatch) -> Hours:
    made = Hours()
    monkeypatch.setattr(activity, "time", made)
    monkeypatch.setattr(activity, "asyncio", SimpleNamespace(sleep=made.sleep, to_thread=made.to_thread))
    return made


def looks_in(seconds: float, made: Activity, hours: Hours) -> int:
    """How often a watcher looks that pauses ten seconds, or five minutes."""
    until, looks = hours.now + seconds, 0
    while hours.now < until:
        looks += 1
        asyncio.run(made.pause(10.0, 300.0))
    return looks


def test_an_hour_without_anything_has_twelve_looks(hours):
    made = Activity(noted=lambda: None)
    assert looks_in(BUSY_SECONDS, made, hours) == 60
    assert made.calm
    assert looks_in(3600.0, made, hours) == 12


def test_a_pause_that_began_busy_ends_when_the_watcher_has_said(hours):
    made, began = Activity(noted=lambda: None), hours.now
    hours.now += BUSY_SECONDS - 20.0
    assert not made.calm
    asyncio.run(made.pause(55.0, 300.0))
    assert made.calm
    assert hours.now - began == BUSY_SECONDS + 35.0


def test_a_note_ends_a_long_pause_within_ten_seconds(hours):
    made = Activity(noted=lambda: "now" if hours.now >= 5000.0 else None)
    looks_in(BUSY_SECONDS, made, hours)
    while hours.now < 5000.0:
        asyncio.run(made.pause(10.0, 300.0))
    assert hours.now <= 5010.0
    assert not made.calm
    assert looks_in(BUSY_SECONDS - 20.0, made, hours) == 58


def test_what_the_watcher_sees_itself_keeps_it_busy(hours):
    made = Activity(noted=lambda: None)
    looks_in(3600.0, made, hours)
    made.happened()
    assert looks_in(BUSY_SECONDS, made, hours) == 60


def test_no_release_fails_because_a_note_cannot_be_written(monkeypatch, caplog):
    def refuse(*arguments, **more):
        raise RuntimeError("no API server")

    monkeypatch.setattr(activity.Variable, "set", refuse)
    activity.note_activity()
    assert "no API server" in caplog.text
