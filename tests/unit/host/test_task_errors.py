"""A failed task's log says what, where, why and what to do, before Airflow's traceback."""

import importlib
import inspect
import logging
import pkgutil

import pytest
from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import TaskDeferred

import slipway
from slipway.errors import AwsError, PermanentError, Skipped
from slipway.host.task_errors import TaskErrors, with_error_block

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
