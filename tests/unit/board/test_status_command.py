"""`slipway status` and `slipway rollback` read the board's documents, which no type connects with the commands."""

import pytest

from slipway.command import rollback, session, status
from slipway.command.errors import CommandError
from slipway.command.exits import Exit
from slipway.command.output import Output
from tests.unit.board.test_live import Stored, endpoint
from tests.unit.board.world import RELEASED, results


@pytest.fixture
def airflow(board):
    class Airflow:
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

    return Airflow()


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
