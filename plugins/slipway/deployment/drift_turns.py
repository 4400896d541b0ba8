"""Which stacks the drift watcher compares, and when: at once where an endpoint has changed, else each in its turn.

A comparison takes ten calls of AWS. So an hour without changes costs the same for one model and for a thousand.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from slipway import names
from slipway.aws.endpoints import EndpointList, ListedEndpoint
from slipway.deployment import drift
from slipway.errors import SlipwayError
from slipway.formats.stored import known_or_new, versioned
from slipway.states import Environment

log = logging.getLogger(__name__)

# A stack without a change of its endpoint is compared in its turn, one in this time.
TURN = timedelta(minutes=30)
# A look compares so many; the others wait for the next look.
_MOST = 20
# An endpoint that has changed so long before the last look was compared then.
_OVERLAP = timedelta(minutes=5)


@dataclass(frozen=True)
class WatchedStack:
    """One stack of a model.

    :param bucket: the bucket of the model's board; may contain {region} and {account}
    :param endpoint: the name of its endpoint
    """

    model: str
    environment: str
    bucket: str
    endpoint: str

    @property
    def name(self) -> str:
        """The stack's name."""
        return names.stack_name(self.model, Environment(self.environment))

    @property
    def key(self) -> str:
        """How the watcher stores it."""
        return f"{self.model}/{self.environment}"


# What differs in a stack; None while a release or a trial holds it.
Compare = Callable[[WatchedStack], list[drift.Difference] | None]


@dataclass(frozen=True)
class Turns:
    """What the watcher has stored about its looks; the stacks by their keys.

    :param looked: when it looked last, ISO 8601, UTC; None before the first look
    :param turned: when a stack was compared in its turn
    :param last: that stack
    :param live: the stacks whose endpoint exists
    :param waiting: those that the next look must compare, those first that have waited longest
    :param found: what differs and was not reported
    """

    looked: str | None = None
    turned: str | None = None
    last: str = ""
    live: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()
    found: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """Read what ``to_json`` returned; None and what cannot be read are before the first look."""
        return known_or_new(cls, value)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        lists = {name: list(texts) for name, texts in self.found.items()}
        return versioned({**asdict(self), "live": list(self.live), "waiting": list(self.waiting), "found": lists})


class DriftTurns:
    """Compare the stacks that are due.

    :param stacks: the stacks
    :param endpoints: the account's endpoints
    :param compare: compares a stack
    """

    def __init__(self, stacks: Iterable[WatchedStack], endpoints: EndpointList, compare: Compare) -> None:
        self._stacks = {stack.key: stack for stack in stacks}
        self._endpoints = endpoints
        self._compare = compare
        # When the endpoint of each stack had changed last as it was compared.
        self._compared: dict[str, str] = {}

    def look(self, before: Turns, reported: Mapping[str, Sequence[str]], now: datetime) -> Turns:
        """Compare what is due.

        :param before: what the look before has stored
        :param reported: what was reported last, by the stack's name
        :param now: when the look begins
        :returns: what must be stored
        :raises slipway.errors.AwsError: when a call fails
        """
        listed = {one.name: one for one in self._endpoints.read()}
        live = {key: listed[stack.endpoint] for key, stack in self._stacks.items() if stack.endpoint in listed}
        self._recall(before, live)
        found = {
            key: texts
            for key, texts in before.found.items()
            if key in self._stacks and sorted(texts) != sorted(reported.get(self._stacks[key].name, ()))
        }
        changed = {key for key, one in live.items() if self._compared.get(key) != one.modified}
        gone = {key for key in before.live if key in self._stacks} - live.keys()
        # Those that have waited come first: stacks that stay held must not keep others from being compared.
        waited = [key for key in before.waiting if key in self._stacks]
        due = [*waited, *sorted((changed | gone | found.keys()) - set(waited))]
        turned, last = before.turned, before.last
        if turned is None or now - datetime.fromisoformat(turned) >= TURN:
            drifted = {key for key, stack in self._stacks.items() if stack.name in reported}
            turned, last = now.isoformat(), self._next(last, live.keys() | found.keys() | drifted)
            due = [*([last] if last and last not in due else []), *due]
        waiting = due[_MOST:]
        for key in due[:_MOST]:
            stack = self._stacks[key]
            differences = self._differences(stack)
            if differences is None:
                waiting.append(key)
                continue
            if key in live:
                self._compared[key] = live[key].modified
            texts = tuple(map(str, differences))
            found.pop(key, None)
            if sorted(texts) != sorted(reported.get(stack.name, ())):
                found[key] = texts
        return Turns(now.isoformat(), turned, last, tuple(sorted(live)), tuple(waiting), found)

    def _differences(self, stack: WatchedStack) -> list[drift.Difference] | None:
        """Compare a stack; None where that must wait. A stack that AWS refuses to show must not hide the others."""
        try:
            return self._compare(stack)
        except SlipwayError as error:
            log.warning("Cannot compare the stack %s, trying again: %s", stack.name, error.problem)
            return None

    def _recall(self, before: Turns, live: Mapping[str, ListedEndpoint]) -> None:
        """Take for compared what an earlier process has compared, as far as the stored look says so."""
        if self._compared or before.looked is None:
            return
        until = datetime.fromisoformat(before.looked).astimezone(UTC) - _OVERLAP
        for key in live.keys() & set(before.live):
            if datetime.fromisoformat(live[key].modified) < until:
                self._compared[key] = live[key].modified

    @staticmethod
    def _next(last: str, keys: Iterable[str]) -> str:
        """Return the stack whose turn follows, in alphabetical order; empty without any."""
        ordered = sorted(keys)
        return next((key for key in ordered if key > last), ordered[0] if ordered else "")
