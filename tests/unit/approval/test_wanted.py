"""How often a message is tried that no receiver takes: each attempt is a task that runs again."""

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from slipway.approval import wanted
from slipway.approval.answers import Question
from slipway.model.approval_rules import ONLY_STAGE, Approval, ApprovalStage, Rules
from slipway.notices.send import Notice
from tests.unit.own_time import give_time
from tests.unit.releases import xcoms
from tests.unit.task_runs import context

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
OTHERWISE = {"title": "Shall it?", "otherwise": "it is rejected", "aws_conn_id": None}


class Receivers:
    """Receivers that take nothing before a moment."""

    def __init__(self, clock, repaired_at: float) -> None:
        self.clock, self.repaired_at, self.tried, self.taken = clock, repaired_at, {}, []

    def send(self, message, context, aws_conn_id) -> bool:
        self.tried[self.clock.now] = message.notice
        if self.clock.now < self.repaired_at:
            return False
        self.taken += [] if message.key in self.taken else [message.key]
        return True


@pytest.fixture
def waits(monkeypatch):
    """Let a question wait for its time; return what its receivers were sent."""

    def to_the_end(days: float, repaired_at: float) -> Receivers:
        clock = SimpleNamespace(now=0.0)
        give_time(monkeypatch, wanted, time=lambda: clock.now)
        receivers, rules = Receivers(clock, repaired_at), Rules((ApprovalStage(ONLY_STAGE, ("alice",)),))
        while clock.now < days * DAY:
            again_at = wanted.tell_wanted(
                receivers,
                context(xcoms()),
                Question(0.0, "arn/1"),
                rules=rules,
                ends_at=days * DAY,
                **OTHERWISE,
            )
            clock.now = days * DAY if again_at is None else again_at
        return receivers

    return to_the_end


def test_a_message_that_nobody_takes_is_tried_ever_less_often(waits):
    short, long = (waits(days, repaired_at=100 * DAY) for days in (2, 14))
    hours = [sum(begin * HOUR <= at < (begin + 1) * HOUR for at in long.tried) for begin in (0, 12, 6 * 24)]
    assert hours == [hours[0], 6, 6]
    assert 10 <= hours[0] <= 30
    assert len(short.tried) < 400
    assert len(long.tried) - len(short.tried) <= 12 * 24 * 6
    assert list(long.tried)[:3] == [0.0, 60.0, 120.0]


def test_what_is_repaired_is_told_soon_after(waits):
    told = waits(7, repaired_at=2 * HOUR)
    assert [key.partition("/")[0] for key in told.taken] == [Notice.WANTED, Notice.REMINDER]
    first = next(at for at in told.tried if at >= 2 * HOUR)
    assert first <= 2 * HOUR + 10 * MINUTE
    assert len([at for at in told.tried if at > first]) == 1


@pytest.mark.parametrize("days", [1, 2, 7])
@pytest.mark.parametrize("left", [55 * MINUTE, 10 * MINUTE, 2 * MINUTE])
def test_what_is_repaired_shortly_before_the_end_is_told(waits, days, left):
    assert waits(days, repaired_at=days * DAY - left).taken


@pytest.mark.parametrize("approved_at", [HOUR, 2 * DAY, 6.9 * DAY])
def test_the_message_of_a_later_stage_is_tried_again_a_minute_later(monkeypatch, approved_at):
    clock = SimpleNamespace(now=approved_at + 1)
    give_time(monkeypatch, wanted, time=lambda: clock.now)
    rules = Rules((ApprovalStage("team", ("alice",)), ApprovalStage("risk", ("bob",))))
    approval = Approval("alice", datetime.fromtimestamp(approved_at, UTC).isoformat(), "Airflow", "team", "proof")
    question = Question(0.0, "arn/1").next([approval])
    receivers = Receivers(clock, repaired_at=100 * DAY)
    again_at = wanted.tell_wanted(receivers, context(xcoms()), question, rules=rules, ends_at=7 * DAY, **OTHERWISE)
    assert again_at == clock.now + MINUTE
