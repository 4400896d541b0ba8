"""Retries of a task's calls: while AWS cannot be reached or throttles, a call is repeated until a deadline.

botocore retries a request a few times within seconds. Here whole methods of hooks are repeated for minutes: a method
that reads before it writes reads again before it writes again, and credentials are asked for again. Triggers retry in
waiting/waiter.py, which blocks no thread.
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

from slipway.aws.translation import translate
from slipway.errors import AwsError, problem_of
from slipway.options import AWS_PATIENCE, SECTION

P = ParamSpec("P")
T = TypeVar("T")

# The longest pause between two attempts: short enough to notice soon that AWS is back, long enough for many tasks.
PAUSE_LIMIT_SECONDS = 10.0
# A client keeps its credentials. Airflow's next attempt of the task makes a new client.
_STALE_CODES = ("ExpiredToken", "ExpiredTokenException")

_hurried: ContextVar[bool] = ContextVar("slipway_hurried", default=False)


def patience_seconds() -> float:
    """Return how long a call is retried: ``[slipway] aws_patience_seconds``; with 0, each error is raised at once."""
    return float(conf.getfloat(SECTION, AWS_PATIENCE.name, fallback=float(AWS_PATIENCE.default)))


@contextmanager
def without_patience() -> Iterator[None]:
    """Let calls in the block fail at their first error; threads that it starts too.

    For callers that wait in another way, or do not want to wait.
    """
    token = _hurried.set(True)
    try:
        yield
    finally:
        _hurried.reset(token)


def patient(method: Callable[Concatenate[Any, P], T]) -> Callable[Concatenate[Any, P], T]:
    """Repeat a hook's method while AWS cannot be reached, throttles or has an error of its own.

    The method must be safe to repeat as a whole, because a lost answer may have been a success: it only reads, or the
    second write changes nothing, or it recognizes its own first write. Errors that a retry cannot fix are raised at
    once, all others at the deadline. Back-off is exponential with jitter.
    https://docs.aws.amazon.com/general/latest/gr/api-retries.html

    :param method: of a hook; not a generator, because its work must be done when it returns
    :returns: the method with retries
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
            hook.log.info("AWS answers again after %.0f s", retrying.statistics["delay_since_first_attempt"])
        return answer

    persistent.is_patient = True  # type: ignore[attr-defined]
    return persistent


def may_pass(error: BaseException) -> bool:
    """Tell whether a retry with the same client may succeed.

    :param error: what a hook's method has raised
    """
    if isinstance(error, ClientError | BotoCoreError):
        # Raised before the hook's own call: by the connection's role or credentials.
        error = translate(error, what="Cannot connect")
    return isinstance(error, AwsError) and error.transient and error.code not in _STALE_CODES


def _say(hook: Any, state: tenacity.RetryCallState, limit_seconds: float) -> None:
    error = state.outcome.exception() if state.outcome else None
    problem = problem_of(error) if isinstance(error, Exception) else error
    hook.log.warning(
        "%s. Waiting for AWS since %.0f s, at most %.0f s", problem, state.seconds_since_start, limit_seconds
    )
