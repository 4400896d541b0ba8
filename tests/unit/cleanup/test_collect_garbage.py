"""When nothing is collected; what is collected is in tests/cfn and tests/faults."""

from types import SimpleNamespace

import pytest
from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
from airflow.sdk.execution_time.comms import ErrorResponse

from slipway.cleanup import collect_garbage
from slipway.cleanup.collect_garbage import CollectGarbageOperator
from slipway.errors import AwsError, PermanentError
from slipway.stages.board import Board, BoardPlace, Entry
from slipway.states import BoardStage
from tests.unit.releases import release_plan, xcoms
from tests.unit.request_samples import iris_model
from tests.unit.stage_runs import MemoryDocuments, with_gate
from tests.unit.task_runs import context

BOARD = "releases/iris-model/stages.json"


class Surveys(list):
    """Surveys that were started, and the error that each raises."""

    error: Exception = AwsError("Could not list the objects", code="AccessDenied")


# What a collection may meet besides what AWS refuses.
TROUBLE = [
    AirflowRuntimeError(ErrorResponse(error=ErrorType.GENERIC_ERROR, detail={"status_code": 502})),
    PermanentError("This version of Slipway cannot read the document"),
    TypeError("unexpected"),
    KeyError("ModelPackageArn"),
]


@pytest.fixture
def surveys(monkeypatch) -> Surveys:
    """Surveys that were started; see Surveys."""
    begun = Surveys()

    def survey(*arguments):
        begun.append(arguments)
        return SimpleNamespace(folders=refuse, stacks=lambda: [])

    def refuse(own):
        raise begun.error

    monkeypatch.setattr(collect_garbage, "Survey", survey)
    return begun


@pytest.fixture(autouse=True)
def production(monkeypatch) -> SimpleNamespace:
    """The lookups of production's stack, and the answer; there is no stack unless a test sets one."""
    made = SimpleNamespace(asked=[], stack=None)

    def describe(hook, name):
        made.asked.append(name)
        if isinstance(made.stack, Exception):
            raise made.stack
        return made.stack

    monkeypatch.setattr(collect_garbage.CloudFormationHook, "describe_stack", describe)
    return made


def operator(documents=None) -> CollectGarbageOperator:
    return with_gate(CollectGarbageOperator(task_id="collect_garbage", model=iris_model()), documents)


def test_after_a_roll_back_everything_is_left(surveys):
    run = context({"roll_back": release_plan().to_xcom()})
    run["dag_run"].conf = {"roll_back_to": "previous"}
    assert operator().execute(run) == {}
    assert surveys == []


def test_what_production_serves_is_looked_at_after_a_roll_back_too(surveys, production):
    run = context({"roll_back": release_plan().to_xcom()})
    run["dag_run"].conf = {"roll_back_to": "previous"}
    operator().execute(run)
    assert production.asked == ["mlops-deploy-iris-model-prd"]


def test_a_look_at_production_that_aws_refuses_does_not_fail_the_release(surveys, production):
    production.stack = AwsError("Cannot describe the stack", code="AccessDenied")
    assert operator().execute(context(xcoms())) == {}
    assert len(surveys) == 1


def test_what_aws_refuses_does_not_fail_the_release(surveys):
    assert operator().execute(context(xcoms())) == {}
    assert len(surveys) == 1


@pytest.mark.parametrize("error", TROUBLE, ids=lambda error: type(error).__name__)
def test_whatever_a_collection_meets_does_not_fail_the_release_or_keep_production(surveys, production, error, capsys):
    surveys.error, documents = error, MemoryDocuments()
    assert operator(documents).execute(context(xcoms())) == {}
    assert "The next release collects the rest" in capsys.readouterr().out
    assert Board.from_json(documents.read("b", BOARD).content)[BoardStage.PRD].holder is None
    production.stack = error
    assert operator().execute(context(xcoms())) == {}
    assert "were not compared" in capsys.readouterr().out
    assert len(surveys) == 2


def test_a_board_that_cannot_be_read_does_not_fail_the_release(surveys, capsys):
    documents = MemoryDocuments()
    documents.write("b", BOARD, {"prd": "mine"}, etag=None)
    assert operator(documents).execute(context(xcoms())) == {}
    assert "cannot read the document" in capsys.readouterr().out
    assert surveys == []


@pytest.mark.parametrize("sequence", ["2020-01-01T00:00:00+00:00", "2025-05-01T00:00:00+00:00"])
def test_while_another_run_is_at_production_it_collects_nothing_and_waits_for_nobody(surveys, sequence):
    documents = MemoryDocuments()
    holder = Entry("iris-model", "s3__other", "f" * 32, sequence, sequence)
    documents.write("b", BOARD, Board({BoardStage.PRD: BoardPlace(holder, newest=holder)}).to_json(), etag=None)
    assert operator(documents).execute(context(xcoms())) == {}
    place = Board.from_json(documents.read("b", BOARD).content)[BoardStage.PRD]
    assert (place.holder, place.waiting) == (holder, ())
    assert surveys == []


def test_an_attempt_goes_on_where_one_was_killed_while_it_held_production(surveys):
    documents, run = MemoryDocuments(), context(xcoms())
    killed = operator(documents)
    killed.gate.enter(killed.ticket(run, BoardStage.PRD))
    operator(documents).execute(run)
    assert len(surveys) == 1
    assert Board.from_json(documents.read("b", BOARD).content)[BoardStage.PRD].holder is None
