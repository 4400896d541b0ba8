"""News of alarms: the survey notices that an alarm has begun to fire, and a task tells the model's notifiers once.

The watcher stores the alarms that nobody was told of, and emits an event. The task tells, and stores whom it was told
of. So each of the two documents has one writer, and an alarm that is over before the task runs is told as well.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable
from dataclasses import asdict, dataclass
from typing import Any, Self

from slipway.aws.endpoint_metrics import AlarmState
from slipway.formats.stored import known_or_new, versioned
from slipway.host.links import model_url
from slipway.live.snapshot import LiveEndpoint, Snapshot
from slipway.names import package_version
from slipway.notices.send import Message, Notice
from slipway.waiting.watcher_dag import StateStore

# The keys in the state store: what must be told, by the watcher, and what was told, by the task.
UNTOLD, TOLD = "alarms-untold", "alarms-told"
TELL_TASK_ID = "tell_alarms"
# Both documents stay below the 64 KiB that Airflow warns of. What does not fit is told after the others.
_UNTOLD_LIMIT = 40
_TOLD_LIMIT = 3000
_PART_MAX_CHARS = 400
# How the template's descriptions begin what the reader can do.
_FIX = "Fix: "


@dataclass(frozen=True)
class Firing:
    """An alarm that has begun to fire.

    :param name: its name in CloudWatch
    :param short: without what all alarms of its endpoint begin with
    :param since: when it began, ISO 8601, UTC
    :param version: the number of the model package that its variant serves
    :param reason: in CloudWatch's words
    :param description: what it watches, and what to do
    """

    name: str
    short: str
    since: str
    endpoint: str
    model: str
    environment: str
    variant: str = ""
    version: str = ""
    reason: str = ""
    description: str = ""

    @classmethod
    def of(cls, alarm: AlarmState, endpoint: LiveEndpoint) -> Self:
        """Make it of what the survey saw."""
        packages = {one.name: one.package_arn for one in endpoint.variants}
        package = packages.get(alarm.variant)
        return cls(
            alarm.full_name,
            alarm.name,
            alarm.since,
            endpoint.name,
            endpoint.model,
            endpoint.environment,
            alarm.variant,
            f"v{package_version(package)}" if package else "",
            alarm.reason[:_PART_MAX_CHARS],
            alarm.description[:_PART_MAX_CHARS],
        )

    @property
    def key(self) -> str:
        """Names this beginning: an alarm that fires again, even at once, has another one."""
        return hashlib.sha256(f"{self.name} {self.since}".encode()).hexdigest()[:16]

    def message(self) -> Message:
        """Write what its model's people read."""
        what, _, fix = self.description.partition(_FIX)
        reason = ": ".join(filter(None, (what.strip().rstrip("."), self.reason)))
        version = ", ".join(filter(None, (self.version, self.variant)))
        return Message(
            Notice.ALARM,
            f"{Notice.ALARM}/{self.key}",
            self.model,
            f"The alarm {self.short} of {self.endpoint} has fired since {self.since}",
            model_url(self.model),
            version=version,
            stage=self.environment,
            reason=reason,
            fix=fix or "read the endpoint's dashboard and its log",
        )


@dataclass(frozen=True)
class _Untold:
    alarms: tuple[Firing, ...] = ()


@dataclass(frozen=True)
class _Told:
    keys: tuple[str, ...] = ()


def firing(alarms: Iterable[AlarmState], snapshot: Snapshot) -> list[Firing]:
    """Return the alarms that fire, the oldest first.

    :param alarms: those that a look has found firing
    :param snapshot: their endpoints
    """
    found = [Firing.of(one, snapshot.endpoints[one.endpoint]) for one in alarms if one.endpoint in snapshot.endpoints]
    return sorted(found, key=lambda one: (one.since, one.name))


def untold(stored: Any, told: Any, now_firing: Iterable[Firing]) -> list[Firing]:
    """Return the alarms that must be told.

    :param stored: those of the looks before, as stored
    :param told: those that were told, as stored
    :param now_firing: those that fire now
    """
    every = {one.key: one for one in (*_untold(stored), *now_firing)}
    known = frozenset(_told(told))
    return [one for key, one in every.items() if key not in known][:_UNTOLD_LIMIT]


def untold_json(alarms: Iterable[Firing]) -> dict[str, Any]:
    """Return what the watcher stores."""
    return versioned({"alarms": [asdict(one) for one in alarms]})


def tell(store: StateStore, send: Callable[[Message], bool], *, last_try: bool) -> list[str]:
    """Tell the alarms that nobody was told of; the body of the survey's task for it.

    :param store: the state of the survey's asset
    :param send: sends a message to the notifiers of its model; returns whether all have got it
    :param last_try: whether what was not sent now counts as told
    :returns: the names of alarms that not every notifier was told of
    """
    missed = []
    for one in _untold(store.get(UNTOLD)):
        told = _told(store.get(TOLD))
        if one.key in told:
            continue
        if not send(one.message()):
            missed.append(one.name)
            if not last_try:
                continue
        # After it was sent: a task that is killed in between tells again only whom it has not told.
        store.set(TOLD, versioned({"keys": [*told, one.key][-_TOLD_LIMIT:]}))
    return missed


def _untold(stored: Any) -> Collection[Firing]:
    return known_or_new(_Untold, stored).alarms


def _told(stored: Any) -> Collection[str]:
    return known_or_new(_Told, stored).keys
