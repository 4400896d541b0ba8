"""When a watcher emits an event: at once for something new, less and less often for the rest."""

from itertools import pairwise

from slipway.waiting.pacing import EMIT_AGAIN_LIMIT_SECONDS, EMIT_AGAIN_SECONDS, EventPacing

NEW, NEWER = "version 1", "version 2"


def test_an_event_is_due_at_once_for_something_new_and_less_and_less_often_for_the_rest():
    pacing = EventPacing()
    assert pacing.is_due([NEW], 0.0)
    assert not pacing.is_due([NEW], 1.0)
    assert pacing.is_due([NEW, NEWER], 2.0)
    events = [second for second in range(3, 600) if pacing.is_due([NEW, NEWER], float(second))]
    gaps = [later - earlier for earlier, later in pairwise([2, *events])]
    assert gaps[0] == EMIT_AGAIN_SECONDS
    assert gaps == sorted(gaps)
    assert gaps[-1] == EMIT_AGAIN_LIMIT_SECONDS


def test_what_was_handled_is_new_when_it_comes_back():
    pacing = EventPacing()
    assert pacing.is_due([NEW], 0.0)
    assert not pacing.is_due([], 1.0)
    assert pacing.is_due([NEW], 2.0)


def test_before_the_first_intake_not_every_poll_is_an_event():
    pacing = EventPacing()
    assert pacing.is_due(None, 0.0)
    assert not pacing.is_due(None, 1.0)
    assert pacing.is_due(None, EMIT_AGAIN_SECONDS)
    assert pacing.is_due([NEW], EMIT_AGAIN_SECONDS + 1)
