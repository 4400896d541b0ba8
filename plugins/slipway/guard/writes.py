"""Checks who may write what Slipway remembers, before the statement is executed.

XComs and state stores are written by statements that no flush shows, through several routes. All statements pass the
engine.
https://docs.sqlalchemy.org/en/20/core/events.html#sqlalchemy.events.ConnectionEvents.before_execute
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airflow.models.asset_state_store import AssetStateStoreModel
from airflow.models.connection import Connection as AirflowConnection
from airflow.models.dag import DagModel, DagTag
from airflow.models.dag_version import DagVersion
from airflow.models.serialized_dag import SerializedDagModel
from airflow.models.task_state_store import TaskStateStoreModel
from airflow.models.variable import Variable
from airflow.models.xcom import XComModel
from fastapi import HTTPException, status
from sqlalchemy import Delete, Insert, TextClause, Update, event, select
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.orm import Session
from sqlalchemy.sql.elements import BindParameter

from slipway.approval.answers import DECIDED
from slipway.guard import belongings, notes, own_writes
from slipway.guard.approvals import approver_names, may_all
from slipway.guard.caller import Caller, TaskCaller, current_caller

log = logging.getLogger(__name__)

Row = Mapping[str, Any]
# The keys of link buttons, which a worker writes after it has reported that its try failed.
_LINK = "_link_"


@dataclass(frozen=True)
class Write:
    """One statement that is about to be executed.

    :param caller: whose request it serves
    :param table: the table's name
    :param rows: the columns that say what it touches, of the rows before and after
    :param deletes: whether it deletes them
    :param connection: the connection that executes it
    """

    caller: Caller | TaskCaller
    table: str
    rows: Sequence[Row]
    deletes: bool
    connection: Connection

    def values(self, column: str) -> set[Any]:
        """Return a column's values in all of the rows."""
        return {row[column] for row in self.rows}


def guard_statements() -> None:
    """Check every statement of every engine in this process."""
    for moment, listener in (("before_execute", check_statement), ("before_cursor_execute", check_sql_text)):
        if not event.contains(Engine, moment, listener):
            event.listen(Engine, moment, listener)


def unguard_statements() -> None:
    """Undo ``guard_statements``, for tests."""
    for moment, listener in (("before_execute", check_statement), ("before_cursor_execute", check_sql_text)):
        if event.contains(Engine, moment, listener):
            event.remove(Engine, moment, listener)


def check_statement(
    connection: Connection,
    statement: Any,
    multiparams: Sequence[Row],
    params: Row,
    execution_options: Mapping[str, Any],
) -> None:
    """Check a statement.

    :param connection: the connection that executes it
    :param statement: what is executed
    :param multiparams: the parameters, if there are several sets
    :param params: the parameters, if there is one set
    :param execution_options: how it is executed
    :raises fastapi.HTTPException: 403 with the reason, when the caller may not do this
    """
    if not isinstance(statement, Insert | Update | Delete):
        return
    caller = current_caller.get()
    rule = _RULES.get(getattr(statement.table, "name", ""))
    if caller is None or rule is None or own_writes.is_own(execution_options):
        return
    rows = list(_rows(connection, statement, multiparams or [params], rule.columns))
    write = Write(caller, statement.table.name, rows, isinstance(statement, Delete), connection)  # type: ignore[union-attr]
    if why := rule.refusal(write):
        # Airflow keeps no audit entry of these writes. A caller without a login is refused by the route as well.
        if isinstance(caller, TaskCaller) or caller.name:
            log.warning("Refused %s a write to %s: %s", caller, write.table, why)
        raise HTTPException(status.HTTP_403_FORBIDDEN, why)
    if _is_decision(write, statement):
        for row in _rows(connection, statement, multiparams or [params], (*rule.columns, "value")):
            notes.note_decision(row, connection)


