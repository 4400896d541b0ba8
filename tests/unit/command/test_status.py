"""What `slipway status MODEL` says of what is live."""

import sys

import pytest

from slipway.command.errors import CommandError
from slipway.command.exits import Exit
from slipway.command.output import Output

# The package's member of this name is the command.
status = sys.modules["slipway.command.status"]


class Board:
    """Answers as the board's API does, for one model without releases."""

    url = "http://127.0.0.1:8080"

    def __init__(self, served, say, *, builds_image=False):
        row = {"paused": False, "stages": [], "served": served, "decisions": [], "failure": None}
        self.model = {"row": row, "description": "", "survey": {"say": say}, "builds_image": builds_image}
        self.asked = []

    def api(self, _method, path, **_):
        self.asked.append(path)
        raise CommandError("There is no such DAG", where=path, code=Exit.NOT_FOUND)

    def board(self, path, **_):
        self.asked.append(path)
        return {"releases": [], "total": 0} if path.endswith("releases") else self.model


ENDPOINT = {
    "environment": "production",
    "endpoint": "iris-model-production",
    "status": "InService",
    "variants": [],
    "drift": [],
    "alarms": [],
}


@pytest.mark.parametrize(
    ("served", "say", "wanted"),
    [
        ([], None, "No endpoint of this model exists."),
        ([], "Nobody has looked at AWS yet.", "Nobody has looked at AWS yet."),
        ([ENDPOINT], "AWS cannot be read: denied", "AWS cannot be read: denied\nproduction: iris-model-production"),
        ([ENDPOINT], None, "production: iris-model-production InService"),
    ],
)
def test_what_is_live_is_said_with_how_sure_that_is(served, say, wanted, capsys):
    status._model(Board(served, say), "iris-model", 5, Output(as_json=False))
    said = capsys.readouterr().out
    assert wanted in said
    assert ("No endpoint" in said) == (wanted == "No endpoint of this model exists.")


def test_a_model_without_an_image_of_its_own_costs_two_requests():
    board = Board([], None)
    status._model(board, "iris-model", 5, Output(as_json=False))
    assert board.asked == ["models/iris-model", "models/iris-model/releases"]


class Builds(Board):
    """The same, with a build of the model's image that has failed."""

    def api(self, _method, path, **_):
        answers = {
            "dags/image_build-forest/dagRuns": {"dag_runs": [{"dag_run_id": "run", "state": "failed"}]},
            "dags/image_build-forest/dagRuns/run/taskInstances": {
                "task_instances": [{"task_id": "build", "state": "failed"}, {"task_id": "scan", "state": None}]
            },
            "dags/image_build-forest/dagRuns/run/taskInstances/build/xcomEntries/slipway_failure": {
                "value": {"what": "The build has failed", "where": "b:1", "why": "pip", "fix": "correct it"}
            },
        }
        return answers[path]

    def run_url(self, model, run_id):
        return f"{self.url}/{model}/{run_id}"


def test_a_build_that_failed_is_told_with_its_reason(capsys):
    status._model(Builds([], None, builds_image=True), "forest", 5, Output(as_json=False))
    said = capsys.readouterr().out
    assert "newest build of its image: failed, http://127.0.0.1:8080/image_build-forest/run" in said
    assert "build failed: The build has failed." in said
    assert "Fix:   correct it" in said
