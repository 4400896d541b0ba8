"""Commands read the board's documents, which no type connects with them: what they say, and how much they ask."""

from collections import Counter
from contextlib import suppress
from urllib.parse import parse_qsl

import pytest
import typer

from slipway.command import decide, logs, rollback, session, status, teardown, upload
from slipway.command.airflow import BOARD, Airflow
from slipway.command.errors import CommandError
from slipway.command.exits import Exit
from slipway.command.output import Output
from tests.unit.board.test_live import Stored, endpoint
from tests.unit.board.world import EVERY_STAGE, RELEASED, arn, results, upto


@pytest.fixture
def airflow(board):
    class Answers:
        url = "http://airflow"

        def board(self, path, **query):
            return board.get(f"/{path}", **query)

        def api(self, method, path, **query):
            """There is no DAG that builds an image of the model."""
            raise CommandError("not found", where=path, why="404", fix="none", code=Exit.NOT_FOUND)

        def start(self, model, conf, run_id, note):
            return run_id

        def run_url(self, dag_id, run_id):
            return f"{self.url}/dags/{dag_id}/runs/{run_id}"

    return Answers()


@pytest.fixture
def decided_release(world):
    decision = {"decided_by": "alice", "decided_at": "2026-11-29T10:00:00+00:00", "how": "Airflow", "comment": ""}
    with world:
        world.model("iris-model")
        world.run("iris-model", "r", "success", RELEASED, results("iris-model", 3))
        world.decided("approve", decision="Approved", **decision)
        world.decided("decide_trial", decision="Promote", **decision)


def test_a_models_releases_name_every_decision(airflow, decided_release, capsys):
    status._model(airflow, "iris-model", 5, Output(as_json=False))
    assert "Approved by alice; Promote by alice" in capsys.readouterr().out


def test_a_release_names_every_decision(airflow, decided_release, capsys):
    status.show_release(airflow.board("releases/iris-model/r"), airflow, Output(as_json=False))
    said = capsys.readouterr().out
    assert "approve: Approved by alice" in said
    assert "decide_trial: Promote by alice" in said


def test_a_model_without_releases_is_shown(airflow, world, capsys):
    with world:
        world.model("iris-model")
    status._model(airflow, "iris-model", 5, Output(as_json=False))
    assert "http://airflow/dags/iris-model" in capsys.readouterr().out


@pytest.fixture
def roll_back(airflow, monkeypatch):
    monkeypatch.setattr(session, "connect", lambda output: airflow)
    return lambda: rollback.rollback("iris-model", yes=True, no_follow=True)


def test_without_production_there_is_nothing_to_roll_back(engine, world, roll_back):
    with world:
        world.model("iris-model")
    Stored(engine).survey()
    with pytest.raises(CommandError) as refused:
        roll_back()
    assert refused.value.why == "nothing is in production"


@pytest.mark.parametrize("served", [True, False])
def test_what_the_record_does_not_name_may_still_be_rolled_back(engine, world, roll_back, served, capsys):
    """An endpoint that AWS serves, or a survey that does not know: the task decides."""
    with world:
        world.model("iris-model")
    if served:
        Stored(engine).survey(endpoint("iris-model"))
    roll_back()
    assert "serves no known version; it gets the release before." in capsys.readouterr().out


DECISION = {"decision": "Approved", "decided_by": "alice", "decided_at": "t", "how": "Airflow", "comment": ""}
FEW, MANY = 5, 35
ALICE = {"yes": True, "no_follow": True}
COMMANDS = {
    "rollback": lambda: rollback.rollback("iris-model", **ALICE),
    "rollback to the oldest version": lambda: rollback.rollback("iris-model", to="v1", **ALICE),
    "rollback to an old package": lambda: rollback.rollback("iris-model", to=arn("iris-model", 2), **ALICE),
    "rollback to nothing": lambda: rollback.rollback("iris-model", to="v999", **ALICE),
    "status": lambda: status.status(releases=5),
    "status of a model": lambda: status.status("iris-model", releases=5),
    "status of a release": lambda: status.status("iris-model", "run-1", releases=5),
    "a look while following": lambda: status.status("iris-model", "run-1", releases=5, follow=True),
    "following the newest": lambda: status.status("iris-model", releases=5, follow=True),
    "logs": lambda: logs.logs("iris-model"),
    "approve": lambda: decide.approve("iris-model", yes=True),
    "teardown": lambda: teardown.teardown("iris-model", confirm="iris-model", no_follow=True),
    "submit": lambda: upload.known_model(session.connect(None), "iris-model"),
}


