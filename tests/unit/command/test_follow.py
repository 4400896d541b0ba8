"""How often a command that follows a run asks: soon after a change, and ever less often while nothing changes."""

from itertools import pairwise

import pytest

from slipway.command import follow, run
from slipway.command.errors import CommandError
from slipway.command.exits import Exit
from slipway.command.output import Output

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0


class Airflow:
    """One run, whose task changes its state at given moments; it ends at the last one."""

    url = "http://airflow"

    def __init__(self, *changes: float) -> None:
        self.now, self.changes, self.gone = 0.0, changes, (0.0, 0.0)
        # The moments of its looks.
        self.asked: dict[float, None] = {}

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def _state(self) -> str:
        self.asked[self.now] = None
        if self.gone[0] <= self.now < self.gone[1]:
            raise CommandError("Airflow does not answer", code=Exit.UNREACHABLE)
        return "success" if self.now >= self.changes[-1] else str(sum(at <= self.now for at in self.changes))

    def board(self, path):
        state = self._state()
        tasks = [{"task_id": "train", "state": state, "started": None, "ended": None}]
        ended = "success" if state == "success" else "running"
        return {"state": ended, "tasks": tasks, "decisions": [], "failures": []}

    def api(self, method, path):
        state = self._state()
        if path.endswith("taskInstances"):
            return {"task_instances": [{"task_id": "train", "state": state}]}
        return {"state": "success" if state == "success" else "running"}

    def looks(self, began: float, seconds: float) -> int:
        return sum(began <= at < began + seconds for at in self.asked)


@pytest.fixture(params=["a release", "another run"])
def followed(request, monkeypatch):
    """Follow a run to its end."""

    def to_the_end(airflow: Airflow) -> Airflow:
        monkeypatch.setattr(follow, "time", airflow)
        output = Output(as_json=False)
        if request.param == "a release":
            follow.Follower(airflow, "iris-model", "r", output).follow(past_questions=True)
        else:
            run.follow_run(airflow, "teardown", "r", output)
        return airflow

    return to_the_end


def test_a_minute_costs_the_same_after_an_hour_and_after_a_day(followed):
    airflow = followed(Airflow(2 * DAY))
    assert airflow.looks(0.0, MINUTE) == 60
    assert airflow.looks(HOUR + MINUTE, HOUR) == airflow.looks(DAY, HOUR) == 60
    assert airflow.looks(0.0, DAY) < 1700


def test_after_a_change_it_asks_each_second_again(followed):
    airflow = followed(Airflow(DAY, DAY + HOUR))
    noticed = next(at for at in airflow.asked if at >= DAY)
    assert noticed - DAY <= MINUTE
    assert airflow.looks(noticed + 1, MINUTE) == 60


def test_after_another_question_it_asks_each_second_again(monkeypatch):
    """The task that asks may have run and wait again between two looks."""
    airflow = Airflow(2 * DAY)
    monkeypatch.setattr(follow, "time", airflow)

    def board(path, before=airflow.board):
        waits_for = "risk" if airflow.now >= DAY else "team"
        return before(path) | {"decisions": [{"subject": "Approve?", "waits_for": waits_for}]}

    airflow.board = board
    follow.Follower(airflow, "iris-model", "r", Output(as_json=False)).follow(past_questions=True)
    noticed = next(at for at in airflow.asked if at >= DAY)
    assert airflow.looks(noticed + 1, MINUTE) == 60


def test_a_short_absence_of_airflow_is_noticed_each_second(followed):
    airflow = Airflow(2 * DAY)
    airflow.gone = (DAY, DAY + 2 * MINUTE)
    followed(airflow)
    gone = [at for at in airflow.asked if DAY <= at < DAY + 2 * MINUTE]
    assert {after - before for before, after in pairwise(gone)} == {1.0}
    assert len(gone) > 60
