"""Sending a load from a task: its report, what goes wrong after it, and a task that is ended."""

import inspect
import json
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from types import SimpleNamespace

import pytest
from airflow.sdk.exceptions import AirflowFailException
from airflow.sdk.execution_time.supervisor import WatchedSubprocess

from slipway.errors import AwsError, StressFailed, StressStopped
from slipway.load.phases import LoadStage
from slipway.load.plan import Plan
from slipway.load.result import COMPLETED
from slipway.load.rows import Row
from slipway.model.config import ModelConfig
from slipway.states import Environment
from slipway.stress import report_files
from slipway.stress import send as module
from slipway.stress.operators import ReleaseStressOperator, StressTestOperator
from slipway.stress.order import StressOrder
from slipway.stress.send import DRAIN_SECONDS
from tests.unit.load import test_slo as slo_cases
from tests.unit.load.endpoints import HttpEndpoint, serving
from tests.unit.own_time import give_time
from tests.unit.request_samples import iris_model
from tests.unit.task_runs import context

STRESS = {
    "allowed": True,
    "before_production": True,
    "slo": {"p99_ms": 500},
    "stages": [{"concurrency": 2, "requests": 9}],
}
ARN = "arn:aws:sagemaker:us-west-2:123456789012:endpoint/iris-model-development"


def model(**stress) -> ModelConfig:
    return ModelConfig.model_validate(iris_model().model_dump() | {"stress": STRESS | stress})


def test_a_task_that_is_ended_before_it_sends_sends_nothing(monkeypatch):
    plan = Plan("e", [Row("1", "1,a")], (LoadStage(2, 1000),), drain_seconds=DRAIN_SECONDS)
    task = StressTestOperator(task_id="stress")
    with serving(HttpEndpoint()) as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint.url)
        task.on_kill()
        result = task._run(plan, "aws_default")
    assert (result.ended, result.phases) == ("the task was ended", ())
    assert endpoint.invocations == []


def refuse(*_, **__):
    raise AwsError("Cannot write the report", why="SlowDown", transient=True)


def crash(*_, **__):
    raise KeyError("endpoint")


@pytest.fixture
def finished(monkeypatch):
    """Ends a task's load with a kept or a broken limit; records what is put; replaces functions given by name."""

    def end(*, broken=False, ended=COMPLETED, killed=False, **wrong):
        task, put = StressTestOperator(task_id="stress"), []
        result = slo_cases.run(slo_cases.phase(LoadStage(2, 100), slow=99 if broken else 0), ended=ended)

        def run(plan, aws_conn_id):
            if killed:
                task.on_kill()
            return result

        place = SimpleNamespace(bucket="b", key=lambda file: file, page="s3://b/report.html", put=put.append)
        monkeypatch.setattr(module._ReportPlace, "of", lambda model, run_id: place)
        monkeypatch.setattr(module.report_files, "evidence", lambda *_, **__: {"alarms": [], "missing": {}})
        for name, instead in wrong.items():
            monkeypatch.setattr(place if name == "put" else module.report_files, name, instead)
        monkeypatch.setattr(task, "_plan", lambda order, endpoint: None)
        monkeypatch.setattr(task, "_run", run)
        order = replace(StressOrder.of_model(model(slo={"p99_ms": 200}), Environment.DEVELOPMENT), watch_seconds=0)
        return task.send(context({}), order, {"EndpointArn": ARN}), put

    return end


def test_a_finished_load_leaves_its_document_before_aws_is_asked_and_its_page_after(finished):
    summary, put = finished()
    assert summary["passed"]
    assert [file.name for file in put] == ["report.json", "report.json", "report.html"]
    assert ["alarms" in json.loads(file.content) for file in put[:2]] == [False, True]


@pytest.mark.parametrize("wrong", [{"put": refuse}, {"page": crash}, {"evidence": crash}, {"document": crash}])
def test_whatever_goes_wrong_after_a_load_no_retry_sends_it_again(finished, capsys, wrong):
    cause = "Cannot write the report: SlowDown" if "put" in wrong else r"KeyError\('endpoint'\)"
    with pytest.raises(StressFailed, match=f"The endpoint passed, but the report is incomplete.*{cause}") as failed:
        finished(**wrong)
    assert isinstance(failed.value, AirflowFailException)
    assert "p99_ms is 200, measured 10" in capsys.readouterr().out
    with pytest.raises(StressFailed, match=f"p99_ms is 200, measured 30.*the report could not be written .*{cause}"):
        finished(broken=True, **wrong)
    with pytest.raises(StressFailed, match=f"a sender died.*the report could not be written .*{cause}"):
        finished(ended="a sender died", **wrong)


def test_a_task_that_is_ended_writes_its_document_once(finished, monkeypatch):
    made = []
    document = report_files.document
    with pytest.raises(StressStopped, match=r"the report is s3://b/report\.html"):
        finished(
            ended="the task was ended",
            killed=True,
            document=lambda *given: made.append(document(*given)) or made[-1],
            evidence=lambda *_, **__: pytest.fail("asked AWS"),
        )
    assert len(made) == 1


def test_a_report_goes_without_what_aws_says_while_aws_says_nothing(monkeypatch):
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    order = replace(StressOrder.of_model(model(), Environment.DEVELOPMENT), watch_seconds=0)
    found = StressTestOperator(task_id="stress")._evidence(order, datetime.now(UTC))
    assert found.keys() == {"missing"}
    assert found["missing"].keys() == {"endpoint", "cloudwatch", "scaling_activities", "alarms"}
    assert "Could not connect" in found["missing"]["alarms"]


def test_a_task_that_is_ended_waits_for_no_metrics(monkeypatch):
    task = StressTestOperator(task_id="stress")
    give_time(monkeypatch, module, sleep=lambda seconds: task.on_kill())
    order = replace(StressOrder.of_model(model(), Environment.DEVELOPMENT), watch_seconds=3600)
    monkeypatch.setattr(module.report_files, "evidence", lambda *_, **__: pytest.fail("asked AWS"))
    assert task._evidence(order, datetime.now(UTC)) == {}


def test_requests_in_flight_have_less_time_than_airflow_leaves_a_task_that_is_to_end():
    """Five seconds: https://github.com/apache/airflow/blob/3.3.2/task-sdk/src/airflow/sdk/execution_time/supervisor.py"""
    assert inspect.signature(WatchedSubprocess.kill).parameters["escalation_delay"].default > DRAIN_SECONDS


def test_load_goes_to_airflows_default_queue_or_to_the_one_of_the_setting(monkeypatch):
    monkeypatch.setenv("AIRFLOW__OPERATORS__DEFAULT_QUEUE", "everything")
    kinds = (StressTestOperator, partial(ReleaseStressOperator, model=model()))
    assert {kind(task_id="stress").queue for kind in kinds} == {"everything"}
    monkeypatch.setenv("AIRFLOW__SLIPWAY__LOAD_QUEUE", "load")
    assert {kind(task_id="stress").queue for kind in kinds} == {"load"}
    assert StressTestOperator(task_id="stress", queue="chosen").queue == "chosen"
