"""All errors of Slipway: what failed, on which resource, why, and what to do about it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException

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
# Codes of answers that stay the same for the same request with the same rights.
# InvalidObjectState: the object is archived.
# https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
PERMANENT_CODES = frozenset(
    {
        # The answer to a HEAD, which has no text.
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

# https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html
_HEAD_DENIED = (
    "let the role of the AWS connection do s3:GetObject and s3:GetObjectVersion on it (docs/aws-account.md, "
    "section 2); S3 does not say who asked, because the answer has no body"
)


class SlipwayError(AirflowException):
    """The base of every error that Slipway raises.

    :param what: what failed, as a clause without a full stop
    :param resource: the AWS resource, file or field it failed on
    :param why: the cause, in the words of whoever reported it
    :param fix: what the reader can do about it
    """

    def __init__(
        self, what: str, *, resource: str | None = None, why: str | None = None, fix: str | None = None
    ) -> None:
        self.what = what
        self.resource = resource
        self.why = why
        self.fix = fix
        # Whether the task's log has it: an error may pass several methods that would log it.
        self.in_log = False
        message = f"{what} ({resource})" if resource else what
        message = f"{message}: {why}" if why else message
        if fix:
            message = f"{message.rstrip('.')}. Fix: {fix}"
        super().__init__(message)


class PermanentError(SlipwayError, AirflowFailException):
    """A failure that a retry cannot fix: Airflow fails the task at once."""


class RequestRefused(PermanentError):
    """The uploaded zip is not a release request: wrong archive, wrong members, wrong fields."""


class PolicyViolation(RequestRefused):
    """The zip is well formed but asks for something that the model's policy does not allow."""


# What a refusal is about where it names no file in the zip.
_ZIP = "trainingjob.zip"


def together(refusals: Sequence[RequestRefused]) -> RequestRefused:
    """Make one error of all that is wrong with a zip, with a line for each problem.

    :param refusals: at least one
    """
    first = refusals[0]
    if len(refusals) == 1:
        return first
    problems = [
        line if one.resource == _ZIP else f"{one.resource}: {line}"
        for one in refusals
        for line in (one.why or "").splitlines()
    ]
    fixes = dict.fromkeys(one.fix for one in refusals if one.fix)
    return type(first)(first.what, resource=_ZIP, why="\n".join(problems), fix="; ".join(fixes))


class ModelFileError(PermanentError, ValueError):
    """A file below include/models/ is not a valid model file."""


class NameConflict(PermanentError):
    """Something with this name exists already and belongs to another revision."""


class TrainingFailed(PermanentError):
    """The training job ended with the status Failed."""


class TrainingStopped(PermanentError):
    """The training job was stopped, by somebody or by its runtime limit."""


class GateFailed(PermanentError):
    """A metric is outside the bounds the model file sets."""


class StackFailed(PermanentError):
    """A CloudFormation stack did not reach its target state."""


class NotApproved(PermanentError):
    """The Model Registry holds no approval for this model and digest."""


class Rejected(PermanentError):
    """A person, or the end of the response time, rejected the release."""


class ArtefactChanged(PermanentError):
    """A model's artefact is not the one on record, or no artefact is on record: it is not served."""


class RollBackRefused(PermanentError):
    """Production cannot be rolled back to this release; nothing has been changed."""


class AlreadyDecided(PermanentError):
    """This model has been decided on before; the first decision counts."""


class UnsafeConfiguration(PermanentError):
    """With this configuration of Airflow nobody could tell who approved."""


class Skipped(SlipwayError, AirflowSkipException):
    """There is nothing to do and nothing has failed: Airflow skips the task and those after it."""


class Superseded(Skipped):
    """A newer release supersedes this one."""


class ReleasedAlready(PermanentError):
    """Another run has released, or is releasing, this version."""


class ReleasedMeanwhile(Skipped):
    """A person has started a release of this version before the run of its upload."""


class EndpointTestFailed(PermanentError):
    """The endpoint does not serve this release, or its answers are not good enough."""


class UnreadableDocument(PermanentError, ValueError):
    """Something that Slipway has stored cannot be read by this version."""


class IntakeUnreadable(PermanentError):
    """The intake's record of a bucket's uploads cannot be read."""


class StressRefused(PermanentError):
    """No load is sent: it is not allowed, or the form describes none."""


class StressFailed(PermanentError):
    """The endpoint broke its limits under load, the load was not sent completely, or its report could not be stored."""


class StressStopped(SlipwayError):
    """The task was stopped while it sent load, by a person or together with its worker."""


class TrialFailed(PermanentError):
    """A trial in production has no verdict, or the model failed while it was promoted."""


class AwsError(SlipwayError):
    """AWS refused or did not answer a call.

    :param what: what was being done
    :param code: AWS's error code, or the name of the connection error
    :param operation: the API operation
    :param transient: True when waiting and asking again may help
    """

    def __init__(
        self,
        what: str,
        *,
        resource: str | None = None,
        why: str | None = None,
        fix: str | None = None,
        code: str = "",
        operation: str = "",
        transient: bool = False,
    ) -> None:
        self.code = code
        self.operation = operation
        self.transient = transient
        super().__init__(what, resource=resource, why=why, fix=fix)


class AwsRefused(AwsError, PermanentError):
    """AWS refused a call for a reason that a retry cannot fix."""


def translate(error: Exception, *, what: str, resource: str | None = None) -> AwsError:
    """Turn a botocore error into an AwsError. Hooks call this once, at the boundary.

    :param error: a ClientError or any other BotoCoreError
    :param what: what was being done, as a clause
    :param resource: the AWS resource it was done to
    :returns: the error to raise ``from`` the given one
    """
    from botocore.exceptions import (
        ClientError,
        ConnectionError,
        CredentialRetrievalError,
        HTTPClientError,
        IncompleteReadError,
        MetadataRetrievalError,
        ParamValidationError,
    )

    if not isinstance(error, ClientError):
        passing = (
            HTTPClientError | ConnectionError | IncompleteReadError | CredentialRetrievalError | MetadataRetrievalError
        )
        transient = isinstance(error, passing)
        # A request that botocore itself refuses stays wrong.
        kind = AwsRefused if isinstance(error, ParamValidationError) else AwsError
        return kind(what, resource=resource, why=str(error), code=type(error).__name__, transient=transient)
    detail = error.response.get("Error", {})
    code = str(detail.get("Code", ""))
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    transient = code in TRANSIENT_CODES or status >= 500 or status == 429
    kind = AwsRefused if code in PERMANENT_CODES and not transient else AwsError
    return kind(
        what,
        resource=resource,
        why=f"{error.operation_name} answered {code}: {detail.get('Message', '')}",
        fix=_HEAD_DENIED if code == "403" else _missing_permission(str(detail.get("Message", ""))),
        code=code,
        operation=error.operation_name,
        transient=transient,
    )


def _missing_permission(message: str) -> str | None:
    """Return how to get a permission whose lack IAM's message names; None for another message."""
    match = _DENIED.search(message)
    if match is None:
        return None
    who, action, resource = match.groups()
    return (
        f"Let {who} do {action} on {resource}: if it is a role of Slipway, deploy its set-up stacks again "
        "(docs/aws-account.md, section 1), else add a statement to its policies"
    )
