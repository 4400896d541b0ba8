"""All errors of Slipway: what failed, on which resource, why, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence

from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException


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
        # Whether the task has kept it for the pages.
        self.kept = False
        # Whether people have been sent a message about it.
        self.told = False
        super().__init__(f"{self.problem.rstrip('.')}. Fix: {fix}" if fix else self.problem)

    @property
    def problem(self) -> str:
        """What failed, where and why: for a log line or another error's cause, which has its own fix."""
        where = f"{self.what} ({self.resource})" if self.resource else self.what
        return f"{where}: {self.why}" if self.why else where


def problem_of(error: Exception) -> str:
    """Say what an error is about in a log line of something that goes on, where its fix does not apply."""
    return error.problem if isinstance(error, SlipwayError) else str(error)


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
    # What the policy refuses names its fields in each line, and in its resource.
    named = all(isinstance(one, PolicyViolation) for one in refusals)
    problems = [
        line if named or one.resource == _ZIP else f"{one.resource}: {line}"
        for one in refusals
        for line in (one.why or "").splitlines()
    ]
    where = "; ".join(one.resource or _ZIP for one in refusals) if named else _ZIP
    fixes = dict.fromkeys(one.fix for one in refusals if one.fix)
    return type(first)(first.what, resource=where, why="\n".join(problems), fix="; ".join(fixes))


class ModelFileError(PermanentError, ValueError):
    """A file below include/models/ is not a valid model file."""


class NameConflict(PermanentError):
    """Something with this name exists already and belongs to another revision."""


class TrainingFailed(PermanentError):
    """The training job ended with the status Failed."""


class TrainingStopped(PermanentError):
    """The training job was stopped, by somebody or by its runtime limit."""


class ImageRefused(PermanentError):
    """The source of a container image is not built: the zip or its Dockerfile holds what the model file forbids."""


class BuildFailed(PermanentError):
    """The build of a container image ended without an image."""


class ScanFailed(PermanentError):
    """A container image is not recorded: its scan has found too much, or could not be made."""


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


class ImageMissing(PermanentError):
    """The container image that a release needs is not in its repository: nothing is trained or served with another."""


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
