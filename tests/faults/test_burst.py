from types import SimpleNamespace

from tests.faults.burst.run import Burst, report
from tests.instance import Instance
from tools.settings import Settings

TASKS = {"train": {"try_number": 2}, "register": {"try_number": 1}, "deploy_prd": {"try_number": 4}}


def test_it_counts_what_airflow_took_for_killed(tmp_path):
    """Every column of the report can be other than zero."""
    instance = Instance(Settings(tmp_path), tmp_path)
    instance._apis["alice"] = SimpleNamespace(
        call=lambda method, path, **query: {"total_entries": {"deferred": 8}[query["event"]]},
        runs=lambda dag_id: [{"dag_run_id": "run"}] if dag_id == "burst-0" else [],
        tasks=lambda dag_id, run_id: TASKS,
    )
    instance.settings.logs.mkdir()
    (instance.settings.logs / "scheduler.log").write_text(
        "TaskInstance Finished: task_id=train, state=deferred, executor=LocalExecutor, executor_state=success\n"
        "TaskInstance Finished: task_id=train, state=queued, executor=LocalExecutor, executor_state=success\n"
        "TaskInstance Finished: task_id=approve, state=running, executor=LocalExecutor, executor_state=success\n"
        "the task instance burst-0.train finished with state success, but the task instance's state is queued\n"
    )
    burst = Burst(
        instance, 2, writes=[0.3, 0.1, 4.0], states={("burst-0", "run"): "success", ("burst-1", "run"): "failed"}
    )
    assert burst.attempts() == {"burst-0.run.train": 2, "burst-0.run.deploy_prd": 4}
    assert report(burst, 200.0).splitlines() == [
        "releases: 2, of which 1 succeeded, 200 s",
        "deferrals: 8, reported late: 2, taken for killed: 1",
        "tasks with more than one attempt: 2, at most 4 attempts",
        "writes of the API: 3, median 0.30 s, longest 4.0 s",
    ]
