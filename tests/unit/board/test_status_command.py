"""`slipway status` prints the board's documents, which no type connects with the command."""

import pytest

from slipway.command import status
from slipway.command.output import Output
from tests.unit.board.world import RELEASED, results


@pytest.fixture
def airflow(board):
    class Airflow:
        url = "http://airflow"

        def board(self, path, **query):
            return board.get(f"/{path}", **query)

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
