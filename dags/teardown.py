"""Teardown of one model: removes its stacks, endpoints, configs and models, and the record of its releases on request.

The task nothing_left lists what is kept, each with the command that removes it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, Param

from slipway.cleanup.teardown import NothingLeftOperator, TeardownOperator
from slipway.cleanup.teardown_order import MODEL, REMOVE, REMOVE_RECORD
from slipway.model.files import load_models
from slipway.names import DAG_TAG, TEARDOWN_DAG_ID
from slipway.paths import models_folder

models, _ = load_models(models_folder())
# An empty enum is not a valid JSON schema.
choice: dict[str, Any] = {"enum": sorted(model.prefix for model in models)} if models else {}

with DAG(
    dag_id=TEARDOWN_DAG_ID,
    schedule=None,
    catchup=False,
    is_paused_upon_creation=False,
    max_active_runs=1,
    tags=[DAG_TAG],
    doc_md=__doc__,
    params={
        MODEL: Param(
            type="string",
            title="Model",
            minLength=1,
            **choice,
            description="The model to remove from AWS: development and production.",
        ),
        "confirm": Param(
            type="string",
            title="The model's name again",
            minLength=1,
            description="Type the name to confirm. The endpoints stop answering at once. Only the model's approvers "
            "may do this.",
        ),
        REMOVE_RECORD: Param(
            False,
            type="boolean",
            title="Remove the record too",
            description="Also remove the model packages, with who approved what and when. There is no copy.",
        ),
    },
):
    remove = TeardownOperator(task_id=REMOVE, retries=3, retry_delay=timedelta(seconds=10))
    nothing_left = NothingLeftOperator(task_id="nothing_left", retries=1, retry_delay=timedelta(seconds=10))
    remove >> nothing_left
