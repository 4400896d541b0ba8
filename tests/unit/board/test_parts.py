"""The parts of a task's time: what Airflow's event log says of it."""

from datetime import datetime, timedelta

import pytest

from tests.unit.board.world import NOW, RELEASED, upto

BEGAN = NOW - timedelta(hours=1)


def parts_of(board, task_id, run_id="r"):
    """What the page says of a task: the kind of each part, its first second after the run's begin, and its last."""
    task = next(one for one in board.get(f"/releases/iris-model/{run_id}")["tasks"] if one["task_id"] == task_id)
    return [(one["kind"], *map(seconds, (one["started"], one["ended"]))) for one in task["parts"]]


def seconds(moment):
    return moment and (datetime.fromisoformat(moment) - BEGAN).total_seconds()


def test_a_task_that_waited_has_its_wait_apart_from_its_work(board, world):
    with world:
        world.model("iris-model")
        world.run("iris-model", "r", "success", RELEASED)
    assert parts_of(board, "process_request") == [("work", 120, 180)]
    assert parts_of(board, "train") == [("work", 240, 246), ("wait", 246, 292), ("work", 292, 300)]
    assert parts_of(board, "decide_trial") == []


@pytest.mark.parametrize(("state", "kind"), [("deferred", "wait"), ("running", "work")])
def test_the_last_part_of_a_task_that_goes_on_has_no_end(board, world, state, kind):
    with world:
        world.model("iris-model")
        world.run("iris-model", "r", "running", upto("train", state))
    assert (parts_of(board, "train")[-1][0], parts_of(board, "train")[-1][2]) == (kind, None)


def test_what_ended_without_an_event_ended_with_its_task(board, world):
    """Somebody marked the task while it waited, or its worker was killed."""
    with world:
        world.model("iris-model")
        world.run("iris-model", "r", "running", {"evaluate": "success"})
        world.event("iris-model", "r", "evaluate", "deferred", BEGAN + timedelta(seconds=60))
    assert parts_of(board, "evaluate")[-1] == ("wait", 60, 60)


def test_a_pause_before_another_try_is_a_wait_and_the_time_until_a_task_was_cleared_is_none(board, world):
    events = [
        ("running", 0),
        ("up_for_retry", 5),
        ("running", 15),
        ("failed", 20),
        ("running", 3000),
        ("success", 3010),
    ]
    with world:
        world.model("iris-model")
        world.run("iris-model", "r", "success", {"register": "none"})
        for event, at in events[1:]:
            world.event("iris-model", "r", "register", event, BEGAN + timedelta(seconds=at))
    assert parts_of(board, "register") == [("work", 0, 5), ("wait", 5, 15), ("work", 15, 20), ("work", 3000, 3010)]


def test_other_events_and_those_of_other_runs_count_for_nothing(board, world):
    with world:
        world.model("iris-model")
        world.model("other-model")
        for model, run_id in (("iris-model", "other"), ("other-model", "r"), ("iris-model", "r")):
            world.run(model, run_id, "success", {"register": "success"})
        world.event("iris-model", "r", "register", "patch_task_instance", BEGAN + timedelta(seconds=30))
    assert parts_of(board, "register") == [("work", 0, 60)]


TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.mark.parametrize(
    ("traceparent", "seen"),
    [
        (f"00-{TRACE}-00f067aa0ba902b7-01", TRACE),
        # What Airflow makes while it sends no traces, and where the sampler leaves a run out.
        (f"00-{TRACE}-00f067aa0ba902b7-00", None),
        (None, None),
        ("something else", None),
    ],
)
def test_the_trace_is_named_where_it_is_sent(board, world, traceparent, seen):
    with world:
        world.model("iris-model")
        world.run("iris-model", "r", "success", RELEASED, traceparent=traceparent)
    assert board.get("/releases/iris-model/r")["trace_id"] == seen
