"""Errors say what failed, where, why and what to do."""

import pickle

from airflow.sdk.exceptions import AirflowFailException

from slipway import errors


def test_a_message_has_four_parts():
    error = errors.StackFailed("The stack failed", resource="mlops-x", why="no role", fix="create it")
    assert str(error) == "The stack failed (mlops-x): no role. Fix: create it"
    assert isinstance(error, AirflowFailException)


def test_errors_survive_the_way_between_processes():
    error = errors.AwsRefused("No", resource="x", why="y", code="AccessDenied", operation="PutObject")
    again = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert (str(again), again.code, again.operation, again.transient) == (
        str(error),
        "AccessDenied",
        "PutObject",
        False,
    )


def test_what_goes_on_after_an_error_logs_it_without_its_fix():
    error = errors.AwsError("Cannot list", resource="s3://b/k", why="SlowDown", fix="clear this task")
    assert error.problem == errors.problem_of(error) == "Cannot list (s3://b/k): SlowDown"
    assert errors.problem_of(ValueError("no number")) == "no number"
