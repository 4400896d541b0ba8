"""Errors say what, on what, why and what to do; AWS's are sorted by code."""

import pickle

import pytest
from airflow.sdk.exceptions import AirflowFailException
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError

from slipway import errors
from slipway.aws.translation import translate


def _client_error(code, status=400):
    answer = {"Error": {"Code": code, "Message": "because"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, "CreateTrainingJob")


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


@pytest.mark.parametrize(
    ("error", "transient", "permanent"),
    [
        (_client_error("ThrottlingException"), True, False),
        (_client_error("ExpiredTokenException", 403), True, False),
        (_client_error("AnythingElse", 503), True, False),
        (_client_error("ValidationException", 500), True, False),
        (_client_error("ValidationException"), False, True),
        (_client_error("AccessDeniedException"), False, True),
        (_client_error("ResourceInUse"), False, False),
        (EndpointConnectionError(endpoint_url="http://x"), True, False),
        (NoCredentialsError(), False, False),
    ],
)
def test_what_may_pass_and_what_never_will(error, transient, permanent):
    translated = translate(error, what="Cannot do it", resource="x")
    assert translated.transient is transient
    assert isinstance(translated, AirflowFailException) is permanent


def test_a_translation_keeps_code_operation_and_words():
    translated = translate(_client_error("ResourceInUse"), what="Cannot create the job", resource="job-1")
    assert (translated.code, translated.operation) == ("ResourceInUse", "CreateTrainingJob")
    assert str(translated) == "Cannot create the job (job-1): CreateTrainingJob answered ResourceInUse: because"
