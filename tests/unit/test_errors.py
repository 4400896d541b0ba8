"""Errors say what, on what, why and what to do; AWS's are sorted by code."""

import pickle

import pytest
from airflow.sdk.exceptions import AirflowFailException
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError

from slipway import errors


def _client_error(code, status=400, message="because"):
    answer = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
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
    translated = errors.translate(error, what="Cannot do it", resource="x")
    assert translated.transient is transient
    assert isinstance(translated, AirflowFailException) is permanent


def test_a_translation_keeps_code_operation_and_words():
    translated = errors.translate(_client_error("ResourceInUse"), what="Cannot create the job", resource="job-1")
    assert (translated.code, translated.operation) == ("ResourceInUse", "CreateTrainingJob")
    assert str(translated) == "Cannot create the job (job-1): CreateTrainingJob answered ResourceInUse: because"


@pytest.mark.parametrize("quote", ["", '"'])
def test_a_missing_permission_is_named_with_its_role_and_how_to_get_it(quote):
    role, job = "arn:aws:sts::1:assumed-role/slipway-airflow/x", "arn:aws:sagemaker:us-west-2:1:training-job/j"
    action = "sagemaker:CreateTrainingJob"
    message = (
        f"User: {role} is not authorized to perform: {action} on resource: {quote}{job}{quote} "
        f"because no identity-based policy allows the {action} action"
    )
    refused = errors.translate(_client_error("AccessDeniedException", message=message), what="Cannot create the job")
    assert isinstance(refused, AirflowFailException)
    assert refused.fix.startswith(f"Let {role} do {action} on {job}: ")
    assert errors.translate(_client_error("AccessDeniedException"), what="Cannot create the job").fix is None


def test_a_denied_head_is_not_asked_again_and_says_what_the_role_needs():
    refused = errors.translate(_client_error("403", 403, "Forbidden"), what="Cannot look at the object")
    assert isinstance(refused, AirflowFailException)
    assert "s3:GetObject" in refused.fix
