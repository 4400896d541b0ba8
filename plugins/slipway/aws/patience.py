"""The patience of a task's calls: while AWS does not answer, or says "not now", they are made again until a deadline.

botocore repeats a request a few times within seconds, by itself. What lasts longer is waited out here, by whole
methods of hooks: a method that looks before it writes looks again before it writes again, and whoever asks AWS for
credentials asks again as well. Triggers have a patience of their own (triggers/patience.py), which holds no thread.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Concatenate, ParamSpec, TypeVar

import tenacity
from airflow.sdk.configuration import conf
from botocore.exceptions import BotoCoreError, ClientError

from slipway.errors import AwsError, translate

P = ParamSpec("P")
T = TypeVar("T")

PATIENCE_SECONDS = 300.0
# Between two attempts at most: what comes back is noticed soon, and a fleet of tasks is no burden by then.
PAUSE_LIMIT_SECONDS = 10.0
# A client keeps its credentials. The next attempt of the task, which Airflow makes, has a new one.
_STALE_CODES = ("ExpiredToken", "ExpiredTokenException")

_hurried: ContextVar[bool] = ContextVar("slipway_hurried", default=False)


def patience_seconds() -> float:
    """:returns: how long a call is tried again, ``[slipway] aws_patience_seconds``; 0 tells of every error at once"""
    return float(conf.getfloat("slipway", "aws_patience_seconds", fallback=PATIENCE_SECONDS))


@contextmanager
def without_patience() -> Iterator[None]:
    """Let calls in the block, threads that it starts included, fail at their first error.

    For whoever waits in another way, or has something better to do.
    """
    token = _hurried.set(True)
    try:
        yield
    finally:
        _hurried.reset(token)


def patient(method: Callable[Concatenate[Any, P], T]) -> Callable[Concatenate[Any, P], T]:
    """Repeat a hook's method while AWS cannot be reached, throttles or has an error of its own.

    The method may be repeated as a whole, although an answer that was lost may have been a success: it reads, or what
    it changes is the same after a second time, or it takes its own work for what it is. Errors that another attempt
    cannot mend are raised at once, the last one at the deadline. Back-off is exponential with jitter.
    https://docs.aws.amazon.com/general/latest/gr/api-retries.html

    :param method: of a hook; it has done all that it does when it returns, so it is no generator
    :returns: the same with patience
    """

    @functools.wraps(method)
    def persistent(hook: Any, *args: P.args, **kwargs: P.kwargs) -> T:
        if _hurried.get():
            return method(hook, *args, **kwargs)
        limit_seconds = patience_seconds()
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(may_pass),
            wait=tenacity.wait_random_exponential(multiplier=0.5, min=0.1, max=PAUSE_LIMIT_SECONDS),
            stop=tenacity.stop_after_delay(limit_seconds),
            before_sleep=lambda state: _say(hook, state, limit_seconds),
            reraise=True,
        )
        answer = retrying(method, hook, *args, **kwargs)
        if retrying.statistics["attempt_number"] > 1:
            hook.log.info("AWS answers again, after %.0f s", retrying.statistics["delay_since_first_attempt"])
        return answer

    persistent.is_patient = True  # type: ignore[attr-defined]
    return persistent


def may_pass(error: BaseException) -> bool:
    """Tell whether the same client may be answered when it asks again.

    :param error: what a hook's method has raised
    """
    if isinstance(error, ClientError | BotoCoreError):
        # From what is asked before a hook's own call: the connection's role and credentials.
        error = translate(error, what="Cannot connect")
    return isinstance(error, AwsError) and error.transient and error.code not in _STALE_CODES


def _say(hook: Any, state: tenacity.RetryCallState, limit_seconds: float) -> None:
    error = state.outcome.exception() if state.outcome else None
    hook.log.warning(
        "%s. Waiting for AWS since %.0f s, at most %.0f s", error, state.seconds_since_start, limit_seconds
    )
