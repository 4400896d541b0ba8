"""How often a message is tried that no receiver takes: each attempt is a task that runs again."""

from types import SimpleNamespace

import pytest

from slipway.approval import wanted
from slipway.approval.answers import Question
from slipway.model.approval_rules import ONLY_STAGE, ApprovalStage, Rules
from slipway.notices import send
from slipway.notices.send import Notice
from tests.unit.releases import xcoms
from tests.unit.task_runs import context

HOUR, DAY = 3600.0, 86400.0


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
        clock.time = lambda: clock.now
        for module in (wanted, send):
            monkeypatch.setattr(module, "time", clock)
        receivers, rules = Receivers(clock, repaired_at), Rules((ApprovalStage(ONLY_STAGE, ("alice",)),))
        while clock.now < days * DAY:
            again_at = wanted.tell_wanted(
                receivers,
                context(xcoms()),
                Question(0.0, "arn/1"),
                title="Shall it?",
                rules=rules,
                ends_at=days * DAY,
                otherwise="it is rejected",
                aws_conn_id=None,
            )
            clock.now = days * DAY if again_at is None else again_at
        return receivers

    return to_the_end


def test_a_message_that_nobody_takes_is_tried_ever_less_often(waits):
    short, long = (waits(days, repaired_at=100 * DAY) for days in (2, 14))
    hours = [sum(begin * HOUR <= at < (begin + 1) * HOUR for at in long.tried) for begin in (0, 12, 6 * 24)]
    assert hours == [hours[0], 1, 1]
    assert 10 <= hours[0] <= 30
    assert len(short.tried) < 150
    # The reminder, at half of the time, is tried as the first message was.
    assert len(long.tried) - len(short.tried) <= 12 * 24
    assert list(long.tried)[:3] == [0.0, 60.0, 120.0]


def test_what_is_repaired_is_told_soon_after(waits):
    told = waits(7, repaired_at=2 * HOUR)
    assert [key.partition("/")[0] for key in told.taken] == [Notice.WANTED, Notice.REMINDER]
    first = next(at for at in told.tried if at >= 2 * HOUR)
    assert first <= 2 * HOUR * 1.1
    assert len([at for at in told.tried if at > first]) == 1
