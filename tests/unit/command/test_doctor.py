"""One cause is told once; what depends on it is listed as not checked because of it."""

import pytest

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
