"""Translates errors of botocore into Slipway's, sorts them by code, and says what to do about them."""

from __future__ import annotations

import json
import re

from botocore.exceptions import (
    ClientError,
    ConnectionError,
    CredentialRetrievalError,
    HTTPClientError,
    IncompleteReadError,
    MetadataRetrievalError,
    ParamValidationError,
)

from slipway.errors import AwsError, AwsRefused

# Codes of answers that may be different later for the same request. HTTP 5xx counts as well.
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/CommonErrors.html
# https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
TRANSIENT_CODES = frozenset(
    {
        "BandwidthLimitExceeded",
        "ExpiredToken",
        "ExpiredTokenException",
        "InternalError",
        "InternalFailure",
        "InternalServerException",
        "PriorRequestNotComplete",
        "RequestExpired",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestTimeout",
        "RequestTimeoutException",
        "ServiceUnavailable",
        "ServiceUnavailableException",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "TooManyRequestsException",
    }
)
# Those of them that say that there were too many requests.
THROTTLING_CODES = frozenset(
    {
        "BandwidthLimitExceeded",
        "RequestLimitExceeded",
        "RequestThrottled",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "TooManyRequestsException",
    }
)
# Codes of answers that stay the same for the same request with the same rights.
# InvalidObjectState: the object is archived.
# https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
PERMANENT_CODES = frozenset(
    {
        # The answer to a HEAD request whose object the role may not read.
        "403",
        "AccessDenied",
        "AccessDeniedException",
        "AuthFailure",
        "IncompleteSignature",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidObjectState",
        "InvalidParameterValue",
        "KMS.DisabledException",
        "KMS.KMSInvalidStateException",
        "KMS.NotFoundException",
        "NoSuchBucket",
        "NotAuthorized",
        "OptInRequired",
        "SignatureDoesNotMatch",
        "UnauthorizedOperation",
        "UnknownOperationException",
        "UnrecognizedClientException",
        "ValidationError",
        "ValidationException",
    }
)
# https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html
_DENIED = re.compile(r"User: (\S+) is not authorized to perform: (\S+) on resource: \"?([^\s\"]+)\"? because no")
# What to do, by code. A message of S3 to a HEAD request is a status without a text.
# https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html
_DENIED_FIX = "allow it to the role of Airflow's connection, in its policy or the resource's; then clear this task"
_CREDENTIALS_FIX = "correct the credentials of Airflow's connection, then clear this task"
_QUOTA_FIX = "ask for a higher quota in the Service Quotas console, or remove what is not used; then clear this task"
_KMS_FIX = "enable the KMS key that the answer names, then clear this task"
_TRANSIENT_FIX = "clear this task when AWS answers again; https://health.aws.amazon.com shows outages"
_FIXES = {
    "403": _DENIED_FIX,
    "AccessDenied": _DENIED_FIX,
    "AccessDeniedException": _DENIED_FIX,
    "AuthFailure": _CREDENTIALS_FIX,
    "AuthorizationError": _DENIED_FIX,
    "NotAuthorized": _DENIED_FIX,
    "UnauthorizedOperation": _DENIED_FIX,
    "CredentialRetrievalError": _CREDENTIALS_FIX,
    "ExpiredToken": _CREDENTIALS_FIX,
    "ExpiredTokenException": _CREDENTIALS_FIX,
    "InvalidAccessKeyId": _CREDENTIALS_FIX,
    "InvalidClientTokenId": _CREDENTIALS_FIX,
    "NoCredentialsError": _CREDENTIALS_FIX,
    "PartialCredentialsError": _CREDENTIALS_FIX,
    "ProfileNotFound": _CREDENTIALS_FIX,
    "SignatureDoesNotMatch": _CREDENTIALS_FIX,
    "UnrecognizedClientException": _CREDENTIALS_FIX,
    "InvalidObjectState": "restore the object with `aws s3api restore-object`, then clear this task",
    "KMS.DisabledException": _KMS_FIX,
    "KMS.KMSInvalidStateException": _KMS_FIX,
    "KMS.NotFoundException": _KMS_FIX,
    "LimitExceeded": _QUOTA_FIX,
    "LimitExceededException": _QUOTA_FIX,
    "ResourceLimitExceeded": _QUOTA_FIX,
    "NoSuchBucket": "correct the bucket's name in the model file, or make the bucket; then clear this task",
}
# Passing errors that are about the credentials; _FIXES has the others.
_STALE_CODES = ("MetadataRetrievalError", "RequestExpired")


