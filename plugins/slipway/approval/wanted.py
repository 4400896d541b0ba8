"""Messages to the approvers: that they are asked, and a reminder at half of the time."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from slipway.approval.answers import Question
from slipway.host.links import run_url
from slipway.model.approval_rules import Rules
from slipway.notices.news import version_of
from slipway.notices.send import Message, Notice, Notices

if TYPE_CHECKING:
    from airflow.sdk import Context

# A message that failed is sent again after the first of these, and later after a tenth of the time that it has failed
# for, at most after the second: each attempt takes a worker for a moment, and a receiver may be wrong for days.
_RETRY_SECONDS, _RETRY_LIMIT_SECONDS = 60.0, 600.0


def tell_wanted(
    notices: Notices,
    context: Context,
    question: Question,
    *,
    title: str,
    rules: Rules,
    ends_at: float,
    otherwise: str,
    aws_conn_id: str | None,
) -> float | None:
    """Send the messages that are due.

    :param notices: the receivers
    :param context: the task's Airflow context
    :param question: the open question
    :param title: the question in words
    :param rules: who may answer
    :param ends_at: the deadline, in seconds since the epoch
    :param otherwise: what happens without an answer
    :param aws_conn_id: Airflow connection with the AWS credentials
    :returns: when to call this again, in seconds since the epoch; None for never
    """
    if not notices:
        return None
    ti = context["ti"]
    wanted = f"{rules.wanted(question.approvals)}, until {utc(ends_at)}"

    def send(notice: Notice, key: str) -> bool:
        message = Message(
            notice,
            f"{notice.value}/{key}",
            ti.dag_id,
            title,
            f"{run_url(ti.dag_id, ti.run_id)}/tasks/{ti.task_id}/required_actions",
            version=version_of(context),
            stage=ti.task_id,
            reason=wanted,
            fix=f"open the link and answer; without an answer by then {otherwise}",
        )
        return notices.send(message, context, aws_conn_id)

    half_time = (question.at + ends_at) / 2
    # The stage that is open was asked for when the last approval came.
    asked_at = max([question.at, *(datetime.fromisoformat(one.at).timestamp() for one in question.approvals)])
    stage = rules.open_stage(question.approvals)
    told = send(Notice.WANTED, f"{question.at}/{stage and stage.name}")
    if time.time() < half_time:
        return half_time if told else min(half_time, _retry_at(asked_at, ends_at))
    told = send(Notice.REMINDER, f"{question.at}") and told
    return None if told else _retry_at(max(half_time, asked_at), ends_at)


def _retry_at(due: float, ends_at: float) -> float:
    """Return when a message that failed is sent again: the longer it fails the less often, but more often near the end.

    :param due: when it was to be sent, in seconds since the epoch
    :param ends_at: the deadline of the question, as well
    """
    now = time.time()
    pause = min((now - due) / 10, (ends_at - now) / 10, _RETRY_LIMIT_SECONDS)
    return now + max(pause, _RETRY_SECONDS)


def utc(seconds: float) -> str:
    """Write a moment for people."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="minutes")
