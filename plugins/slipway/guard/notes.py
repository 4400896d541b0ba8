"""Writes decisions into the notes that Airflow shows: of the run, and of the task that asked.

Airflow forgets the answer to a question that is put again, and has none when somebody decides in SageMaker. The task
that asks stores every decision in its state store, but no route lets a task write a note. So the API server adds the
note in the transaction that stores the decision. A task that is tried again stores the same, which adds nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from airflow.models.dagrun import DagRun, DagRunNote
from airflow.models.taskinstance import TaskInstance, TaskInstanceNote
from sqlalchemy import insert, select, update
from sqlalchemy.engine import Connection

from slipway.registry.record import How

# Airflow's column has this many characters: airflow/models/dagrun.py, DagRunNote.
MAX_CHARS = 1000
# Room for the release's name, what people have written, and another decision.
_MAX_LINE_CHARS = 400
_WORDS = {"Approved": "approved", "Rejected": "rejected"}


def note_decision(row: Mapping[str, Any], connection: Connection) -> None:
    """Add a decision to the notes of its run and its task, unless they have it.

    :param row: the entry of the state store that a task writes
    :param connection: the connection that writes it
    """
    line = decision_line(row.get("value"))
    if line is None:
        return
    of_task = (TaskInstance.dag_id, TaskInstance.run_id, TaskInstance.task_id, TaskInstance.map_index)
    task = select(TaskInstance.id).where(*(column == row[column.key] for column in of_task))
    run = select(DagRun.id).where(DagRun.dag_id == row["dag_id"], DagRun.run_id == row["run_id"])
    _add(TaskInstanceNote.ti_id, connection.scalar(task), line, connection)
    _add(DagRunNote.dag_run_id, connection.scalar(run), line, connection)


def decision_line(stored: Any) -> str | None:
    """Write a decision as one line: “approved by alice, 2026-11-29 14:03 UTC: better on all classes”.

    :param stored: what the task stores, as JSON; see AskingOperator.note_decision
    :returns: None if it is no decision
    """
    try:
        value = json.loads(stored)
        decision, by, how = str(value["decision"]), str(value["decided_by"]), str(value.get("how") or "")
    except (AttributeError, KeyError, TypeError, ValueError):
        return None
    did = _WORDS.get(decision) or f"trial: {decision}, decided"
    way = "" if how in ("", How.AIRFLOW.value, by) else f" ({how})"
    comment = _one_line(str(value.get("comment") or ""))
    said = _one_line(f"{did} by {by}, {_minute(value.get('decided_at'))}{way}")
    line = f"{said}: {comment}" if comment else said
    return line if len(line) <= _MAX_LINE_CHARS else f"{line[: _MAX_LINE_CHARS - 1]}…"


def _minute(at: Any) -> str:
    try:
        return f"{datetime.fromisoformat(str(at)).astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    except ValueError:
        return "at an unknown time"


def _add(key: Any, of: Any, line: str, connection: Connection) -> None:
    """Add a line to a note, or make the note; one that is full stays as it is."""
    if of is None:
        return
    note = key.class_.__table__
    found = connection.execute(select(note.c.content).where(key == of)).one_or_none()
    if found is None:
        connection.execute(insert(note).values({key.key: of, "content": line}))
        return
    content = found.content or ""
    if line in content.splitlines() or len(content) + len("\n\n") + len(line) > MAX_CHARS:
        return
    # An empty line between them: Airflow shows notes as Markdown.
    content = f"{content}\n\n{line}" if content else line
    connection.execute(update(note).where(key == of).values(content=content))


def _one_line(text: str) -> str:
    """Return a text in one line, so that it cannot pass for two decisions, with nothing that a database refuses."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())