def translate(error: Exception, *, what: str, resource: str | None = None, fix: str | None = None) -> AwsError:
    """Turn a botocore error into an AwsError. Hooks call this once, at the boundary.

    :param error: a ClientError or any other BotoCoreError
    :param what: what was being done, as a clause
    :param resource: the AWS resource it was done to
    :param fix: what to do where the error code alone does not say it
    :returns: the error to raise ``from`` the given one
    """
    if not isinstance(error, ClientError):
        passing = (
            HTTPClientError | ConnectionError | IncompleteReadError | CredentialRetrievalError | MetadataRetrievalError
        )
        transient = isinstance(error, passing)
        # A request that botocore itself refuses stays wrong.
        kind = AwsRefused if isinstance(error, ParamValidationError) else AwsError
        code = type(error).__name__
        fix = _fix(code, transient) or fix
        return kind(what, resource=resource, why=str(error), fix=fix, code=code, transient=transient)
    detail = error.response.get("Error", {})
    code = str(detail.get("Code", ""))
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    transient = code in TRANSIENT_CODES or status >= 500 or status == 429
    kind = AwsRefused if code in PERMANENT_CODES and not transient else AwsError
    return kind(
        what,
        resource=resource,
        why=f"{error.operation_name} answered {code}: {detail.get('Message', '')}",
        fix=missing_permission(str(detail.get("Message", "")))
        or _unnamed_permission(error.operation_name, code, resource)
        or _fix(code, transient)
        or fix,
        code=code,
        operation=error.operation_name,
        transient=transient,
    )


def needs_new_client(error: AwsError) -> bool:
    """Tell whether a client with the credentials read again could succeed where this one did not.

    A client outlives an AWS that is away or throttles, and a missing permission: a new one would only cost time.

    :param error: what a call with the client came to
    """
    return error.code in _STALE_CODES or _FIXES.get(error.code) is _CREDENTIALS_FIX


def _fix(code: str, transient: bool) -> str | None:
    """Say what to do about an answer; None where the code alone does not tell."""
    return _FIXES.get(code) or (_TRANSIENT_FIX if transient else None)


def _unnamed_permission(operation: str, code: str, resource: str | None) -> str | None:
    """Say which permission a HEAD request lacks, whose answer has no text; None for another answer.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html
    """
    if operation != "HeadObject" or code != "403" or not resource:
        return None
    place, _, version = resource.partition(" version ")
    action = "s3:GetObjectVersion" if version else "s3:GetObject"
    return (
        f"let the role of Airflow's connection do {action} on {place}: deploy the set-up stacks again if it is "
        "slipway-airflow (docs/aws-account.md, section 1), else change its policies; then clear this task"
    )


def missing_permission(message: str, *, then: str = "clear this task") -> str | None:
    """Say how to get a permission whose lack IAM's message names.

    :param message: an answer of AWS, or the reason why something failed there
    :param then: what to do after it
    :returns: None for another message
    """
    match = _DENIED.search(message)
    if match is None:
        return None
    who, action, resource = match.groups()
    statement = json.dumps({"Effect": "Allow", "Action": action, "Resource": resource})
    return (
        f"let {who} do {action} on {resource}, by the statement {statement}: deploy the set-up stacks again if it is a "
        f"role of Slipway (docs/aws-account.md, section 1), else change its policies; then {then}"
    )
