"""Refuses the form of a release, or of a build of an image, that makes no sense, before its run starts."""

from __future__ import annotations

import json

from airflow.models.dagrun import DagRun
from fastapi import HTTPException, status
from sqlalchemy.orm import Session

from slipway.guard.approvals import form_fields
from slipway.names import AUTO_RUN_PREFIX
from slipway.source.form import NEW_ATTEMPT, VERSION_ID, form_problem

# The fields of every DAG whose runs are made from an upload.
_OF_UPLOADS = {VERSION_ID, NEW_ATTEMPT}


def check_form(run: DagRun, session: Session) -> None:
    """Refuse a run whose form says what its DAG cannot do; an upload's run is the intake's, which fills it in.

    :param run: the run that is to be started
    :param session: the session whose flush is under way
    :raises fastapi.HTTPException: 400 that names the field and the fix, as Airflow answers to a form that it refuses
    """
    if run.run_id.startswith(AUTO_RUN_PREFIX) or not run.conf:
        return
    fields = form_fields(run.dag_id, session)
    if fields >= _OF_UPLOADS and (problem := form_problem(run.conf, fields)):
        raise HTTPException(status.HTTP_400_BAD_REQUEST, problem)


def refused_form(dag_id: str, body: bytes, session: Session) -> str | None:
    """Say in a sentence why Airflow has refused a form; its own words are a pattern and the field's schema.

    :param dag_id: the DAG that was to be triggered
    :param body: the request's body
    :param session: Airflow's database
    :returns: None where Airflow's own answer stays
    """
    fields = form_fields(dag_id, session)
    try:
        document = json.loads(body)
    except ValueError:
        return None
    conf = document.get("conf") if isinstance(document, dict) else None
    return form_problem(conf, fields) if fields >= _OF_UPLOADS and isinstance(conf, dict) else None
