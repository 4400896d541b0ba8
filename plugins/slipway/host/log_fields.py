"""What every later line of a task's or trigger's log says beside its message: the model and the revision.

Airflow itself binds the DAG, the run, the task and the try:
https://airflow.apache.org/docs/apache-airflow/stable/administration-and-deployment/logging-monitoring/logging-tasks.html
"""

from __future__ import annotations

from collections.abc import Mapping

# Names alone: a log is read by more people than the release's zip, and by machines that keep it.
_FIELDS = ("model", "revision")


def bind(fields: Mapping[str, str]) -> None:
    """Add the fields to the lines that the task or trigger logs from now on.

    https://www.structlog.org/en/stable/contextvars.html

    :param fields: ``model`` and ``revision``; what else there is, is left out
    """
    # Imported by Airflow before a task begins; the command line needs no logs.
    from structlog.contextvars import bind_contextvars

    bind_contextvars(**{name: fields[name] for name in _FIELDS if name in fields})


def bound() -> dict[str, str]:
    """Return the fields that the lines have now, for a trigger that goes on in another process."""
    from structlog.contextvars import get_contextvars

    said = get_contextvars()
    return {name: str(said[name]) for name in _FIELDS if name in said}
