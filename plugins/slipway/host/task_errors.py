"""How a failed task tells a person what to do: an ERROR block in its log and an XCom that pages show."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import Any, ParamSpec, Self, TypeVar

from airflow.sdk import BaseOperator, Context, get_current_context
from airflow.sdk.exceptions import AirflowSkipException

from slipway.errors import Skipped, SlipwayError
from slipway.formats.stored import versioned
from slipway.metrics.stages import measured

P = ParamSpec("P")
T = TypeVar("T")

log = logging.getLogger(__name__)

# The XCom of a failed or skipped task that says why. Airflow removes it when the task starts again.
FAILURE = "slipway_failure"


def with_error_block(function: Callable[P, T]) -> Callable[P, T]:
    """Log a block for each Slipway error that leaves a task's function, and measure the function.

    Airflow offers nothing earlier: its callbacks and listeners run after it has logged the traceback.
    https://airflow.apache.org/docs/apache-airflow/stable/administration-and-deployment/logging-monitoring/callbacks.html

    :param function: of a task, or a method that Airflow calls
    :returns: the function with the block
    """

    @functools.wraps(function)
    def told(*args: P.args, **kwargs: P.kwargs) -> T:
        with measured():
            try:
                return function(*args, **kwargs)
            except SlipwayError as error:
                log_error(error)
                keep_error(error)
                raise

    return told


def log_error(error: SlipwayError) -> None:
    """Log what failed, where, why and what to do, a line each; once for each error, and nothing for a skipped task.

    :param error: what is about to leave the task
    """
    if error.in_log or isinstance(error, AirflowSkipException):
        return
    error.in_log = True
    for label, text in (("What", error.what), ("Where", error.resource), ("Why", error.why), ("Fix", error.fix)):
        # One problem of a zip is one line.
        for line in (text or "").splitlines():
            if line.strip():
                log.error("%-6s %s", f"{label}:", line.strip())


def keep_error(error: SlipwayError) -> None:
    """Keep what failed, where, why and what to do in an XCom, so that a page need not read the task's log.

    :param error: what is about to leave the task; one that says that there is nothing to do is not kept
    """
    if error.kept or type(error) is Skipped:
        return
    error.kept = True
    try:
        ti = get_current_context()["ti"]
    except RuntimeError:
        # The function was called outside of a task.
        return
    parts = {"what": error.what, "where": error.resource, "why": error.why, "fix": error.fix}
    try:
        ti.xcom_push(key=FAILURE, value=versioned({**parts, "kind": type(error).__name__, "told": error.told}))
    except Exception:
        # The task fails with its own error; the log has all of it.
        log.warning("The error could not be kept for the pages", exc_info=True)


class TaskErrors(BaseOperator):
    """The base of every operator of Slipway: its errors are logged and kept, also after a deferral."""

    def prepare_for_execution(self) -> Self:
        """Begin without link buttons; the task keeps those that it has, see slipway.host.link_buttons.

        Airflow would ask each link of the class for its address, and store it, at the end and at every wait: two
        requests for each, most of them for nothing.
        """
        made = super().prepare_for_execution()
        made.operator_extra_links = ()
        return made

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # A subclass's own execute() replaces that of its base, so each is wrapped.
        if "execute" in cls.__dict__:
            cls.execute = with_error_block(cls.execute)  # type: ignore[method-assign]

    @with_error_block
    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Continue after a deferral."""
        return super().resume_execution(next_method, next_kwargs, context)
