"""Faults: which calls they are for, and how often they happen. This module has no HTTP."""

import math
import random
import re
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any

from botocore.exceptions import UnknownServiceError

from local_aws.framework.api import service_model

# Statuses of the codes that are not answered with 400.
# https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/CommonErrors.html
_STATUSES = {
    "AccessDenied": 403,
    "ExpiredTokenException": 403,
    "InternalError": 500,
    "InternalFailure": 500,
    "InternalServerError": 500,
    "InternalServerException": 500,
    "InvalidAccessKeyId": 403,
    "InvalidClientTokenId": 403,
    "NoSuchBucket": 404,
    "NoSuchKey": 404,
    "NoSuchVersion": 404,
    "ServiceUnavailable": 503,
    "ServiceUnavailableException": 503,
    "SignatureDoesNotMatch": 403,
    "SlowDown": 503,
    "TooManyRequestsException": 429,
}
# Services for which the gateway has another name than boto3.
_BOTO3_NAMES = {"monitoring": "cloudwatch"}
_ERROR_CODE = re.compile(r"[A-Za-z][A-Za-z0-9.]*")


class InvalidFault(Exception):
    """A fault that makes no sense; the text says what is wrong with each member."""


class Drop(StrEnum):
    """When the connection is closed without an answer: instead of the call, or after it."""

    BEFORE = "before"
    AFTER = "after"


@dataclass(frozen=True)
class Fault:
    """One kind of failure that is injected.

    :param service: as the ledger names it; None for every service
    :param operation: such as ``CreateTrainingJob``; None for every one
    :param resource: a pattern with ``*`` and ``?`` for the ledger's name of the resource; None for every one
    :param count: how many matching calls fail; None for all
    :param probability: of each matching call
    :param error: AWS's error code, answered instead of performing the call
    :param status: of HTTP; with an error
    :param message: the error's text
    :param latency_seconds: how long to wait first
    :param drop: close the connection without an answer
    :param blackout_seconds: how long to close every connection
    :param id: names the fault in the ledger
    """

    service: str | None = None
    operation: str | None = None
    resource: str | None = None
    count: int | None = None
    probability: float = 1.0
    error: str | None = None
    status: int | None = None
    message: str | None = None
    latency_seconds: float = 0.0
    drop: Drop | None = None
    blackout_seconds: float | None = None
    id: str = field(default_factory=lambda: uuid.uuid4().hex[:8])

    @property
    def http_status(self) -> int:
        """The given status, or the one AWS answers the error with."""
        return self.status or _STATUSES.get(self.error or "", 400)

    def concerns(self, service: str, operation: str, resource: str) -> bool:
        """Tell whether the fault is for a call.

        :param service: as the ledger names it
        :param operation: such as ``CreateTrainingJob``
        :param resource: as the ledger names it
        """
        return (
            self.service in (None, service)
            and self.operation in (None, operation)
            and (self.resource is None or fnmatchcase(resource, self.resource))
        )


@dataclass
class _Listed:
    """A fault, when it was added, and how many calls it has met."""

    fault: Fault
    added: float
    hits: int = 0


class Faults:
    """All faults, the oldest first. They are not saved; use them on the event loop's thread only.

    :param clock: monotonic seconds
    :param chance: random numbers from 0 to below 1
    """

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, chance: Callable[[], float] = random.random
    ) -> None:
        self._clock = clock
        self._chance = chance
        self._listed: dict[str, _Listed] = {}

    def add(self, fault: Fault) -> dict[str, Any]:
        """Add a fault, which applies from now on.

        :param fault: the fault
        :returns: the fault as `list` gives it
        """
        self._listed[fault.id] = _Listed(fault, self._clock())
        return self._described(self._listed[fault.id])

    def remove(self, fault_id: str) -> bool:
        """End a fault.

        :param fault_id: its id
        :returns: False when there is none of that id
        """
        return self._listed.pop(fault_id, None) is not None

    def clear(self) -> None:
        """End all faults."""
        self._listed.clear()

    def list(self) -> list[dict[str, Any]]:
        """Describe all faults.

        :returns: their members, with the calls they have met, and whether there will be more
        """
        return [self._described(one) for one in self._listed.values()]

    def blackout(self) -> Fault | None:
        """Return the current blackout, or None."""
        for one in self._listed.values():
            if one.fault.blackout_seconds is not None and self._active(one):
                return one.fault
        return None

    def meet(self, service: str, operation: str, resource: str) -> Fault | None:
        """Choose a call's fault and count it: a blackout first, else the oldest fault that is for it.

        :param service: as the ledger names it
        :param operation: such as ``CreateTrainingJob``
        :param resource: as the ledger names it
        :returns: the fault; None for none
        """
        for one in sorted(self._listed.values(), key=lambda one: one.fault.blackout_seconds is None):
            concerned = self._active(one) and one.fault.concerns(service, operation, resource)
            if concerned and self._chance() < one.fault.probability:
                one.hits += 1
                return one.fault
        return None

    def _active(self, one: _Listed) -> bool:
        if one.fault.blackout_seconds is not None:
            return self._clock() < one.added + one.fault.blackout_seconds
        return one.fault.count is None or one.hits < one.fault.count

    def _described(self, one: _Listed) -> dict[str, Any]:
        members = {name: value for name, value in asdict(one.fault).items() if value is not None}
        return {**members, "hits": one.hits, "active": self._active(one)}


