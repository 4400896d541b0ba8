"""The few requests about an approval that a flush does not show, told by their paths."""

from __future__ import annotations

import re

from airflow.models.taskinstance import TaskInstance
from airflow.utils.session import create_session
from sqlalchemy import select

from slipway.approval_guard.approvals import GuardedApproval, is_approval, rules_by_task
from slipway.approval_guard.caller import Caller
from slipway.people import likeness

# As Starlette matches them: on the decoded path, a parameter without a slash.
# https://airflow.apache.org/docs/apache-airflow/stable/stable-rest-api-ref.html
_DAG = r"/api/v2/dags/(?P<dag>[^/]+)"
_TASK = _DAG + r"/dagRuns/(?P<run>[^/]+)/taskInstances/(?P<task>[^/]+)"
_MARK = re.compile(_TASK + r"(/-?\d+)?")
_DRY_RUN = re.compile(_TASK + r"(/-?\d+)?/dry_run")
_ANSWER = re.compile(_TASK + r"/(?P<map_index>-?\d+)/hitlDetails")
_XCOM = re.compile(_TASK + r"/xcomEntries(/.*)?")
_STATE_STORE = re.compile(_TASK + r"/state-store(/.*)?")
_WHOLE_DAG = re.compile(_DAG)


def marked(method: str, path: str) -> tuple[str, str, str] | None:
    """Tell which task a request sets the state of, if it names one and no others.

    :param method: the HTTP method
    :param path: the path behind the server's root
    :returns: DAG id, run id and task id
    """
    found = _MARK.fullmatch(path) if method == "PATCH" else None
    return (found["dag"], found["run"], found["task"]) if found else None


def needs_check(method: str, path: str) -> bool:
    """:returns: whether ``refusal`` has anything to say about such a request"""
    return any(pattern.fullmatch(path) for pattern in (_DRY_RUN, _XCOM, _STATE_STORE)) or (
        method == "DELETE" and _WHOLE_DAG.fullmatch(path) is not None
    )


def refusal(path: str, caller: Caller) -> str | None:
    """Say why a request is refused. Looks into the database.

    :param path: a path for which ``needs_check`` holds
    :param caller: who asks
    :returns: the reason; None when it may go on
    """
    found = re.match(_DAG, path)
    assert found is not None  # noqa: S101 (needs_check)
    with create_session(scoped=False) as session:
        approvals = rules_by_task(found["dag"], session)
    if not approvals:
        return None
    approvers = sorted({name for rules in approvals.values() if rules for name in rules.approvers})
    if _XCOM.fullmatch(path):
        return "What a release's tasks have found out is written by themselves alone. Clear the task to run it again."
    if _STATE_STORE.fullmatch(path):
        return "What a release's tasks remember is written by themselves; answers come through the question alone."
    if (dry := _DRY_RUN.fullmatch(path)) and dry["task"] not in approvals:
        return None
    if caller.name in approvers:
        return None
    why = f"only its approvers may ({', '.join(approvers)}).{likeness(caller.name, approvers)}"
    return f"{caller} may not do this to an approval: {why}"


def answered(method: str, path: str) -> re.Match[str] | None:
    """:returns: the parts of a path by which a question is answered"""
    return _ANSWER.fullmatch(path) if method == "PATCH" else None


def who_was_first(found: re.Match[str]) -> str | None:
    """Say who has answered a question already. Looks into the database.

    :param found: what ``answered`` returned
    :returns: who decided what; None when this is no approval of Slipway's, or nobody has
    """
    statement = select(TaskInstance).where(
        TaskInstance.dag_id == found["dag"],
        TaskInstance.run_id == found["run"],
        TaskInstance.task_id == found["task"],
        TaskInstance.map_index == int(found["map_index"]),
    )
    with create_session(scoped=False) as session:
        ti = session.scalar(statement)
        if ti is None or not is_approval(ti):
            return None
        approval = GuardedApproval(ti, session)
        question = approval.question()
        first = question and (approval.decided(question) or approval.answer(question))
    return f"This is decided: {first}." if first else None
