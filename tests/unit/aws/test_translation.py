"""Errors of botocore become Slipway's: sorted by code, with AWS's own words and what to do."""

import pytest
from airflow.sdk.exceptions import AirflowFailException
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError

from slipway.aws.translation import PERMANENT_CODES, TRANSIENT_CODES, translate


def _client_error(code, status=400, message="because"):
    answer = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, "CreateTrainingJob")


@pytest.mark.parametrize(
    ("error", "transient", "permanent"),
    [
        (_client_error("ThrottlingException"), True, False),
        (_client_error("ExpiredTokenException", 403), True, False),
        (_client_error("AnythingElse", 503), True, False),
        (_client_error("ValidationException", 500), True, False),
        (_client_error("ValidationException"), False, True),
        (_client_error("AccessDeniedException"), False, True),
        (_client_error("403", 403), False, True),
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


@pytest.mark.parametrize(
    ("error", "fix"),
    [
        (_client_error("AccessDeniedException"), "allow it to the role of Airflow's connection"),
        (_client_error("403", 403), "allow it to the role of Airflow's connection"),
        (_client_error("ExpiredToken"), "correct the credentials"),
        (NoCredentialsError(), "correct the credentials"),
        (_client_error("ResourceLimitExceeded"), "Service Quotas"),
        (_client_error("NoSuchBucket", 404), "correct the bucket's name"),
        (_client_error("KMS.DisabledException"), "enable the KMS key"),
        (_client_error("InvalidObjectState", 403), "aws s3api restore-object"),
        (_client_error("ThrottlingException"), "when AWS answers again"),
        (EndpointConnectionError(endpoint_url="http://x"), "when AWS answers again"),
    ],
)
def test_an_answer_says_what_to_do(error, fix):
    assert fix in translate(error, what="Cannot do it").fix


@pytest.mark.parametrize("quote", ["", '"'])
def test_a_missing_permission_is_named_with_its_role(quote):
    role, job = "arn:aws:sts::1:assumed-role/slipway-airflow/x", "arn:aws:sagemaker:us-west-2:1:training-job/j"
    action = "sagemaker:CreateTrainingJob"
    message = (
        f"User: {role} is not authorized to perform: {action} on resource: {quote}{job}{quote} "
        f"because no identity-based policy allows the {action} action"
    )
    refused = translate(_client_error("AccessDeniedException", message=message), what="Cannot create the job")
    statement = f'{{"Effect": "Allow", "Action": "{action}", "Resource": "{job}"}}'
    assert refused.fix.startswith(f"let {role} do {action} on {job}, by the statement {statement}: ")


@pytest.mark.parametrize(("version", "action"), [("", "s3:GetObject"), (" version v1", "s3:GetObjectVersion")])
def test_a_head_request_whose_answer_has_no_text_names_its_permission(version, action):
    error = ClientError({"Error": {"Code": "403", "Message": "Forbidden"}}, "HeadObject")
    fix = translate(error, what="Cannot look at the object", resource=f"s3://bucket/key{version}").fix
    assert fix.startswith(f"let the role of Airflow's connection do {action} on s3://bucket/key: ")


def test_the_caller_says_what_to_do_where_the_code_does_not():
    fixes = [translate(_client_error(code), what="x", fix="y").fix for code in ("ValidationException", "SlowDown")]
    assert fixes[0] == "y" != fixes[1]


# Their messages name what is wrong with the request, and nothing else is known about them.
ONLY_WORDS = {
    "IncompleteSignature",
    "InvalidParameterValue",
    "OptInRequired",
    "UnknownOperationException",
    "ValidationError",
    "ValidationException",
}


@pytest.mark.parametrize("code", sorted(TRANSIENT_CODES | PERMANENT_CODES))
def test_every_known_code_says_what_to_do(code):
    assert bool(translate(_client_error(code), what="Cannot do it").fix) is (code not in ONLY_WORDS)
