"""The link buttons that Airflow stores for a task: those that the task has, not those that it might have."""

from types import SimpleNamespace

import structlog
from airflow.sdk.execution_time import task_runner
from airflow.utils.state import TaskInstanceState

from slipway.aws.links import EndpointLink, TrainingJobLink
from slipway.host.link_buttons import keep, keep_address
from slipway.host.links import NewerReleaseLink
from slipway.host.task_errors import TaskErrors
from tests.unit.host.test_links import TaskInstance


class Linked(TaskErrors):
    operator_extra_links = (EndpointLink(), TrainingJobLink(), NewerReleaseLink())


def stored(operator):
    """The addresses that Airflow stores for an operator that runs, by key."""
    ti = TaskInstance()
    return {one.xcom_key: one.get_link(operator, ti_key=ti) for one in operator.operator_extra_links}


def test_a_task_that_has_none_stores_none():
    made = Linked(task_id="task")
    assert stored(made.prepare_for_execution()) == {}
    # The button itself is the class's: the DAG is serialized with it.
    assert [type(one) for one in made.operator_extra_links] == [EndpointLink, TrainingJobLink, NewerReleaseLink]


def test_the_newest_of_a_kind_is_stored_once_and_without_reading():
    running = Linked(task_id="task").prepare_for_execution()
    for address in ("https://one", "https://two"):
        keep_address(running, EndpointLink, address)
    keep_address(running, TrainingJobLink, "https://job")
    assert stored(running) == {"_link_EndpointLink": "https://two", "_link_TrainingJobLink": "https://job"}


def test_a_link_that_makes_its_own_address_can_be_kept():
    running = Linked(task_id="task").prepare_for_execution()
    keep(running, NewerReleaseLink())
    assert [one.xcom_key for one in running.operator_extra_links] == ["_link_NewerReleaseLink"]


def test_airflow_sends_one_message_for_each_link_that_was_kept(monkeypatch):
    sent = []
    comms = SimpleNamespace(send=lambda msg: sent.append((msg.key, msg.value)))
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", comms, raising=False)
    running = Linked(task_id="task").prepare_for_execution()
    keep_address(running, EndpointLink, "https://endpoint")
    ti = SimpleNamespace(task=running, dag_id="iris-model", task_id="task", run_id="r", map_index=-1)
    ti.start_date = ti.end_date = None
    task_runner.finalize(ti, TaskInstanceState.DEFERRED, {}, structlog.get_logger())
    assert sent == [("_link_EndpointLink", "https://endpoint")]