class Asked(Airflow):
    """Counts what it is asked, and the board's statements for it."""

    def __init__(self, board) -> None:
        super().__init__("http://airflow", "token")
        self.of_board, self.newest, self.counts = board, "", Counter()

    def send(self, method, path, body=None):
        place, _, query = path.partition("?")
        self.counts.update([f"{method} {place}".replace(self.newest, "NEWEST")])
        if not place.startswith(f"/{BOARD}/"):
            return {"content": [], "dag_runs": [], **(body or {})}
        answer = self.of_board.get(place.removeprefix(f"/{BOARD}"), **dict(parse_qsl(query)))
        self.counts.update(statements=self.of_board.statements)
        return answer

    def spent(self, command) -> dict[str, int]:
        self.counts.clear()
        with suppress(CommandError, typer.Exit):
            command()
        return dict(self.counts)


@pytest.fixture
def asked(board, monkeypatch):
    made = Asked(board)
    monkeypatch.setattr(session, "connect", lambda output: made)
    # So that several pages are not hundreds of releases.
    monkeypatch.setattr(rollback, "_PAGE", 10)
    return made


def test_a_command_asks_the_same_of_a_model_with_few_releases_and_of_one_with_many(asked, world):
    found = {}
    with world:
        world.model("iris-model")
        tasks = world.run("iris-model", "waits", "running", upto("approve", "deferred"), results("iris-model", 99))
        world.ask(tasks["approve"], 99)
    for before, size in ((0, FEW), (FEW, MANY)):
        with world:
            for number in range(before, size):
                world.run("iris-model", f"run-{number}", "success", EVERY_STAGE, results("iris-model", number))
                world.decided("approve", **DECISION)
        asked.newest = f"run-{size - 1}"
        # Airflow reads a DAG's team once a process.
        asked.board("models/iris-model")
        found[size] = {name: asked.spent(command) for name, command in COMMANDS.items()}
    assert found[FEW] == found[MANY]
    past = f"GET /{BOARD}/models/iris-model/releases"
    assert [found[MANY][name].get(past, 0) for name in COMMANDS if name.startswith("rollback")] == [0, 1, 1, 2]
    assert any(path.endswith("/hitlDetails") for path in found[MANY]["approve"])


def test_a_release_is_found_by_its_version_and_by_its_package(airflow, world):
    with world:
        world.model("iris-model")
        world.model("other")
        for number in (1, 11, 12):
            for model in ("iris-model", "other"):
                world.run(model, f"run-{number}", "success", RELEASED, results(model, number))
    for package in ("1", arn("iris-model", 1)):
        page = airflow.board("models/iris-model/releases", package=package)
        assert ([one["run_id"] for one in page["releases"]], page["total"]) == (["run-1"], 1)
    assert airflow.board("models/iris-model/releases", package=arn("other", 1))["releases"] == []


def test_a_version_that_is_not_there_is_told_with_those_that_are(airflow, world, monkeypatch):
    with world:
        world.model("iris-model")
        for number in (1, 2, 3):
            world.run("iris-model", f"run-{number}", "success", RELEASED, results("iris-model", number))
    odd = ("9" * 21, f"{arn('iris-model', 1)} ", "arn:é", "arn:" + "a" * 400, "\uff11", "")
    for wanted in ("4", "v4", "last", arn("iris-model", 4), *odd):
        with pytest.raises(CommandError) as refused:
            rollback._release(airflow, "iris-model", wanted)
        assert refused.value.why == f"expected previous or one of the versions 3, 2, 1, found {wanted}"
        assert refused.value.code is Exit.NOT_FOUND
    monkeypatch.setattr(rollback, "_PAGE", 2)
    with pytest.raises(CommandError, match="versions of the newest 2 releases 3, 2, or an older one, found 4"):
        rollback._release(airflow, "iris-model", "4")


def test_a_version_whose_run_lost_its_package_is_refused_with_the_reason(airflow, world):
    """Clearing `register` removes its result; what `deploy_prd` has left still names the version."""
    with world:
        world.model("iris-model")
        for number in (1, 2, 3):
            left = results("iris-model", number)
            if number == 2:
                del left["register"]
            world.run("iris-model", f"run-{number}", "success", RELEASED, left)
    with pytest.raises(CommandError, match="It has no model package of its own") as refused:
        rollback._release(airflow, "iris-model", "2")
    assert refused.value.code is Exit.REFUSED