def _is_decision(write: Write, statement: Any) -> bool:
    """Tell whether one of Slipway's tasks stores a decision."""
    return (
        write.table == TaskStateStoreModel.__tablename__
        and isinstance(write.caller, TaskCaller)
        and isinstance(statement, Insert)
        and write.values("key") == {DECIDED}
        and bool(belongings.slipways_dags(write.values("dag_id"), write.connection))
    )


def check_sql_text(_conn: Any, _cursor: Any, statement: str, _parameters: Any, context: Any, _many: bool) -> None:
    """Refuse SQL given as text, because its rows are unknown; Airflow's API uses none on these tables.

    :raises fastapi.HTTPException: 403
    """
    if current_caller.get() is None or (found := _WRITES.search(statement)) is None:
        return
    compiled = getattr(context, "compiled", None)
    if compiled is None or isinstance(compiled.statement, TextClause):
        raise HTTPException(status.HTTP_403_FORBIDDEN, f"Slipway cannot tell what this writes to {found['table']}.")


def _rows(
    connection: Connection, statement: Insert | Update | Delete, params: Sequence[Row], columns: Sequence[str]
) -> Iterator[Row]:
    """Find the rows that a statement touches, as they are before and after it."""
    table: Any = statement.table
    if not isinstance(statement, Insert):
        wanted = select(*(table.c[name] for name in columns)).distinct()
        if statement.whereclause is not None:
            wanted = wanted.where(statement.whereclause)
        for one in params:
            for found in connection.execute(wanted, one).mappings():
                yield {**found}
                if isinstance(statement, Update):
                    yield {**found, **_written(statement, one, columns)}
        return
    if statement.select is not None:
        _unclear(table.name)
    several = [row for rows in statement._multi_values for row in rows]
    for one in params:
        for given in several or [statement._values or {}]:
            row = _written(statement, one, columns, given)
            if missing := set(columns) - row.keys() - {"map_index"}:
                _unclear(f"{table.name} ({', '.join(sorted(missing))})")
            yield {"map_index": -1, **row}


def _written(statement: Any, params: Row, columns: Sequence[str], given: Any = None) -> dict[str, Any]:
    """Return what a statement writes into these columns; refuse values that only the database can compute."""
    values: dict[str, Any] = {}
    for column, value in (given if given is not None else statement._values or {}).items():
        name = column if isinstance(column, str) else column.key
        if name in columns:
            if isinstance(value, BindParameter):
                value = params.get(value.key, value.effective_value)
            elif hasattr(value, "compile"):
                _unclear(f"{statement.table.name} ({name})")
            values[name] = value
    return values | {name: params[name] for name in columns if name in params}


def _unclear(what: str) -> None:
    raise HTTPException(status.HTTP_403_FORBIDDEN, f"Slipway cannot tell what this writes to {what}.")


def _refuse_task_rows(write: Write) -> str | None:
    """Check XComs and state stores of tasks: each task writes its own."""
    own = belongings.slipways_dags(write.values("dag_id"), write.connection)
    rows = [row for row in write.rows if row["dag_id"] in own]
    if not rows:
        return None
    if isinstance(write.caller, TaskCaller):
        task = belongings.task_of(write.caller.task_instance_id, write.connection)
        if task is None and all(row["key"].startswith(_LINK) for row in rows):
            task = belongings.task_of_ended_try(write.caller.task_instance_id, write.connection)
        if all((row["dag_id"], row["run_id"], row["task_id"], row["map_index"]) == task for row in rows):
            return None
        return f"{write.caller} may not write for another task: each of Slipway's tasks writes its own results."
    if write.table == XComModel.__tablename__:
        return "Only Slipway's tasks write their results. Clear the task to run it again."
    return "Only Slipway's tasks write what they remember. To answer a question, use its form."


