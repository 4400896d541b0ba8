"""The boundary: whatever boto3 raises becomes one of Slipway's errors, once."""

import pytest
from aiohttp import ClientPayloadError, ServerDisconnectedError
from botocore.exceptions import ClientError, EndpointConnectionError, ParamValidationError
from botocore.parsers import ResponseParserError
from urllib3.exceptions import IncompleteRead, SSLError

from slipway.aws.calls import aws_call
from slipway.errors import AwsError, AwsRefused, PermanentError


def raised(error: Exception) -> AwsError:
    with pytest.raises(AwsError) as caught, aws_call("describe the stack", "mlops-deploy-iris-model-dev"):
        raise error
    return caught.value


def client_error(code: str, status: int = 400) -> ClientError:
    response = {"Error": {"Code": code, "Message": "said so"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(response, "DescribeStacks")


def test_the_error_names_what_was_done_to_what():
    message = str(raised(client_error("ValidationError")))
    assert message == "Cannot describe the stack (mlops-deploy-iris-model-dev): " + (
        "DescribeStacks answered ValidationError: said so"
    )


@pytest.mark.parametrize(
    ("error", "transient", "permanent"),
    [
        (client_error("ThrottlingException"), True, False),
        (client_error("Whatever", 503), True, False),
        (client_error("ExpiredToken"), True, False),
        (EndpointConnectionError(endpoint_url="http://127.0.0.1:9"), True, False),
        (ClientPayloadError("400, message: Response payload is not completed"), True, False),
        (ServerDisconnectedError(), True, False),
        (ResponseParserError("Unable to parse response"), True, False),
        (IncompleteRead(1, 2), True, False),
        (SSLError("decryption failed"), True, False),
        (client_error("AccessDenied", 403), False, True),
        (ParamValidationError(report="Missing required parameter"), False, True),
        (client_error("Unheard"), False, False),
    ],
)
def test_what_may_pass_is_told_from_what_stays(error, transient, permanent):
    translated = raised(error)
    assert translated.transient is transient
    assert isinstance(translated, PermanentError) is permanent
    assert isinstance(translated, AwsRefused) is permanent


def test_a_failure_that_is_not_botos_goes_through_as_it_is():
    with pytest.raises(KeyError), aws_call("describe the stack", "x"):
        raise KeyError("a bug of ours")


def test_what_is_no_error_of_a_call_passes_unchanged():
    with pytest.raises(KeyError), aws_call("describe the stack", "a-stack"):
        raise KeyError("a bug")
