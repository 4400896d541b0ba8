"""Unused images are removed again and again."""

import threading

from local_aws.compute.image_upkeep import ImageUpkeep


class FailsFirst:
    """A compute whose disk fails once."""

    def __init__(self):
        self.rounds = 0
        self.third = threading.Event()

    def remove_unused(self):
        self.rounds += 1
        if self.rounds == 1:
            raise OSError("Input/output error")
        if self.rounds == 3:
            self.third.set()


def test_rounds_go_on_after_one_that_fails_and_end_with_the_local_aws():
    compute = FailsFirst()
    before = set(threading.enumerate())
    upkeep = ImageUpkeep(compute, interval_seconds=0.01)
    upkeep.start()
    (thread,) = set(threading.enumerate()) - before
    assert compute.third.wait(60)
    upkeep.stop()
    thread.join(60)
    assert not thread.is_alive()


def test_the_first_round_is_not_at_the_start():
    compute = FailsFirst()
    upkeep = ImageUpkeep(compute)
    upkeep.start()
    upkeep.stop()
    assert compute.rounds == 0
