"""What a check found, and how it is told."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

# Who asks may not, or this AWS has no such service or operation.
# https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html
# https://docs.aws.amazon.com/sns/latest/api/API_GetTopicAttributes.html (AuthorizationError)
# https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html (InvalidToken, InvalidAccessKeyId)
_DENIED = re.compile(
    r"AccessDenied|Unauthorized|NotAuthorized|AuthorizationError|Forbidden|^40[03]$|OptInRequired|"
    r"SubscriptionRequired|UnknownOperation|InvalidAction|NotImplemented|Throttl|Unavailable|InternalFailure|"
    r"InternalError|ExpiredToken|RequestExpired|InvalidToken|InvalidClientToken|InvalidAccessKeyId|InvalidSignature|"
    r"SignatureDoesNotMatch|MissingAuthenticationToken|UnrecognizedClient"
)
# https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html
_PERMISSION = re.compile(r"not authorized to perform:? \[?([\w-]+:\w+)")
_SHOWN = 600


class Outcome(StrEnum):
    """The three results of a check."""

    SAME = "same"
    DIFFERS = "differs"
    CANNOT_TELL = "cannot tell"


class CannotTellError(Exception):
    """A check could not look; the message says why."""


@dataclass(frozen=True)
class Finding:
    """The result of one check.

    :param check: what was looked at
    :param expected: what Slipway relies on
    :param found: what AWS answered
    :param reason: why it cannot be told, or what the difference means
    """

    check: str
    outcome: Outcome
    expected: str = ""
    found: str = ""
    reason: str = ""

    def __str__(self) -> str:
        note = f" ({self.reason})" if self.reason else ""
        if self.outcome is Outcome.CANNOT_TELL:
            return f"{self.outcome}: {self.check}: {self.reason}"
        if self.outcome is Outcome.SAME:
            return f"{self.outcome}: {self.check}{note}"
        return f"{self.outcome}: {self.check}: expected {_short(self.expected)} … found {_short(self.found)}{note}"

    def document(self) -> dict[str, str]:
        """Return the members as JSON has them."""
        return {
            "check": self.check,
            "outcome": str(self.outcome),
            "expected": self.expected,
            "found": self.found,
            "reason": self.reason,
        }


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def as_text(value: Any) -> str:
    """Write a value in one line."""
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)


def same(check: str, reason: str = "") -> Finding:
    """Say that AWS is as expected."""
    return Finding(check, Outcome.SAME, reason=reason)


def differs(check: str, expected: Any, found: Any, reason: str = "") -> Finding:
    """Say that AWS is not as expected."""
    return Finding(check, Outcome.DIFFERS, as_text(expected), as_text(found), reason)


def cannot_tell(check: str, reason: str) -> Finding:
    """Say that a check could not look."""
    return Finding(check, Outcome.CANNOT_TELL, reason=reason)


def compare(check: str, expected: Any, look: Callable[[], Any]) -> Finding:
    """Compare what AWS has with what is expected of it.

    :param look: asks AWS; what it refuses because nothing is there is a difference
    """
    try:
        found = look()
    except (ClientError, BotoCoreError, CannotTellError) as error:
        reason = unanswered(error)
        return cannot_tell(check, reason) if reason else differs(check, expected, refusal(error))
    return same(check) if found == expected else differs(check, expected, found)


def refusal(error: Exception) -> str:
    """Write a refusal as ``code: text``."""
    if not isinstance(error, ClientError):
        return str(error)
    detail = error.response["Error"]
    return f"{detail.get('Code')}: {detail.get('Message', '')}"


def unanswered(error: Exception) -> str | None:
    """Return why an error says nothing about what is there; None where it is an answer.

    :returns: the missing permission, or what came instead of an answer
    """
    if isinstance(error, CannotTellError):
        return str(error)
    if not isinstance(error, ClientError):
        return f"{type(error).__name__}: {error}"
    detail = error.response["Error"]
    code, text = str(detail.get("Code")), str(detail.get("Message", ""))
    if not _DENIED.search(code):
        return None
    named = _PERMISSION.search(text)
    if named:
        return f"the permission {named[1]} is missing"
    if re.search(r"AccessDenied|^403$|Forbidden", code):
        return f"the permission for {error.operation_name} is missing ({code})"
    return f"{error.operation_name} answered {code}: {text}"


_ACCOUNT = re.compile(r"(?<!\d)\d{12}(?!\d)")
_ARN = re.compile(r"arn:aws[\w-]*:[^\s\"'\],}]+")
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-unique-ids
_ID = re.compile(r"\b(?:AKIA|ASIA|AROA|AIDA|AGPA|ANPA|AIPA)[A-Z0-9]{8,}\b")
_SECRET = re.compile(r"(?i)(signature|credential|security-token|secret\w*)=[^&\s]+")


def redacted(value: Any) -> Any:
    """Leave out account ids, ARNs, keys and signatures, for a report that others read."""
    if isinstance(value, dict):
        return {key: redacted(one) for key, one in value.items()}
    if isinstance(value, list):
        return [redacted(one) for one in value]
    if not isinstance(value, str):
        return value
    without = _SECRET.sub(r"\1=<secret>", _ARN.sub("<arn>", value))
    return _ACCOUNT.sub("<account>", _ID.sub("<id>", without))
