"""Stress tests as tasks: what a release loads and when, and a task that is ended before it has begun."""

import inspect
import json
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from airflow.sdk.exceptions import AirflowFailException
from airflow.sdk.execution_time.supervisor import WatchedSubprocess

from slipway.errors import AwsError, EndpointTestFailed, StressFailed, StressRefused, StressStopped
from slipway.load import plan as load
from slipway.load.result import COMPLETED
from slipway.load.rows import Row
from slipway.model.config import ModelConfig
from slipway.quality.endpoint import EndpointTestOperator
from slipway.stages.board import Board
from slipway.states import BoardStage, Environment
from slipway.stress import report_files
from slipway.stress import send as module
from slipway.stress.order import StressOrder
from slipway.stress.send import DRAIN_SECONDS, ReleaseStressOperator, StressTestOperator
from tests.unit.load import test_slo as slo_cases
from tests.unit.load.endpoints import HttpEndpoint, serving
from tests.unit.releases import release_plan, xcoms
from tests.unit.request_samples import iris_model
from tests.unit.stage_runs import MemoryDocuments, with_gate
from tests.unit.task_runs import context

STRESS = {
    "allowed": True,
    "before_production": True,
    "slo": {"p99_ms": 500},
    "stages": [{"concurrency": 2, "requests": 9}],
}
ARN = "arn:aws:sagemaker:us-west-2:123456789012:endpoint/iris-model-development"
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
    return Board.from_json(json.loads(board))[BoardStage.DEV].holder


def test_a_release_sends_the_model_files_load_to_development_and_then_leaves_it(operator, documents):
    task = operator()
    assert task.execute(context(xcoms(deploy_dev=DEPLOYED))) == {"passed": True}
    assert task.sent == [("iris-model-development", (load.LoadStage(2, 9),), 500)]
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
    plan = load.Plan("e", [Row("1", "1,a")], (load.LoadStage(2, 1000),), drain_seconds=DRAIN_SECONDS)
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
    """Ends a task's load of a kept or a broken limit, and keeps what is put; what is to go wrong is given by name."""

    def end(*, broken=False, ended=COMPLETED, killed=False, **wrong):
        task, put = StressTestOperator(task_id="stress"), []
        result = slo_cases.run(slo_cases.phase(load.LoadStage(2, 100), slow=99 if broken else 0), ended=ended)

        def run(plan, aws_conn_id):
            if killed:
                task.on_kill()
            return result

        place = SimpleNamespace(bucket="b", key=lambda file: file, page="s3://b/report.html", put=put.append)
        monkeypatch.setattr(module._Place, "of", lambda model, run_id: place)
        monkeypatch.setattr(module.report_files, "evidence", lambda *_, **__: {"alarms": [], "missing": {}})
        for name, instead in wrong.items():
            monkeypatch.setattr(place if name == "put" else module.report_files, name, instead)
        monkeypatch.setattr(task, "_plan", lambda order: None)
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
    with pytest.raises(StressFailed, match=f"The endpoint passed, but there is no complete report.*{cause}") as failed:
        finished(**wrong)
    assert isinstance(failed.value, AirflowFailException)
    assert "p99_ms is 200, measured 10" in capsys.readouterr().out
    with pytest.raises(StressFailed, match=f"p99_ms is 200, measured 30.*the report could not be kept .*{cause}"):
        finished(broken=True, **wrong)
    with pytest.raises(StressFailed, match=f"a sender died.*the report could not be kept .*{cause}"):
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
    monkeypatch.setattr(module.time, "sleep", lambda seconds: task.on_kill())
    order = replace(StressOrder.of_model(model(), Environment.DEVELOPMENT), watch_seconds=3600)
    monkeypatch.setattr(module.report_files, "evidence", lambda *_, **__: pytest.fail("asked AWS"))
    assert task._evidence(order, datetime.now(UTC)) == {}


def test_requests_in_flight_have_less_time_than_airflow_leaves_a_task_that_is_to_end():
    """Five seconds: https://github.com/apache/airflow/blob/3.3.2/task-sdk/src/airflow/sdk/execution_time/supervisor.py"""
    assert inspect.signature(WatchedSubprocess.kill).parameters["escalation_delay"].default > DRAIN_SECONDS


def test_a_form_without_leave_is_refused():
    with pytest.raises(StressRefused, match="no model file has an endpoint"):
        StressTestOperator(task_id="stress").execute(context({}, params={"endpoint": "somebody-elses"}))
