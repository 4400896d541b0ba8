"""What AWS serves, as the survey found it; what costs how much, and how old that is. Part of what the API answers."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel


class SurveyState(StrEnum):
    """How far the survey's facts can be trusted."""

    FRESH = "fresh"
    OLD = "old"  # nobody has looked for some minutes
    NONE = "none"  # nobody has looked yet


class Survey(BaseModel):
    """The survey's last look.

    ``say`` is a sentence about what is wrong and what to do; there is none while all is well.
    """

    state: SurveyState
    at: datetime | None
    say: str | None


class ServedVariant(BaseModel):
    """A variant of an endpoint; ``share`` is its share of the requests.

    ``requests``, ``errors`` and ``latency_p99_ms`` are of the minute that began at ``minute``, the newest one with
    requests; without a minute there were none. ``cost_an_hour`` is an estimate in US dollars; without it the price is
    not known.
    """

    name: str
    version: str | None
    share: float | None
    instance_type: str
    instances: int
    wanted_instances: int
    minute: datetime | None
    requests: int
    errors: int
    latency_p99_ms: float | None
    cost_an_hour: float | None


class Alarm(BaseModel):
    """An alarm of an endpoint, and its state in CloudWatch's word."""

    name: str
    state: str


class Served(BaseModel):
    """An endpoint, as AWS describes it."""

    environment: str
    endpoint: str
    status: str
    failure: str | None
    changed_at: datetime
    variants: list[ServedVariant]
    alarms: list[Alarm]
    drift: list[str]
    cost_an_hour: float | None


class Costs(BaseModel):
    """An estimate of what the endpoints of all models that the caller may read cost an hour, in US dollars.

    It is made from public lists of ``date``; ``source`` is AWS's page, which decides. ``unknown`` lists the instance
    types without a price, which are not in the sum.
    """

    an_hour: float
    unknown: list[str]
    source: str
    date: str
