"""A failed task's log says what, where, why and what to do, before Airflow's traceback."""

import importlib
import inspect
import logging
import pkgutil

import pytest
from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import TaskDeferred

import slipway
from slipway.errors import AwsError, PermanentError, Skipped, Superseded
from slipway.host import task_errors
from slipway.host.task_errors import FAILURE, TaskErrors, with_error_block

ERROR = PermanentError("It failed", resource="s3://b/k", why="first problem\n\nsecond problem", fix="upload it again")
BLOCK = [
    "What:  It failed",
    "Where: s3://b/k",
    "Why:   first problem",
    "Why:   second problem",
    "Fix:   upload it again",
]


class Failing(TaskErrors):
    """Raises what it is given, at once or after a deferral."""

    def __init__(self, *, error, **kwargs):
        super().__init__(**kwargs)
        self.error = error

    def execute(self, context):
        raise self.error

    def after_wait(self, context, event=None):
        raise self.error


class FailingBelow(Failing):
    """Calls its base, as operators of several layers do."""

    def execute(self, context):
        return super().execute(context)


def again() -> PermanentError:
    return PermanentError(ERROR.what, resource=ERROR.resource, why=ERROR.why, fix=ERROR.fix)


def lines(caplog) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]


@pytest.mark.parametrize("kind", [Failing, FailingBelow])
def test_an_error_of_execute_is_logged_once(kind, caplog):
    with pytest.raises(PermanentError):
        kind(task_id="t", error=again()).execute({})
    assert lines(caplog) == BLOCK


def test_an_error_after_a_deferral_is_logged(caplog):
    with pytest.raises(PermanentError):
        Failing(task_id="t", error=again()).resume_execution("after_wait", {"event": {}}, {})
    assert lines(caplog) == BLOCK


def test_an_error_of_a_decorated_task_is_logged(caplog):
    @with_error_block
    def body():
        raise AwsError("Cannot list", why="throttled")

    with pytest.raises(AwsError):
        body()
    assert lines(caplog) == ["What:  Cannot list", "Why:   throttled"]


@pytest.mark.parametrize("error", [Skipped("Nothing to do"), TaskDeferred(trigger=None, method_name="x"), ValueError()])
def test_what_is_no_error_of_slipway_has_no_block(error, caplog):
    with pytest.raises(type(error)):
        Failing(task_id="t", error=error).execute({})
    assert not lines(caplog)


def test_every_operator_of_the_package_logs_its_errors():
    for module in pkgutil.walk_packages(slipway.__path__, "slipway."):
        if module.name.endswith("__main__"):
            continue
        for name, member in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
            if member.__module__ == module.name and issubclass(member, BaseOperator):
                assert issubclass(member, TaskErrors), f"{module.name}.{name}"


class Pushing:
    """A task instance that keeps what is pushed, or fails to."""

    def __init__(self, refuses=None):
        self.refuses, self.pushed = refuses, {}

    def xcom_push(self, key, value):
        if self.refuses:
            raise self.refuses
        self.pushed[key] = value


@pytest.fixture
def running(monkeypatch):
    ti = Pushing()
    monkeypatch.setattr(task_errors, "get_current_context", lambda: {"ti": ti})
    return ti


@pytest.mark.parametrize("kind", [Failing, FailingBelow])
def test_the_four_parts_of_an_error_are_kept_for_pages(running, kind):
    with pytest.raises(PermanentError):
        kind(task_id="t", error=again()).execute({})
    assert running.pushed == {
        FAILURE: {
            "format_version": 1,
            "what": "It failed",
            "where": "s3://b/k",
            "why": "first problem\n\nsecond problem",
            "fix": "upload it again",
            "kind": "PermanentError",
            "told": False,
        }
    }


def test_why_a_release_was_overtaken_is_kept_and_that_there_is_nothing_to_do_is_not(running):
    with pytest.raises(Skipped):
        Failing(task_id="t", error=Skipped("Nothing to do")).execute({})
    assert running.pushed == {}
    with pytest.raises(Superseded):
        Failing(task_id="t", error=Superseded("Overtaken", resource="the newer run")).execute({})
    assert running.pushed[FAILURE]["kind"] == "Superseded"


def test_a_task_fails_with_its_own_error_also_when_that_cannot_be_kept(running, caplog):
    running.refuses = RuntimeError("the API server does not answer")
    with pytest.raises(PermanentError, match="It failed"):
        Failing(task_id="t", error=again()).execute({})
    assert "could not be kept" in caplog.text
