"""What IAM refuses, and how the refusal reads."""

from dataclasses import dataclass
from typing import Any

from local_aws.framework.api import ServiceError


@dataclass(frozen=True)
class Refusal:
    """A decision of IAM against a request.

    :param principal: ARN of the user or role session
    :param explicit: whether a Deny statement decided
    :param unmet: the Sid, or the conditions, of a statement that would allow it under other conditions; empty for none
    :param boundary: the permissions boundary that decided; empty where the principal's other policies did
    """

    principal: str
    action: str
    resource: str
    explicit: bool
    unmet: str = ""
    boundary: str = ""

    @property
    def message(self) -> str:
        """The error's text.

        https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html
        """
        # https://docs.aws.amazon.com/AmazonS3/latest/userguide/troubleshoot-403-errors.html
        resource = f'"{self.resource}"' if self.action.startswith("s3:") else self.resource
        kind, article = ("permissions boundary", "a") if self.boundary else ("identity-based policy", "an")
        why = (
            f"with an explicit deny in {article} {kind}"
            if self.explicit
            else f"because no {kind} allows the {self.action} action"
        )
        return f"User: {self.principal} is not authorized to perform: {self.action} on resource: {resource} {why}"

    def as_data(self) -> dict[str, Any]:
        """Return what the ledger says about it, with the statement that would allow the call."""
        found: dict[str, Any] = {"principal": self.principal, "action": self.action, "resource": self.resource}
        if self.explicit:
            return {**found, "why": "a statement denies it"}
        statement = {"Effect": "Allow", "Action": self.action, "Resource": self.resource}
        why = f"the condition of {self.unmet} is not met" if self.unmet else "no statement allows it"
        if self.boundary:
            why = f"the permissions boundary {self.boundary} does not allow it"
        return {**found, "why": why, "statement": statement}


class AccessDenied(ServiceError):
    """A refusal as SageMaker and Application Auto Scaling answer it.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/CommonErrors.html
    """

    def __init__(self, refusal: Refusal) -> None:
        super().__init__("AccessDeniedException", refusal.message, 400)
        self.refusal = refusal
