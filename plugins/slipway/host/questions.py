"""The questions that Airflow shows on its page of required actions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any
from uuid import UUID

from airflow.sdk.exceptions import AirflowRuntimeError


def put_question(
    *, ti_id: UUID, options: Sequence[str], subject: str, body: str | None, params: Mapping[str, Any]
) -> None:
    """Put a task's question, or put it again: Airflow then forgets the answer that it shows.

    :param ti_id: the task instance that asks
    :param options: the answers to choose from
    :param subject: the question
    :param body: what to know before answering, as Markdown
    :param params: the fields of the form, serialized
    :raises airflow.sdk.exceptions.AirflowRuntimeError: when the API server does not answer
    """
    from airflow.sdk.execution_time.hitl import upsert_hitl_detail

    upsert_hitl_detail(ti_id=ti_id, options=list(options), subject=subject, body=body, params=dict(params))


def is_answered(ti_id: str) -> bool | None:
    """Ask whether a task's question has an answer.

    :param ti_id: the task instance that asks
    :returns: None when Airflow has no question of this task instance
    :raises airflow.sdk.exceptions.AirflowRuntimeError: when the API server does not answer
    """
    from airflow.sdk.execution_time.hitl import get_hitl_detail_content_detail

    try:
        return get_hitl_detail_content_detail(ti_id=UUID(ti_id)).response_received
    except AirflowRuntimeError as error:
        if (error.error.detail or {}).get("status_code") == HTTPStatus.NOT_FOUND:
            return None
        raise
