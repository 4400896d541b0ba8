"""The tasks of a stress test: what a release loads and when, and forms that no model file allows."""

import json

import pytest

from slipway.errors import EndpointTestFailed, StressFailed, StressRefused
from slipway.load.phases import LoadStage
from slipway.quality.endpoint import EndpointTestOperator
from slipway.stages.board import Board
from slipway.states import BoardStage, Environment
from slipway.stress.operators import ReleaseStressOperator, StressTestOperator
from tests.unit.releases import release_plan, xcoms
from tests.unit.stage_runs import MemoryDocuments, with_gate
from tests.unit.stress.test_send import model
from tests.unit.task_runs import context

DEPLOYED = {"outputs": {"EndpointConfigName": "ours", "Revision": release_plan().revision_id}}


@pytest.fixture
def documents():
    return MemoryDocuments()


@pytest.fixture
def operator(documents, monkeypatch):
    """Makes the release's task; its loads are recorded in `sent`, and end with `error` if given."""

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
    assert task.sent == [("iris-model-development", (LoadStage(2, 9),), 500)]
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


def test_a_form_for_an_unknown_endpoint_is_refused():
    with pytest.raises(StressRefused, match="no model file has an endpoint"):
        StressTestOperator(task_id="stress").execute(context({}, params={"endpoint": "somebody-elses"}))
