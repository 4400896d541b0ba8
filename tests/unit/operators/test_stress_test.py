"""Stress tests as tasks: what a release loads and when, and a task that is ended before it has begun."""

import inspect
import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from airflow.sdk.execution_time.supervisor import WatchedSubprocess

from slipway.board import Board
from slipway.errors import EndpointTestFailed, StressFailed, StressRefused
from slipway.load import plan as load
from slipway.model_config import ModelConfig
from slipway.operators import stress_test as module
from slipway.operators.endpoint_test import EndpointTestOperator
from slipway.operators.stress_test import DRAIN_SECONDS, ReleaseStressOperator, StressTestOperator
from slipway.rows import Row
from slipway.states import Environment, Stage
from slipway.stress_order import StressOrder
from tests.unit.load.endpoints import HttpEndpoint, serving
from tests.unit.releases import release_plan, xcoms
from tests.unit.request_samples import iris_model
from tests.unit.stages import MemoryDocuments, with_gate
from tests.unit.task_runs import context

STRESS = {
    "allowed": True,
    "before_production": True,
    "slo": {"p99_ms": 500},
    "stages": [{"concurrency": 2, "requests": 9}],
}
DEPLOYED = {"outputs": {"EndpointConfigName": "ours", "Revision": release_plan().revision_id}}


def model(**stress) -> ModelConfig:
    return ModelConfig.model_validate(iris_model().model_dump() | {"stress": STRESS | stress})


@pytest.fixture
def documents():
    return MemoryDocuments()


@pytest.fixture
def operator(documents, monkeypatch):
    """Makes the release's task; what it sends is in `sent`, and ends as it is told."""

    def made(config="ours", error=None):
        task = with_gate(ReleaseStressOperator(task_id="stress_dev", model=model()), documents)
        task.__dict__["sent"] = []

        def send(context, order, endpoint):
            assert holder(documents), "the stage is to be held while load is sent"
            task.__dict__["sent"].append((order.endpoint_name, order.phases, order.limits["p99_ms"]))
            if error:
                raise error
            return {"passed": True}

        monkeypatch.setattr(task, "find", lambda order: {"EndpointName": "e", "EndpointConfigName": config})
        monkeypatch.setattr(task, "send", send)
        return task

    return made


def holder(documents):
    """Who holds the development endpoint."""
    [board] = documents.bodies.values()
    return Board.from_json(json.loads(board))[Stage.DEV].holder


def test_a_release_sends_the_model_files_load_to_development_and_then_leaves_it(operator, documents):
    task = operator()
    assert task.execute(context(xcoms(deploy_dev=DEPLOYED))) == {"passed": True}
    assert task.sent == [("iris-model-development", (load.Stage(2, 9),), 500)]
    assert holder(documents) is None


def test_a_broken_limit_fails_the_task_and_keeps_the_endpoint_until_the_run_ends(operator, documents):
    with pytest.raises(StressFailed):
        operator(error=StressFailed("broken")).execute(context(xcoms(deploy_dev=DEPLOYED)))
    assert holder(documents).run_id == "manual__1"


def test_an_endpoint_that_serves_another_release_is_not_loaded(operator):
    task = operator(config="theirs")
    with pytest.raises(EndpointTestFailed, match="not with the endpoint config of this release"):
        task.execute(context(xcoms(deploy_dev=DEPLOYED)))
    assert task.sent == []


@pytest.mark.parametrize(("before_production", "kept"), [(True, True), (False, False)])
def test_the_test_before_it_leaves_development_to_it(before_production, kept):
    stress = {} if before_production else {"before_production": False}
    tested = EndpointTestOperator(task_id="test_dev", model=model(**stress), environment=Environment.DEVELOPMENT)
    assert tested._keeps_stage is kept


def test_a_task_that_is_ended_before_it_sends_sends_nothing(monkeypatch):
    plan = load.Plan("e", [Row("1", "1,a")], (load.Stage(2, 1000),), drain_seconds=DRAIN_SECONDS)
    task = StressTestOperator(task_id="stress")
    with serving(HttpEndpoint()) as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint.url)
        task.on_kill()
        result = task._run(plan, "aws_default")
    assert (result.ended, result.phases) == ("the task was ended", ())
    assert endpoint.invocations == []


def test_a_report_goes_without_what_aws_says_while_aws_says_nothing(monkeypatch):
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    order = replace(StressOrder.of_model(model(), Environment.DEVELOPMENT), watch_seconds=0)
    found = StressTestOperator(task_id="stress")._evidence(order, datetime.now(UTC))
    assert found.keys() == {"missing"}
    assert found["missing"].keys() == {"endpoint", "cloudwatch", "scaling_activities", "alarms"}
    assert "Could not connect" in found["missing"]["alarms"]


def test_a_task_that_is_ended_waits_for_no_metrics(monkeypatch):
    task = StressTestOperator(task_id="stress")
    monkeypatch.setattr(module.time, "sleep", lambda seconds: task.on_kill())
    order = replace(StressOrder.of_model(model(), Environment.DEVELOPMENT), watch_seconds=3600)
    monkeypatch.setattr(module.stress_report, "evidence", lambda *_, **__: pytest.fail("asked AWS"))
    assert task._evidence(order, datetime.now(UTC)) == {}


def test_requests_in_flight_have_less_time_than_airflow_leaves_a_task_that_is_to_end():
    """Five seconds: https://github.com/apache/airflow/blob/3.3.2/task-sdk/src/airflow/sdk/execution_time/supervisor.py"""
    assert inspect.signature(WatchedSubprocess.kill).parameters["escalation_delay"].default > DRAIN_SECONDS


def test_a_form_without_leave_is_refused():
    with pytest.raises(StressRefused, match="no model file has an endpoint"):
        StressTestOperator(task_id="stress").execute(context({}, params={"endpoint": "somebody-elses"}))
