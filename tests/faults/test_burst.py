from types import SimpleNamespace

from tests.faults.burst.run import Burst, report
from tests.instance import Instance
from tools.settings import Settings

TASKS = {"train": {"try_number": 2}, "register": {"try_number": 1}, "deploy_prd": {"try_number": 4}}


def test_it_counts_what_airflow_took_for_killed(tmp_path):
    """Every column of the report can be other than zero."""
    instance = Instance(Settings(tmp_path), tmp_path)
    instance._apis["alice"] = SimpleNamespace(
        runs=lambda dag_id: [{"dag_run_id": "run"}] if dag_id == "burst-0" else [], tasks=lambda dag_id, run_id: TASKS
    )
    instance.settings.logs.mkdir()
    (instance.settings.logs / "scheduler.log").write_text(
        "Received executor event with state success\nthe task instance burst-0.train finished with state success, but\n"
    )
    (instance.settings.logs / "triggerer.log").write_text(
        "Trigger fired event\nTrigger completed\nTrigger fired event\n"
    )
    burst = Burst(instance, 2, writes=[0.3, 0.1, 4.0], states={"burst-0": "success", "burst-1": "failed"})
    assert burst.attempts() == {"burst-0.train": 2, "burst-0.deploy_prd": 4}
    assert report(burst, 200.0).splitlines() == [
        "releases: 2, of which 1 succeeded, 200 s",
        "resumed tasks: 2, of which 1 were taken for killed",
        "tasks with more than one attempt: 2, at most 4 attempts",
        "writes of the API: 3, median 0.30 s, longest 4.0 s",
    ]
