"""What has been decided about each route of Airflow that does not only read.

A route that is not here fails test_decisions.py: look at what it writes, then add it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from slipway.source.uploads import STATE_KEY
from slipway.training.owner import INSTANCE_VARIABLE
from tests.unit.guard.real_server import IRIS, RUN


@dataclass(frozen=True)
class Harmless:
    """Everybody whom Airflow allows may do it: it approves nothing and hides nothing.

    :param why: what it comes to
    """

    why: str


@dataclass(frozen=True)
class Guarded:
    """Refused to everybody but approvers or the owner, as this request shows.

    :param target: the path with Slipway's own things in it
    :param body: a body that Airflow would take
    :param status: how it is refused
    """

    target: str
    body: Any = None
    status: int = 403


READS = Harmless("reads")
STOPS_AT_MOST = Harmless("holds work up at most, as whoever may edit runs can")
OWN_TASK = Harmless("Airflow itself compares the token with the task instance in the path")

_RUN = f"/api/v2/dags/{IRIS}/dagRuns/{RUN}"
_TASKS = f"{_RUN}/taskInstances"
_KEY = {"dag_id": IRIS, "dag_run_id": RUN, "task_id": "approve", "map_index": -1}
_SUCCESS = {"new_state": "success"}
_CLEAR = {"dry_run": False, "only_failed": False}
_AWS = {"connection_id": "aws_default", "conn_type": "aws", "host": "another"}
_VARIABLE = {"key": INSTANCE_VARIABLE, "value": "another"}
_ASSET = "/api/v2/assets/{asset}/state-store"
_BY_NAME, _BY_URI = "name={asset_name}", "uri={asset_uri}"


def _update(entity: Any) -> Any:
    return {"actions": [{"action": "update", "entities": [entity]}]}


PUBLIC: dict[str, Harmless | Guarded] = {
    "POST /auth/token": Harmless("logs in"),
    "POST /auth/token/cli": Harmless("logs in"),
    "POST /ui/auth/token": Harmless("a token for oneself"),
    "POST /api/v2/assets/events": Harmless("the intake looks at the bucket once more"),
    "POST /api/v2/assets/{asset_id}/materialize": Harmless("no task makes an asset of Slipway's"),
    "DELETE /api/v2/assets/{asset_id}/queuedEvents": STOPS_AT_MOST,
    "DELETE /api/v2/dags/{dag_id}/assets/queuedEvents": STOPS_AT_MOST,
    "DELETE /api/v2/dags/{dag_id}/assets/{asset_id}/queuedEvents": STOPS_AT_MOST,
    "PUT /api/v2/assets/{asset_id}/state-store/{key:path}": Guarded(f"{_ASSET}/{STATE_KEY}", {"value": "x"}),
    "DELETE /api/v2/assets/{asset_id}/state-store/{key:path}": Guarded(f"{_ASSET}/{STATE_KEY}"),
    "DELETE /api/v2/assets/{asset_id}/state-store": Guarded(_ASSET),
    "PUT /api/v2/backfills/{backfill_id}/pause": STOPS_AT_MOST,
    "PUT /api/v2/backfills/{backfill_id}/unpause": STOPS_AT_MOST,
    "PUT /api/v2/backfills/{backfill_id}/cancel": STOPS_AT_MOST,
    "POST /api/v2/backfills": Harmless("Slipway's DAGs have no schedule of dates to fill"),
    "POST /api/v2/backfills/dry_run": READS,
    "POST /api/v2/connections": Guarded("/api/v2/connections", {**_AWS, "connection_id": "aws_default"}),
    "PATCH /api/v2/connections": Guarded("/api/v2/connections", _update(_AWS)),
    "PATCH /api/v2/connections/{connection_id}": Guarded("/api/v2/connections/aws_default", _AWS),
    "DELETE /api/v2/connections/{connection_id}": Guarded("/api/v2/connections/aws_default"),
    "POST /api/v2/connections/test": Harmless("changes no connection"),
    "POST /api/v2/connections/enqueue-test": Harmless("what a success would write is refused at the connection"),
    "POST /api/v2/connections/defaults": Harmless("adds what is missing, and is refused where that is Slipway's"),
    "PATCH /api/v2/dags": STOPS_AT_MOST,
    "PATCH /api/v2/dags/{dag_id}": STOPS_AT_MOST,
    "DELETE /api/v2/dags/{dag_id}": Guarded(f"/api/v2/dags/{IRIS}"),
    "POST /api/v2/dags/{dag_id}/favorite": Harmless("a mark for oneself"),
    "POST /api/v2/dags/{dag_id}/unfavorite": Harmless("a mark for oneself"),
    "POST /api/v2/dags/{dag_id}/dagRuns": Guarded(
        f"/api/v2/dags/{IRIS}/dagRuns", {"logical_date": None, "conf": {"roll_back_to": "previous"}}
    ),
    "PATCH /api/v2/dags/{dag_id}/dagRuns": Guarded(
        f"/api/v2/dags/{IRIS}/dagRuns", _update({"dag_run_id": RUN, "state": "success"})
    ),
    "PATCH /api/v2/dags/{dag_id}/dagRuns/{dag_run_id}": Guarded(_RUN, {"state": "success"}),
    "DELETE /api/v2/dags/{dag_id}/dagRuns/{dag_run_id}": Guarded(_RUN),
    "POST /api/v2/dags/{dag_id}/dagRuns/list": READS,
    "POST /api/v2/dags/{dag_id}/dagRuns/{dag_run_id}/clear": Guarded(f"{_RUN}/clear", _CLEAR),
    "POST /api/v2/dags/{dag_id}/clearDagRuns": Guarded(
        f"/api/v2/dags/{IRIS}/clearDagRuns", {**_CLEAR, "dag_runs": [{"dag_id": IRIS, "dag_run_id": RUN}]}
    ),
    "POST /api/v2/dags/{dag_id}/clearPartitions": Guarded(
        f"/api/v2/dags/{IRIS}/clearPartitions", {"run_id": RUN, "clear_task_instances": True, "dry_run": False}
    ),
    "POST /api/v2/dags/{dag_id}/clearTaskInstances": Guarded(
        f"/api/v2/dags/{IRIS}/clearTaskInstances", {**_CLEAR, "dag_run_id": RUN, "task_ids": ["approve"]}
    ),
    "POST /api/v2/dags/{dag_id}/dagRuns/{dag_run_id}/taskInstances/list": READS,
    "PATCH /api/v2/dags/{dag_id}/dagRuns/{dag_run_id}/taskInstances": Guarded(_TASKS, _update({**_KEY, **_SUCCESS})),
    "PATCH /api/v2/dags/{dag_id}/dagRuns/{dag_run_id}/taskInstances/{task_id}": Guarded(f"{_TASKS}/approve", _SUCCESS),
    "PATCH /api/v2/dags/{dag_id}/dagRuns/{dag_run_id}/taskInstances/{task_id}/{map_index}": Guarded(
        f"{_TASKS}/approve/-1", _SUCCESS
    ),
    "DELETE /api/v2/dags/{dag_id}/dagRuns/{dag_run_id}/taskInstances/{task_id}": Guarded(f"{_TASKS}/approve"),
    "PATCH /api/v2/dags/{dag_id}/dagRuns/{dag_run_id}/taskInstances/{task_id}/dry_run": Guarded(
        f"{_TASKS}/approve/dry_run", _SUCCESS
    ),
    "PATCH /api/v2/dags/{dag_id}/dagRuns/{dag_run_id}/taskInstances/{task_id}/{map_index}/dry_run": Guarded(
        f"{_TASKS}/approve/-1/dry_run", _SUCCESS
    ),
    "PATCH /api/v2/dags/{dag_id}/dagRuns/{dag_run_id}/taskGroupInstances/{group_id}": Guarded(
        f"{_RUN}/taskGroupInstances/3_approval", _SUCCESS
    ),
    "PATCH /api/v2/dags/{dag_id}/dagRuns/{dag_run_id}/taskGroupInstances/{group_id}/dry_run": READS,
    "PATCH /api/v2/dags/{dag_id}/dagRuns/{dag_run_id}/taskInstances/{task_id}/{map_index}/hitlDetails": Guarded(
        f"{_TASKS}/approve/-1/hitlDetails", {"chosen_options": ["Approve"], "params_input": {}}
    ),
    "PUT /api/v2/dags/{dag_id}/dagRuns/{dag_run_id}/taskInstances/{task_id}/state-store/{key:path}": Guarded(
        f"{_TASKS}/approve/state-store/answer/0", {"value": {"approve": True, "by": "alice"}}
    ),
    "PATCH /api/v2/dags/{dag_id}/dagRuns/{dag_run_id}/taskInstances/{task_id}/state-store/{key:path}": Guarded(
        f"{_TASKS}/approve/state-store/asked", {"value": {}}
    ),
    "DELETE /api/v2/dags/{dag_id}/dagRuns/{dag_run_id}/taskInstances/{task_id}/state-store/{key:path}": Guarded(
        f"{_TASKS}/approve/state-store/asked"
    ),
    "DELETE /api/v2/dags/{dag_id}/dagRuns/{dag_run_id}/taskInstances/{task_id}/state-store": Guarded(
        f"{_TASKS}/approve/state-store"
    ),
    "POST /api/v2/dags/{dag_id}/dagRuns/{dag_run_id}/taskInstances/{task_id}/xcomEntries": Guarded(
        f"{_TASKS}/approve/xcomEntries", {"key": "return_value", "value": {"decision": "Approved"}}
    ),
    "PATCH /api/v2/dags/{dag_id}/dagRuns/{dag_run_id}/taskInstances/{task_id}/xcomEntries/{xcom_key:path}": Guarded(
        f"{_TASKS}/process_request/xcomEntries/return_value", {"value": {}}
    ),
    "DELETE /api/v2/dags/{dag_id}/dagRuns/{dag_run_id}/taskInstances/{task_id}/xcomEntries/{xcom_key:path}": Guarded(
        f"{_TASKS}/process_request/xcomEntries/return_value"
    ),
    "PUT /api/v2/parseDagFile/{file_token}": Harmless("parses a file sooner"),
    "POST /api/v2/pools": STOPS_AT_MOST,
    "PATCH /api/v2/pools": STOPS_AT_MOST,
    "PATCH /api/v2/pools/{pool_name:path}": STOPS_AT_MOST,
    "DELETE /api/v2/pools/{pool_name:path}": STOPS_AT_MOST,
    # It exists already; test_writes.py writes it for the first time.
    "POST /api/v2/variables": Guarded("/api/v2/variables", _VARIABLE, 409),
    "PATCH /api/v2/variables": Guarded("/api/v2/variables", _update(_VARIABLE)),
    "PATCH /api/v2/variables/{variable_key:path}": Guarded(f"/api/v2/variables/{INSTANCE_VARIABLE}", _VARIABLE),
    "DELETE /api/v2/variables/{variable_key:path}": Guarded(f"/api/v2/variables/{INSTANCE_VARIABLE}"),
}
# Below /execution, with the token of a task of somebody else's DAG.
WORKERS: dict[str, Harmless | Guarded] = {
    "PATCH /connection-tests/{connection_test_id}": Harmless("what a success writes is refused at the connection"),
    "POST /dag-runs/{dag_id}/{run_id}": Guarded(f"/dag-runs/{IRIS}/s3__1", {"conf": {}}),
    "POST /dag-runs/{dag_id}/{run_id}/clear": Guarded(f"/dag-runs/{IRIS}/{RUN}/clear"),
    "PATCH /task-instances/{task_instance_id}/run": OWN_TASK,
    "PATCH /task-instances/{task_instance_id}/state": OWN_TASK,
    "PATCH /task-instances/{task_instance_id}/skip-downstream": OWN_TASK,
    "PUT /task-instances/{task_instance_id}/heartbeat": OWN_TASK,
    "PUT /task-instances/{task_instance_id}/rtif": OWN_TASK,
    "PATCH /task-instances/{task_instance_id}/rendered-map-index": OWN_TASK,
    "PUT /variables/{variable_key:path}": Guarded(f"/variables/{INSTANCE_VARIABLE}", {"value": "another"}),
    "DELETE /variables/{variable_key:path}": Guarded(f"/variables/{INSTANCE_VARIABLE}"),
    "POST /xcoms/{dag_id}/{run_id}/{task_id}/{key:path}": Guarded(f"/xcoms/{IRIS}/{RUN}/approve/return_value", "1"),
    "DELETE /xcoms/{dag_id}/{run_id}/{task_id}/{key:path}": Guarded(
        f"/xcoms/{IRIS}/{RUN}/process_request/return_value"
    ),
    "POST /hitlDetails/{task_instance_id}": OWN_TASK,
    "PATCH /hitlDetails/{task_instance_id}": Guarded(
        "/hitlDetails/{approve}", {"chosen_options": ["Approve"], "params_input": {}}
    ),
    "PUT /store/ti/{task_instance_id}/{key:path}": Guarded("/store/ti/{approve}/answer/0", {"value": {}}),
    "DELETE /store/ti/{task_instance_id}/{key:path}": Guarded("/store/ti/{approve}/asked"),
    "DELETE /store/ti/{task_instance_id}": Guarded("/store/ti/{approve}"),
    "PUT /store/asset/by-name/value": Guarded(f"/store/asset/by-name/value?{_BY_NAME}&key={STATE_KEY}", {"value": "x"}),
    "DELETE /store/asset/by-name/value": Guarded(f"/store/asset/by-name/value?{_BY_NAME}&key={STATE_KEY}"),
    "DELETE /store/asset/by-name/clear": Guarded(f"/store/asset/by-name/clear?{_BY_NAME}"),
    "PUT /store/asset/by-uri/value": Guarded(f"/store/asset/by-uri/value?{_BY_URI}&key={STATE_KEY}", {"value": "x"}),
    "DELETE /store/asset/by-uri/value": Guarded(f"/store/asset/by-uri/value?{_BY_URI}&key={STATE_KEY}"),
    "DELETE /store/asset/by-uri/clear": Guarded(f"/store/asset/by-uri/clear?{_BY_URI}"),
}
