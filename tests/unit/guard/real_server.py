"""Airflow's own API server in this process, with the guard around it, on a database with a release that waits."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from uuid import UUID

import anyio
from airflow import models, settings
from airflow.api_fastapi.app import create_app, get_auth_manager, purge_cached_app
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
from airflow.api_fastapi.execution_api.app import _jwt_generator
from airflow.dag_processing.bundles.manager import DagBundlesManager
from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
from airflow.models.asset import AssetModel
from airflow.models.asset_state_store import AssetStateStoreModel
from airflow.models.base import Base
from airflow.models.connection import Connection
from airflow.models.dag import DagTag
from airflow.models.dagrun import DagRun
from airflow.models.hitl import HITLDetail
from airflow.models.task_state_store import TaskStateStoreModel
from airflow.models.taskinstance import TaskInstance
from airflow.models.variable import Variable
from airflow.models.xcom import XComModel
from airflow.plugins_manager import _get_plugins, get_fastapi_plugins
from airflow.utils.db import add_default_pool_if_not_exists, synchronize_log_template
from airflow.utils.session import create_session
from airflow.utils.state import TaskInstanceState
from anyio.from_thread import BlockingPortal, start_blocking_portal
from sqlalchemy import func, insert, or_, select, update

from slipway.approval.answers import QUESTION, Question
from slipway.guard.approvals import APPROVAL_OPERATOR
from slipway.guard.flush import unguard_flushes
from slipway.guard.writes import unguard_statements
from slipway.names import AUTO_RUN_PREFIX
from slipway.source.uploads import ASSET_PREFIX, STATE_KEY
from slipway.training.owner import INSTANCE_VARIABLE
from tests.conftest import ROOT

IRIS, RUN, FOREIGN = "iris-model", "manual__1", "somebody-elses"
PACKAGE = "arn:aws:sagemaker:us-west-2:123456789012:model-package/mlops-iris-model/1"
# The same as tools/environment.py gives them.
ROLES = {"admin": "admin", "alice": "op", "carol": "op", "bob": "op"}
SETTINGS = {
    "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(f"{name}:{role}" for name, role in ROLES.items()),
    "AIRFLOW__API_AUTH__JWT_SECRET": "x" * 64,
    "AIRFLOW__API__SECRET_KEY": "y" * 64,
}
# What nobody else may change. Everybody may add a run, or a connection of another name.
_WATCHED = {
    "XComs": select(XComModel.__table__),
    "what tasks remember": select(TaskStateStoreModel.__table__),
    "what the intake knows": select(AssetStateStoreModel.__table__),
    "questions": select(HITLDetail.__table__),
    "tags": select(DagTag.__table__),
    "connections": select(Connection.__table__).where(Connection.conn_id == "aws_default"),
    "variables": select(Variable.__table__).where(Variable.key == INSTANCE_VARIABLE),
    "approvals": select(TaskInstance.id, TaskInstance.state).where(
        TaskInstance.operator == APPROVAL_OPERATOR, TaskInstance.run_id == RUN
    ),
    "runs": select(DagRun.id, DagRun.run_id).where(
        or_(DagRun.run_id == RUN, func.substr(DagRun.run_id, 1, len(AUTO_RUN_PREFIX)) == AUTO_RUN_PREFIX)
    ),
}
_FOREIGN_DAG = f"""
from airflow.sdk import DAG, task
with DAG("{FOREIGN}", schedule=None):
    @task
    def first(): ...
    first()
