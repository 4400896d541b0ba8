"""Questions, as Airflow answers in the task's own channel."""

from types import SimpleNamespace
from uuid import uuid4

import pytest
from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
from airflow.sdk.execution_time import hitl
from airflow.sdk.execution_time.comms import ErrorResponse

from slipway.host.questions import is_answered, put_question

TASK = uuid4()


@pytest.mark.parametrize("received", [True, False])
def test_a_question_is_answered_or_not(monkeypatch, received):
    asked = []
    detail = SimpleNamespace(response_received=received)
    monkeypatch.setattr(hitl, "get_hitl_detail_content_detail", lambda ti_id: asked.append(ti_id) or detail)
    assert is_answered(str(TASK)) is received
    assert asked == [TASK]


@pytest.mark.parametrize("status", [404, 503])
def test_a_missing_question_is_told_from_an_api_server_that_is_away(monkeypatch, status):
    def refuse(ti_id):
        raise AirflowRuntimeError(ErrorResponse(error=ErrorType.API_SERVER_ERROR, detail={"status_code": status}))

    monkeypatch.setattr(hitl, "get_hitl_detail_content_detail", refuse)
    if status == 404:
        assert is_answered(str(TASK)) is None
    else:
        with pytest.raises(AirflowRuntimeError, match="503"):
            is_answered(str(TASK))


def test_a_question_reaches_airflow_as_it_is_put(monkeypatch):
    put = []
    monkeypatch.setattr(hitl, "upsert_hitl_detail", lambda **detail: put.append(detail))
    question = {"ti_id": TASK, "options": ["Approve"], "subject": "?", "body": None, "params": {"comment": ""}}
    put_question(**question)
    assert put == [question]
