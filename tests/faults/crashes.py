"""Killing a task at its calls to AWS: right before one is sent, or after AWS did it and before the task hears of it."""

from collections.abc import Callable
from contextlib import contextmanager
from itertools import count
from typing import Any

import pytest
from aiobotocore.httpsession import AIOHTTPSession
from airflow.sdk.exceptions import TaskDeferred
from botocore.httpsession import URLLib3Session

from tests.unit.task_runs import first_event

# A trigger's polls are all alike: the first ones stand for the rest.
TRIGGER_CALLS = 3
POLL_SECONDS = 0.05


class KilledError(BaseException):
    """kill -9: no ``except Exception`` can tell of it."""


class Crashes:
    """Counts calls while it is armed, and kills at one of them.

    :param step: from one call that is killed at to the next
    """

    def __init__(self, step: int = 2) -> None:
        self.step = step
        self.kills = 0
        self._count: int | None = None
        self._call = 0
        self._after = False

    @classmethod
    def install(cls, patch: pytest.MonkeyPatch, *, every: bool) -> "Crashes":
        """Stand between all hooks and AWS.

        :param patch: ends it
        :param every: whether each call is killed at, or every second one
        """
        crashes, send, send_async = cls(1 if every else 2), URLLib3Session.send, AIOHTTPSession.send

        def sending(session: Any, request: Any) -> Any:
            return crashes.around(lambda: send(session, request))

        async def sending_async(session: Any, request: Any) -> Any:
            crashes.before()
            answer = await send_async(session, request)
            crashes.after()
            return answer

        patch.setattr(URLLib3Session, "send", sending)
        patch.setattr(AIOHTTPSession, "send", sending_async)
        return crashes

    @contextmanager
    def armed(self, call: int, *, after: bool) -> Any:
        """Kill at a call of the block.

        :param call: which one, from 0
        :param after: after AWS has done it, instead of before it is sent
        """
        self._count, self._call, self._after = 0, call, after
        try:
            yield
        finally:
            self._count = None

    @contextmanager
    def disarmed(self) -> Any:
        """Neither count nor kill in the block."""
        counted, self._count = self._count, None
        try:
            yield
        finally:
            self._count = counted

    def around(self, step: Callable[[], Any]) -> Any:
        """Take a step that may be the last: a call to AWS, or what a test does in Airflow's place."""
        self.before()
        answer = step()
        self.after()
        return answer

    def before(self) -> None:
        """A call is about to be sent."""
        if self._count == self._call and not self._after:
            self._kill()

    def after(self) -> None:
        """A call has been answered."""
        if self._count is None:
            return
        if self._count == self._call and self._after:
            self._kill()
        self._count += 1

    def _kill(self) -> None:
        self._count = None
        self.kills += 1
        raise KilledError


def kill_everywhere(crashes: Crashes, attempt: Callable[[], Any], *, in_a_row: int = 2) -> Any:
    """Kill an attempt at its first call, before and after; then at its second; and so on until it gets through.

    Every kill leaves to the next attempt what was done before it, as a retried task finds it. After one call and before
    the next one is the same for AWS and for the next attempt, so every second call, killed before and after, shows all
    that a kill can leave behind; ``--every-kill`` takes each call.

    :param attempt: the whole of it, from its beginning
    :param in_a_row: how often at one place, for what a second retry finds is not what a first one did
    :returns: what the attempt that got through gave
    """
    for call in count(step=crashes.step):
        for after in (False, True):
            for _ in range(in_a_row):
                try:
                    with crashes.armed(call, after=after):
                        return attempt()
                except KilledError:
                    continue
    raise AssertionError("count is endless")


def kill_at_each_place(crashes: Crashes, fresh: Callable[[], Callable[[], Any]]) -> None:
    """Kill two attempts in a row at one place and let the third get through, for every place of the first.

    :param fresh: gives the attempt of something that nothing was done for yet
    """
    for call in count(step=crashes.step):
        for after in (False, True):
            attempt, killed = fresh(), 0
            for _ in range(2):
                try:
                    with crashes.armed(call, after=after):
                        attempt()
                except KilledError:
                    killed += 1
            attempt()
            if not killed:
                return


def attempt(crashes: Crashes, make_operator: Callable[[], Any], ctx: dict, answer: Callable[[Any], Any]) -> Any:
    """Run a task from its beginning, with an operator and triggers of its own.

    :param make_operator: gives a fresh operator
    :param ctx: the task's context
    :param answer: takes a trigger, returns the payload of its event
    """
    operator = make_operator()
    method, arguments = operator.execute, {}
    while True:
        try:
            return method(ctx, **arguments)
        except TaskDeferred as deferral:
            with crashes.disarmed():
                event = answer(deferral.trigger)
            method, arguments = getattr(operator, deferral.method_name), {**(deferral.kwargs or {}), "event": event}


class Waits:
    """Waits for triggers; the first of each class is killed at its calls, like a triggerer, and made anew."""

    def __init__(self, crashes: Crashes) -> None:
        self._crashes = crashes
        self._killed: set[type] = set()

    def __call__(self, trigger: Any) -> Any:
        """:returns: the payload of the trigger's event"""
        _, arguments = trigger.serialize()

        def run() -> Any:
            made = type(trigger)(**arguments)
            made.poll_seconds = POLL_SECONDS
            return first_event(made)

        if type(trigger) not in self._killed:
            self._killed.add(type(trigger))
            for call in range(TRIGGER_CALLS):
                for after in (False, True):
                    try:
                        with self._crashes.armed(call, after=after):
                            return run()
                    except KilledError:
                        continue
        return run()