def _refuse_asset_rows(write: Write) -> str | None:
    """Check the facts on assets: a task of Slipway's writes them, and an administrator may delete them."""
    names = sorted(belongings.slipways_assets(write.values("asset_id"), write.connection).values())
    if not names:
        return None
    if isinstance(write.caller, TaskCaller):
        dag_id, _, task_id, _ = belongings.task_of(write.caller.task_instance_id, write.connection) or ("", "", "", -1)
        names = [name for name in names if not belongings.is_writer_of(name, dag_id, task_id, write.connection)]
    elif write.deletes and write.caller.administrator:
        return None
    if not names:
        return None
    facts = belongings.kept_facts(names[0])
    return (
        f"{write.caller} may not change what is {facts.what}: only {facts.writer} writes it, and only an "
        "administrator may delete it."
    )


def _refuse_deleting(caller: Caller | TaskCaller, dag_ids: set[str], connection: Connection) -> str | None:
    """Say why somebody may not delete DAGs: approvers may if there are approvals, otherwise administrators."""
    if not isinstance(caller, Caller):
        return f"{caller} may not delete a DAG of Slipway."
    # Only reads, in the connection's own transaction.
    with Session(connection, join_transaction_mode="rollback_only") as session:
        for dag_id in sorted(dag_ids - caller.deletes):
            names = approver_names(dag_id, session)
            if names and not may_all(caller.name, dag_id, session):
                return f"{caller} may not delete {dag_id}: only its approvers may ({', '.join(names)})."
            if not names and not caller.administrator:
                return f"{caller} may not delete {dag_id}, which belongs to Slipway: only an administrator may."
    caller.deletes.update(dag_ids)
    return None


def _refuse_dags(write: Write) -> str | None:
    """Check DAGs, the tag that marks Slipway's, and the tables that name their approvers.

    Airflow deletes a DAG table by table, in an order that changes: the first of these tables is checked.
    """
    if not write.deletes and write.table != DagTag.__tablename__:
        return None
    own = belongings.slipways_dags(write.values("dag_id"), write.connection)
    return _refuse_deleting(write.caller, own, write.connection) if own else None


def _refuse_connections(write: Write) -> str | None:
    """Check connections that model files name: they lead to the AWS account, its Model Registry and its models."""
    names = sorted(name for name in write.values("conn_id") if belongings.is_slipways_connection(name))
    if not names or (isinstance(write.caller, Caller) and write.caller.administrator):
        return None
    return f"{write.caller} may not change the connection {', '.join(names)}: only an administrator may."


def _refuse_variables(write: Write) -> str | None:
    """Check Slipway's variables, which its own tasks write."""
    names = sorted(write.values("key") & belongings.VARIABLES)
    if not names:
        return None
    if isinstance(write.caller, TaskCaller):
        task = belongings.task_of(write.caller.task_instance_id, write.connection)
        if task and belongings.slipways_dags({task[0]}, write.connection):
            return None
    elif write.caller.administrator:
        return None
    return f"{write.caller} may not change the variable {', '.join(names)}: only an administrator may."


@dataclass(frozen=True)
class _Rule:
    """The columns that say whose rows these are, and the check of a write."""

    columns: tuple[str, ...]
    refusal: Callable[[Write], str | None]


_TASK_ROWS = _Rule(("dag_id", "run_id", "task_id", "map_index", "key"), _refuse_task_rows)
_RULES: dict[str, _Rule] = {
    XComModel.__tablename__: _TASK_ROWS,
    TaskStateStoreModel.__tablename__: _TASK_ROWS,
    AssetStateStoreModel.__tablename__: _Rule(("asset_id",), _refuse_asset_rows),
    **{
        model.__tablename__: _Rule(("dag_id",), _refuse_dags)
        for model in (DagModel, DagTag, DagVersion, SerializedDagModel)
    },
    AirflowConnection.__tablename__: _Rule(("conn_id",), _refuse_connections),
    Variable.__tablename__: _Rule(("key",), _refuse_variables),
}
_WRITES = re.compile(rf"^\s*(?!select\b).*\b(?P<table>{'|'.join(map(re.escape, _RULES))})\b", re.IGNORECASE | re.DOTALL)
