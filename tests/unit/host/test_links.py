"""Links to another run."""

import pytest

from slipway.host import xcoms
from slipway.host.links import NewerReleaseLink, ReleasedByLink, run_url


class TaskInstance:
    dag_id, task_id, run_id, map_index = "iris-model", "train", "s3__1", -1

    def __init__(self) -> None:
        self.xcoms = {}

    def xcom_push(self, key, value):
        self.xcoms[key] = value


@pytest.mark.parametrize("link", [NewerReleaseLink, ReleasedByLink])
def test_a_link_leads_to_the_run_that_the_task_has_named(link, monkeypatch):
    ti = TaskInstance()
    monkeypatch.setattr(xcoms.XCom, "get_value", lambda *, key, ti_key: ti_key.xcoms.get(key))
    assert link().get_link(None, ti_key=ti) == ""
    link.persist({"ti": ti}, "iris-model", "manual__2026-05-01T12:00:00+00:00")
    assert link().get_link(None, ti_key=ti).endswith("/dags/iris-model/runs/manual__2026-05-01T12%3A00%3A00%2B00%3A00")


def test_keys_and_names_differ():
    assert NewerReleaseLink.key != ReleasedByLink.key
    assert NewerReleaseLink.name != ReleasedByLink.name


def test_the_address_is_the_configured_one(monkeypatch):
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://airflow.example/")
    assert run_url("a/b", "c") == "https://airflow.example/dags/a%2Fb/runs/c"
