"""The sending loops, in virtual time: exact, and without waiting."""

import asyncio

import pytest

from slipway.load.answers import Answers
from slipway.load.phases import Arrivals, LoadStage, shares
from slipway.load.rows import Row
from slipway.load.sender import Reply
from slipway.load.sending_loops import ABANDONED, Drive
from tests.unit.load.endpoints import StallingSender, in_virtual_time

ROWS = [Row("1", "1,a"), Row("2", "2,b"), Row("0", "3,c")]


def driven(phase, processes=1, stall=(0, 0), error=None, stop_at=None):
    """Run a phase; gives what was counted by each process, and the senders."""

    async def run(clock):
        senders = [StallingSender(clock, stall, error) for _ in range(processes)]
        drives = [
            Drive(share, ROWS, sender, 0.0, clock)
            for share, sender in zip(shares(phase, processes), senders, strict=True)
        ]
        if stop_at is not None:
            for drive in drives:
                asyncio.get_running_loop().call_at(stop_at, drive.stop)
        await asyncio.gather(*(drive.run() for drive in drives))
        return [drive.take().settle() for drive in drives], senders, clock()

    return in_virtual_time(lambda clock: run(clock))


def milliseconds(histogram):
    """Every recorded value, rounded to a millisecond."""
    return [
        round(entry.value_iterated_to / 1000)
        for entry in histogram.get_recorded_iterator()
        for _ in range(entry.count_at_value_iterated_to)
    ]


def test_a_stall_is_seen_by_every_request_that_was_due_during_it():
    [tally], [sender], _ = driven(Arrivals(10, 3, concurrency=1), stall=(0.95, 1.95))
    assert tally.sent == len(sender.sent_at) == 30
    late = [ms for ms in milliseconds(tally.latency) if ms >= 45]
    # The one due at 1.0 s is sent then; nine are due behind it, and each counts from when it was due.
    assert late == pytest.approx([50, 150, 250, 350, 450, 550, 650, 750, 850, 950], rel=0.01)
    assert [ms for ms in milliseconds(tally.service) if ms >= 45] == pytest.approx([950], rel=0.01)


def test_requests_are_sent_when_they_are_due_whether_or_not_others_are_answered():
    _, [sender], _ = driven(Arrivals(10, 2, concurrency=20), stall=(0.0, 10.0))
    assert sender.sent_at == pytest.approx([number / 10 for number in range(20)])


def test_processes_divide_the_arrivals_among_them_and_send_the_same_rows():
    tallies, senders, _ = driven(Arrivals(10, 3, concurrency=4), processes=3)
    assert [tally.sent for tally in tallies] == [10, 10, 10]
    assert sorted(moment for sender in senders for moment in sender.sent_at) == pytest.approx(
        [number / 10 for number in range(30)]
    )
    bodies = sorted(body for sender in senders for body in sender.bodies)
    assert bodies == sorted([b"1,a", b"2,b", b"3,c"] * 10)


def test_a_stage_has_so_many_in_flight_and_sends_so_many_in_all():
    tallies, senders, ended_at = driven(LoadStage(5, 12), processes=2, stall=(0, 1))
    assert [tally.sent for tally in tallies] == [6, 6]
    # Five are held by the stall, the other seven follow when it ends.
    moments = sorted(moment for sender in senders for moment in sender.sent_at)
    assert moments == [0.0] * 5 + [1.0] * 7
    assert ended_at == 1.0


def test_answers_are_held_against_the_labels_and_counted_by_variant():
    [tally], _, _ = driven(LoadStage(3, 30))
    assert (tally.answered, tally.right, dict(tally.variants)) == (30, 20, {"blue": 30})


def test_errors_are_counted_by_kind_and_are_no_answers():
    [tally], _, _ = driven(LoadStage(2, 8), error="400 ThrottlingException")
    assert (tally.sent, tally.answered, dict(tally.errors)) == (8, 0, {"400 ThrottlingException": 8})
    assert tally.latency.get_total_count() == 0


def test_a_stop_sends_nothing_more_and_lets_what_is_in_flight_end():
    [tally], [sender], ended_at = driven(Arrivals(10, 60, concurrency=3), stall=(0.95, 2.0), stop_at=1.55)
    assert max(sender.sent_at) <= 1.55
    assert tally.answered == tally.sent == 13
    assert ended_at == pytest.approx(2.0)


def test_a_stop_abandons_what_is_not_answered_in_time_and_says_so():
    [tally], [sender], ended_at = driven(LoadStage(4, 100), stall=(0, 1000), stop_at=1.0)
    assert (tally.sent, tally.answered, dict(tally.errors)) == (4, 0, {ABANDONED: 4})
    assert ended_at == pytest.approx(6.0)
    assert sender.abandoned


class Refusing(StallingSender):
    """Has a bug in its sending."""

    def send(self, body, done):
        raise KeyError("bug")


class Wrong(StallingSender):
    """Has a bug in its answers."""

    def reply(self, body):
        return Reply("blue", None)


@pytest.mark.parametrize(("sender", "error"), [(Refusing, KeyError), (Wrong, AttributeError)])
def test_a_fault_of_the_program_is_no_small_load(sender, error):
    async def run(clock):
        await Drive(shares(LoadStage(2, 10), 1)[0], ROWS, sender(clock), 0.0, clock).run()

    with pytest.raises(error):
        in_virtual_time(lambda clock: run(clock))


def test_an_answer_that_comes_after_it_was_abandoned_does_not_count():
    async def run(clock):
        sender = StallingSender(clock, (0, 100))
        drive = Drive(shares(LoadStage(4, 100), 1)[0], ROWS, sender, 0.0, clock)
        asyncio.get_running_loop().call_at(1.0, drive.stop)
        await drive.run()
        await asyncio.sleep(200)
        return drive.take().settle(), len(sender.sent_at)

    tally, sent = in_virtual_time(lambda clock: run(clock))
    assert (tally.answered, dict(tally.errors), sent) == (0, {ABANDONED: 4}, 4)


def test_a_stop_before_the_start_sends_nothing():
    async def run(clock):
        sender = StallingSender(clock)
        drive = Drive(shares(LoadStage(4, 100), 1)[0], ROWS, sender, 5.0, clock)
        drive.stop()
        await drive.run()
        return drive.take().sent, clock()

    assert in_virtual_time(lambda clock: run(clock)) == (0, 0.0)


@pytest.mark.parametrize(("answers", "correct"), [({}, 0), ({"model-a": "margin"}, 4), ({"": "margin"}, 4)])
def test_answers_are_counted_by_what_their_variant_answers(answers, correct):
    class Scores(StallingSender):
        def reply(self, body):
            return Reply("model-a", b"7.5")

    async def run(clock):
        [share] = shares(LoadStage(1, 4), 1)
        kinds = {variant: Answers(kind) for variant, kind in answers.items()}
        drive = Drive(share, [Row("1", "2,3")], Scores(clock, (0, 0), None), 0.0, clock, answers=kinds)
        await drive.run()
        return drive.take().settle()

    assert sum(in_virtual_time(lambda clock: run(clock)).rights.values()) == correct
