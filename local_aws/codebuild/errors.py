"""The errors of CodeBuild, in its words.

https://docs.aws.amazon.com/codebuild/latest/APIReference/API_StartBuild.html has the codes.
"""

from local_aws.framework.api import ServiceError
from local_aws.framework.authorization import Needed


def invalid(message: str) -> ServiceError:
    """Make the error for input that is wrong.

    :param message: the text
    """
    return ServiceError("InvalidInputException", message)


def no_project(arn: str) -> ServiceError:
    """Make the error for a project that does not exist.

    :param arn: of the project
    """
    return ServiceError("ResourceNotFoundException", f"Project cannot be found: {arn}")


def not_authorized(role: Needed) -> ServiceError:
    """Make the error for a service role that CodeBuild cannot assume.

    https://docs.aws.amazon.com/codebuild/latest/userguide/troubleshooting.html

    :param role: what was handed over
    """
    return invalid(
        f"CodeBuild is not authorized to perform: sts:AssumeRole on {role.resource}. Please verify that the role exists"
        " and that its trust policy names codebuild.amazonaws.com"
    )


class BuildProblem(Exception):
    """What ends a phase of a build.

    :param code: the status code of the phase's context, such as ``COMMAND_EXECUTION_ERROR``
    :param message: its message
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Ended(Exception):
    """A build ends before its last phase.

    :param status: of the build
    :param message: why
    """

    def __init__(self, status: str, message: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.message = message