"""


@dataclass
class RealServer:
    """The server, and what the tests know of its database."""

    app: Any
    portal: BlockingPortal
    asset_id: int
    asset_name: str
    tasks: dict[tuple[str, str], UUID]

    def asset(self, prefix: str) -> tuple[int, str]:
        """Return id and name of the asset whose name begins in this way."""
        return _asset(prefix)

    def send(
        self,
        method: str,
        target: str,
        body: Any = None,
        *,
        user: str | None = "bob",
        headers: dict[str, str] | None = None,
    ) -> tuple[int, Any]:
        """Send a request as uvicorn would pass it on, with its path unchanged.

        :param target: path and query as they stand in the request line
        :param user: whose token it bears
        :returns: the status, and the decoded answer
        """
        given = {"content-type": "application/json", **(headers or {})}
        if user:
            given["authorization"] = f"Bearer {self.token(user)}"
        return self.portal.call(self._send, method, target, body, given)

    def works(self, method: str, target: str, body: Any = None, *, task: tuple[str, str]) -> tuple[int, Any]:
        """Send a request below /execution with the token of a task."""
        return self.sends_as(self.tasks[task], "execution", method, target, body)

    def sends_as(self, subject: UUID, scope: str, method: str, target: str, body: Any = None) -> tuple[int, Any]:
        """Send a request below /execution with any of the tokens that Airflow gives its workers."""
        token = _jwt_generator().generate({"sub": str(subject), "scope": scope})
        return self.send(method, f"/execution{target}", body, user=None, headers={"authorization": f"Bearer {token}"})

    def token(self, user: str) -> str:
        return get_auth_manager().generate_jwt(SimpleAuthManagerUser(username=user, role=ROLES[user]))

    async def _send(self, method: str, target: str, body: Any, headers: dict[str, str]) -> tuple[int, Any]:
        raw, _, query = target.partition("?")
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": unquote(raw),
            "raw_path": raw.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
            "server": ("127.0.0.1", 8080),
            "client": ("127.0.0.1", 50000),
            "state": {},
        }
        sent: list[Any] = []
        payload = b"" if body is None else json.dumps(body).encode()

        unread = [{"type": "http.request", "body": payload}]

        async def receive() -> Any:
            return unread.pop() if unread else await anyio.sleep_forever()

        async def send(message: Any) -> None:
            sent.append(message)

        await self.app(scope, receive, send)
        self.headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        text = b"".join(message.get("body", b"") for message in sent[1:])
        try:
            return sent[0]["status"], json.loads(text)
        except ValueError:
            return sent[0]["status"], text

    def watched(self) -> dict[str, list[Any]]:
        """What only its owner may change, as it is now."""
        with create_session(scoped=False) as session:
            return {name: [tuple(row) for row in session.execute(rows)] for name, rows in _WATCHED.items()}


@contextmanager
def serving() -> Iterator[RealServer]:
    """Make the database, start the server, and remove both afterwards."""
    before = {name: os.environ.get(name) for name in SETTINGS}
    os.environ.update(SETTINGS)
    with ExitStack() as stack:
        stack.callback(_restore, before)
        models.import_all_models()
        Base.metadata.create_all(settings.engine)
        stack.callback(Base.metadata.drop_all, settings.engine)
        synchronize_log_template()
        add_default_pool_if_not_exists()
        stack.callback(unguard_statements)
        stack.callback(unguard_flushes)
        for cache in (_get_plugins, get_fastapi_plugins):
            cache.cache_clear()
        purge_cached_app()
        app = create_app()
        _parse_dags(Path(os.environ["AIRFLOW_HOME"]) / "foreign")
        portal = stack.enter_context(start_blocking_portal())
        stack.enter_context(portal.wrap_async_context_manager(app.router.lifespan_context(app)))
        server = RealServer(app, portal, *_asset(), {})
        _release(server)
        yield server


def _restore(before: dict[str, str | None]) -> None:
    for name, value in before.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def _parse_dags(foreign: Path) -> None:
    foreign.mkdir(exist_ok=True)
    (foreign / "foreign.py").write_text(_FOREIGN_DAG)
    DagBundlesManager().sync_bundles_to_db()
    for folder in (ROOT / "dags", foreign):
        sync_bag_to_db(DagBag(str(folder), bundle_path=folder, bundle_name="dags-folder"), "dags-folder", None)


def _asset(prefix: str = ASSET_PREFIX) -> tuple[int, str]:
    with create_session() as session:
        found = session.execute(select(AssetModel.id, AssetModel.name).where(AssetModel.name.startswith(prefix))).one()
    return found.id, found.name


def _release(server: RealServer) -> None:
    """A release that asks its approvers, beside runs of other DAGs."""
    for dag_id in (IRIS, "intake", "live", "drift", FOREIGN):
        body = {"dag_run_id": RUN, "logical_date": None}
        status, answer = server.send("POST", f"/api/v2/dags/{dag_id}/dagRuns", body, user="alice")
        assert status == 200, answer
    with create_session() as session:
        approve = (TaskInstance.dag_id == IRIS, TaskInstance.task_id == "approve")
        session.execute(update(TaskInstance).where(*approve).values(state=TaskInstanceState.DEFERRED))
        rows = session.execute(select(TaskInstance.dag_id, TaskInstance.task_id, TaskInstance.id))
        server.tasks.update({(row.dag_id, row.task_id): row.id for row in rows})
        run = session.scalars(select(DagRun.id).where(DagRun.dag_id == IRIS)).one()
        of_run = {"dag_run_id": run, "dag_id": IRIS, "run_id": RUN, "map_index": -1}
        asked = json.dumps(Question(5.0, PACKAGE).to_json())
        session.execute(
            insert(TaskStateStoreModel.__table__).values(**of_run, task_id="approve", key=QUESTION, value=asked)
        )
        session.execute(
            insert(XComModel.__table__).values(**of_run, task_id="process_request", key="return_value", value={"a": 1})
        )
        session.add(
            HITLDetail(
                ti_id=server.tasks[IRIS, "approve"],
                options=["Approve", "Reject"],
                subject="?",
                body="facts",
                params={},
                multiple=False,
                assignees=[],
            )
        )
        state = json.dumps({"done": {}, "announced": {}})
        session.add(AssetStateStoreModel(asset_id=server.asset_id, key=STATE_KEY, value=state))
        session.add(Connection(conn_id="aws_default", conn_type="aws"))
        session.add(Connection(conn_id="bobs", conn_type="http"))
        session.add(Variable(key=INSTANCE_VARIABLE, val="tests"))
