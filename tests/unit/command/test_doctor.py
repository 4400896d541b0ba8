"""One cause is told once; what depends on it is listed as not checked because of it."""

from urllib.parse import parse_qs, urlsplit

import pytest

from slipway.command import airflow_health
from slipway.command.airflow import Airflow
from slipway.command.exits import Exit
from slipway.command.findings import State

# Nobody listens at this port.
CLOSED = "http://127.0.0.1:1"


@pytest.fixture
def nowhere(monkeypatch):
    """Neither Airflow nor AWS answers."""
    monkeypatch.setenv("SLIPWAY_AIRFLOW_URL", CLOSED)
    monkeypatch.setenv("SLIPWAY_AIRFLOW_TOKEN", "token")
    monkeypatch.setenv("AWS_ENDPOINT_URL", CLOSED)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")


def test_what_does_not_answer_is_told_once(slipway, nowhere):
    said = slipway("doctor", "--json")
    assert said.code == Exit.FAILED
    found = {one["about"]: one for one in said.json["findings"] if one["state"] != State.OK}
    wrong = [about for about, one in found.items() if one["state"] == State.PROBLEM]
    assert {"Airflow answers", "your AWS credentials"} <= set(wrong)
    assert len([about for about in wrong if about != "the model files"]) == 2
    for about in ("your login", "the board", "the DAGs", "the DAG files"):
        assert found[about]["found"] == "not checked, because of: Airflow answers"
    for about in ("the set-up of the account", "the bucket", "the quotas"):
        assert found[about]["found"] == "not checked, because of: your AWS credentials"


def test_without_an_address_nothing_of_airflow_is_checked(slipway, nowhere, monkeypatch):
    monkeypatch.delenv("SLIPWAY_AIRFLOW_URL")
    found = {one["about"]: one["found"] for one in slipway("doctor", "--json").json["findings"]}
    assert "SLIPWAY_AIRFLOW_URL is not set" in found["Airflow's address"]
    assert found["your login"] == found["the DAGs"] == "not checked, because of: Airflow's address"


class Pages(Airflow):
    """Answers as Airflow and its board do, a page at a time."""

    def __init__(self, models, *, longest=100):
        super().__init__(CLOSED, "token")
        self.longest, self.asked = longest, 0
        self.models = [f"model-{number:04}" for number in range(models)]

    def send(self, method, path, body=None):
        self.asked += 1
        parts = urlsplit(path)
        query = {name: value[0] for name, value in parse_qs(parts.query).items()}
        place = slice(int(query["offset"]) if "offset" in query else 0, None)
        limit = min(int(query["limit"]), self.longest)
        if parts.path.endswith("/dags"):
            assert query["tags"] == "slipway"
            # The watchers come after the models, and their names have a suffix where there are several.
            found = [*self.models, *airflow_health._DAGS[1:], f"{airflow_health._DAGS[0]}-of-a-bucket"]
            dags = [{"dag_id": name, "is_paused": False} for name in found]
            return {"dags": dags[place][:limit], "total_entries": len(dags)}
        if parts.path.endswith("/importErrors"):
            return {"import_errors": [], "total_entries": 0}
        rows = [{"model": name, "paused": True, "served": [], "failure": None, "need": "done"} for name in self.models]
        survey = {"state": "fresh", "say": None}
        return {"models": rows[place][:limit], "total": len(rows), "user": "alice", "survey": survey}


@pytest.mark.parametrize(("models", "longest", "asked"), [(3, 100, 3), (250, 100, 3 + 2 + 2), (30, 20, 3 + 1 + 1)])
def test_every_dag_and_every_model_is_looked_at_however_many_there_are(models, longest, asked):
    airflow = Pages(models, longest=longest)
    found = {one.about: one for one in airflow_health.of_person(airflow, None)}
    assert [found[f"the DAG {name}"].state for name in airflow_health._DAGS] == [State.OK] * len(airflow_health._DAGS)
    assert {f"model {name}" for name in airflow.models} <= set(found)
    assert airflow.asked == asked