def parse(document: Any) -> Fault:
    """Read a fault from a request, strictly: a test with a fault that never happens could not fail.

    :param document: the members of `Fault`, but for the id
    :returns: the fault
    :raises InvalidFault: the fault makes no sense
    """
    if not isinstance(document, dict):
        raise InvalidFault("A fault is a JSON object.")
    known = [one.name for one in fields(Fault) if one.name != "id"]
    problems = [f"{name}: not known; known are {', '.join(known)}" for name in sorted(document.keys() - set(known))]
    problems += [f"{name}: must be {wanted}" for name, wanted in _wrong_values(document)]
    if not problems:
        problems = _contradictions(document) or _unknown_names(document)
    if problems:
        raise InvalidFault("; ".join(problems))
    values = dict(document)
    if "drop" in values:
        values["drop"] = Drop(values["drop"])
    return Fault(**values)


def _wrong_values(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    checks: dict[str, tuple[Callable[[Any], bool], str]] = {
        "service": (_text, "a service's name"),
        "operation": (_text, "an operation's name"),
        "resource": (_text, "a pattern, such as iris-*"),
        "count": (lambda value: _whole(value) and value >= 1, "a whole number from 1"),
        "probability": (lambda value: _number(value) and 0 < value <= 1, "a number above 0, at most 1"),
        "error": (lambda value: _text(value) and _ERROR_CODE.fullmatch(value) is not None, "an error code of AWS's"),
        "status": (lambda value: _whole(value) and 400 <= value <= 599, "an HTTP status from 400 to 599"),
        "message": (_text, "a text"),
        "latency_seconds": (lambda value: _number(value) and value > 0, "a number of seconds above 0"),
        "drop": (lambda value: value in list(Drop), f"one of {', '.join(Drop)}"),
        "blackout_seconds": (lambda value: _number(value) and value > 0, "a number of seconds above 0"),
    }
    return [
        (name, wanted) for name, (right, wanted) in checks.items() if name in document and not right(document[name])
    ]


def _contradictions(document: Mapping[str, Any]) -> list[str]:
    problems = []
    if not document.keys() & {"error", "latency_seconds", "drop", "blackout_seconds"}:
        problems.append("the fault has no effect: give error, latency_seconds, drop or blackout_seconds")
    if "blackout_seconds" in document and len(document) > 1:
        problems.append("blackout_seconds: a blackout is of everything; no other member goes with it")
    if {"error", "drop"} <= document.keys():
        problems.append("drop: there is either an answer that is an error, or none")
    if "error" not in document:
        problems += [f"{name}: needs an error" for name in ("status", "message") if name in document]
    if "operation" in document and "service" not in document:
        problems.append("operation: needs the service it is one of")
    return problems


def _unknown_names(document: Mapping[str, Any]) -> list[str]:
    if "service" not in document:
        return []
    service = document["service"]
    try:
        model = service_model(_BOTO3_NAMES.get(service, service))
    except UnknownServiceError:
        return [f"service: {service} is not a service's name, as the call ledger has them"]
    if document.get("operation", model.operation_names[0]) in model.operation_names:
        return []
    return [f"operation: {service} has no operation {document['operation']}"]


def _text(value: Any) -> bool:
    return isinstance(value, str) and value != ""


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
