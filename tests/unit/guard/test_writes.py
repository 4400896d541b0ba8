"""Who may write what Slipway remembers; on Airflow's own server."""

import json
from functools import partial
from uuid import uuid4

import pytest
from airflow.api.common import delete_dag as deleting
from airflow.models.asset_state_store import AssetStateStoreModel
from airflow.models.connection import Connection
from airflow.models.connection_test import ConnectionTestRequest, ConnectionTestState
from airflow.models.dag import DagModel, DagTag
from airflow.models.dag_version import DagVersion
from airflow.models.serialized_dag import SerializedDagModel
from airflow.models.task_state_store import TaskStateStoreModel
from airflow.models.taskinstance import TaskInstance
from airflow.models.taskinstancehistory import TaskInstanceHistory
from airflow.models.variable import Variable
from airflow.models.xcom import XComModel
from airflow.utils.session import create_session
from fastapi import HTTPException
from sqlalchemy import delete, insert, select, text, update

from slipway.deployment import drift_watch
from slipway.guard import belongings, own_writes
from slipway.guard.caller import Caller, current_caller, is_administrator
from slipway.live import snapshot
from slipway.source.uploads import STATE_KEY
from slipway.training.owner import INSTANCE_VARIABLE
from tests.unit.guard.real_server import FOREIGN, IRIS, RUN
from tests.unit.request_samples import changed, iris, write_model

OWN, OTHERS = (IRIS, "process_request"), (FOREIGN, "first")
INTAKE = ("intake", "start_releases")
SURVEY, DRIFT = ("live", "describe_everything"), ("drift", "report_drift")
ANSWER = {"dag_run_id": 1, "dag_id": IRIS, "run_id": RUN, "task_id": "approve", "map_index": -1, "key": "answer/0"}
TABLE = TaskStateStoreModel.__table__


def as_caller(who, change) -> None:
    """Change something in a request's session, and roll it back."""
    token = current_caller.set(who)
    try:
        with create_session(scoped=False) as session:
            try:
                change(session)
                session.flush()
            finally:
                session.rollback()
    finally:
        current_caller.reset(token)


def refused(who, change) -> bool:
    try:
        as_caller(who, change)
    except HTTPException as error:
        assert error.status_code == 403
        return True
    return False


@pytest.mark.parametrize(
    "change",
    [
        lambda session: session.execute(insert(TaskStateStoreModel).values(**ANSWER, value="1")),
        lambda session: session.execute(insert(TaskStateStoreModel), [{**ANSWER, "value": "1"}]),
        lambda session: session.execute(insert(TABLE).values([{**ANSWER, "value": "1"}])),
        lambda session: session.connection().execute(insert(TABLE), [{**ANSWER, "value": "1"}] * 2),
        lambda session: session.add(TaskStateStoreModel(**ANSWER, value="1")),
        lambda session: session.execute(insert(TABLE).from_select(["key"], select(TABLE.c.key))),
        lambda session: session.execute(update(TaskStateStoreModel).values(value="1")),
        lambda session: session.execute(update(TABLE).where(TABLE.c.key == "asked").values(key="answer/0")),
        lambda session: session.execute(delete(TaskStateStoreModel)),
        lambda session: [session.delete(row) for row in session.scalars(select(TaskStateStoreModel))],
        lambda session: session.execute(text("DELETE FROM task_state_store")),
        lambda session: session.connection().exec_driver_sql("update XCOM set value = '1'"),
        lambda session: session.execute(delete(XComModel).where(XComModel.key == "return_value")),
    ],
)
def test_however_it_is_written_it_is_refused(real_server, change):
    before = real_server.watched()
    assert refused(Caller("alice", administrator=True), change)
    assert real_server.watched() == before
    # Without a request: the scheduler, a command line.
    as_caller(None, lambda session: session.execute(update(TABLE).values(value="1")))


def test_reading_is_not(real_server):
    assert not refused(Caller("bob"), lambda session: session.execute(text("select * from task_state_store")).all())
    assert not refused(Caller("bob"), lambda session: session.scalars(select(XComModel)).all())


def test_the_guards_own_writes_pass(real_server):
    assert not refused(Caller("alice"), lambda session: own_writes.write_state(session, [{**ANSWER, "value": "1"}]))
    assert not own_writes.is_own({"slipway_guard": object()})


def test_what_is_no_slipways_is_nobodys_business(real_server):
    path = f"/api/v2/dags/{FOREIGN}/dagRuns/{RUN}/taskInstances/first"
    assert real_server.send("PUT", f"{path}/state-store/k", {"value": 1})[0] == 204
    assert real_server.send("POST", f"{path}/xcomEntries", {"key": "k", "value": 1})[0] == 201
    assert real_server.send("DELETE", f"{path}/xcomEntries/k")[0] == 204
    assert real_server.send("DELETE", f"{path}/state-store")[0] == 204
    assert real_server.works("POST", f"/xcoms/{FOREIGN}/{RUN}/first/k", "1", task=OTHERS)[0] == 201
    assert real_server.works("DELETE", f"/xcoms/{FOREIGN}/{RUN}/first/k", task=OWN)[0] == 200


class TestATask:
    def test_writes_its_own(self, real_server):
        assert real_server.works("POST", f"/xcoms/{IRIS}/{RUN}/process_request/k", "1", task=OWN)[0] == 201
        assert real_server.works("POST", f"/xcoms/{IRIS}/{RUN}/process_request/k", "2", task=OWN)[0] == 201
        assert real_server.works("DELETE", f"/xcoms/{IRIS}/{RUN}/process_request/k", task=OWN)[0] == 200
        own = f"/store/ti/{real_server.tasks[OWN]}"
        assert real_server.works("PUT", f"{own}/k", {"value": 1}, task=OWN)[0] == 204
        assert real_server.works("DELETE", own, task=OWN)[0] == 204

    @pytest.mark.parametrize("path", [f"{IRIS}/{RUN}/approve/k", f"{IRIS}/{RUN}/process_request/k?map_index=0"])
    def test_writes_no_other_ones_of_the_same_release(self, real_server, path):
        assert real_server.works("POST", f"/xcoms/{path}", "1", task=OWN)[0] == 403

    def test_whose_try_has_ended_writes_its_link_buttons_only(self, real_server):
        ended = uuid4()
        with create_session() as session:
            past = TaskInstanceHistory(session.get(TaskInstance, real_server.tasks[OWN]), state="failed")
            past.task_instance_id = ended
            session.add(past)
        for task_id, key, wanted in [
            ("process_request", "_link_TrainingJobLink", 201),
            ("process_request", "return_value", 403),
            ("approve", "_link_TrainingJobLink", 403),
        ]:
            target = f"/xcoms/{IRIS}/{RUN}/{task_id}/{key}"
            assert real_server.sends_as(ended, "execution", "POST", target, "1")[0] == wanted

    def test_of_slipways_names_this_airflow(self, real_server):
        target, body = f"/variables/{INSTANCE_VARIABLE}", {"value": "tests"}
        before = real_server.watched()["variables"]
        assert real_server.works("PUT", target, body, task=OWN)[0] == 201
        assert [row[1] for row in real_server.watched()["variables"]] == [row[1] for row in before]
        assert real_server.works("PUT", target, body, task=OTHERS)[0] == 403
        assert real_server.works("PUT", "/variables/its-own", body, task=OTHERS)[0] == 201

    def test_that_is_the_intake_says_what_it_has_seen(self, real_server):
        target = f"/store/asset/by-name/value?name={real_server.asset_name}&key={STATE_KEY}"
        body = {"value": {"done": {}, "announced": {}}}
        assert real_server.works("PUT", target, body, task=INTAKE)[0] == 204
        for other in (OWN, OTHERS):
            status, answer = real_server.works("PUT", target, body, task=other)
            assert (status, "only the intake writes it" in answer["detail"]) == (403, True)

    def test_that_is_the_intake_alone_starts_what_bears_an_uploads_id(self, real_server):
        for task, expected in ((OTHERS, 403), (OWN, 403), (INTAKE, 204)):
            assert real_server.works("POST", f"/dag-runs/{IRIS}/s3__own", {"conf": {}}, task=task)[0] == expected
        assert real_server.send("DELETE", f"/api/v2/dags/{IRIS}/dagRuns/s3__own", user="alice")[0] == 204

    def test_clears_no_open_question(self, real_server):
        status, answer = real_server.works("POST", f"/dag-runs/{IRIS}/{RUN}/clear", task=OTHERS)
        assert (status, "may not change approve" in answer["detail"]) == (403, True)

    def test_without_a_valid_token_is_no_task(self, real_server):
        for headers in ({}, {"authorization": f"Bearer {real_server.token('alice')}"}):
            target = f"/execution/xcoms/{IRIS}/{RUN}/process_request/k"
            assert real_server.send("POST", target, "1", user=None, headers=headers)[0] in (401, 403)


def test_both_tasks_of_the_survey_write_its_facts(real_server):
    _, name = real_server.asset(snapshot.ASSET_PREFIX)
    with create_session() as session:
        for task_id in ("describe_everything", "tell_alarms"):
            assert belongings.is_writer_of(name, "live", task_id, session.connection())


@pytest.mark.parametrize(
    ("prefix", "writer", "what"),
    [
        (snapshot.ASSET_PREFIX, SURVEY, "known to be live: only the survey writes it"),
        (drift_watch.ASSET_PREFIX, DRIFT, "reported as drift: only the drift watcher writes it"),
    ],
)
class TestFactsOfTheBoard:
    def test_are_written_by_one_task_and_deleted_by_administrators(self, real_server, prefix, writer, what):
        asset_id, name = real_server.asset(prefix)
        value, everything = f"by-name/value?name={name}&key=k", f"by-name/clear?name={name}"
        of_people = f"/api/v2/assets/{asset_id}/state-store"
        before = real_server.watched()
        assert real_server.works("PUT", f"/store/asset/{value}", {"value": 1}, task=writer)[0] == 204
        written = real_server.watched()
        for other in {OWN, OTHERS, INTAKE, SURVEY, DRIFT} - {writer}:
            for method, target, body in (
                ("PUT", value, {"value": 2}),
                ("DELETE", value, None),
                ("DELETE", everything, None),
            ):
                status, answer = real_server.works(method, f"/store/asset/{target}", body, task=other)
                assert (status, what in str(answer)) == (403, True), (other, method, answer)
        for user in ("bob", "alice", "admin"):
            for key in ("k", "another"):
                status, answer = real_server.send("PUT", f"{of_people}/{key}", {"value": 2}, user=user)
                assert (status, what in str(answer)) == (403, True), (user, answer)
        for user in ("bob", "alice"):
            assert real_server.send("DELETE", f"{of_people}/k", user=user)[0] == 403
            assert real_server.send("DELETE", of_people, user=user)[0] == 403
        assert real_server.watched() == written
        assert real_server.send("DELETE", f"{of_people}/k", user="admin")[0] == 204
        assert real_server.watched() == before

    def test_are_written_by_watchers_which_have_no_caller(self, real_server, prefix, writer, what):
        asset_id, _ = real_server.asset(prefix)
        row = {"asset_id": asset_id, "key": "k", "value": "1"}
        assert not refused(None, lambda session: session.add(AssetStateStoreModel(**row)))
        assert refused(Caller("admin", administrator=True), lambda session: session.add(AssetStateStoreModel(**row)))

    def test_belong_to_a_dag_that_has_slipways_tag(self, real_server, prefix, writer, what):
        """A DAG of somebody else's may be called as a survey or a drift watcher could be."""
        _, name = real_server.asset(prefix)
        dag_id, task_id = writer
        with create_session() as session:
            connection = session.connection()
            assert belongings.is_writer_of(name, dag_id, task_id, connection)
            assert not belongings.is_writer_of(name, dag_id, "another_task", connection)
            own = f"{dag_id}-{name.removeprefix(prefix)}"
            assert not belongings.is_writer_of(name, own, task_id, connection), "without the tag"
            session.add(DagModel(dag_id=own, bundle_name="dags-folder", tags=[DagTag(name="slipway")]))
            session.flush()
            assert belongings.is_writer_of(name, own, task_id, connection)
            assert not belongings.is_writer_of(f"{prefix}another", own, task_id, connection)
            session.rollback()


class TestAPerson:
    def test_takes_no_uploads_run_id(self, real_server):
        body = {"dag_run_id": "s3__bobs", "logical_date": None}
        for user in ("bob", "alice", "admin"):
            status, answer = real_server.send("POST", f"/api/v2/dags/{IRIS}/dagRuns", body, user=user)
            assert (status, "those are for uploads" in answer["detail"]) == (403, True)

    def test_who_is_an_administrator_lets_the_intake_begin_anew(self, real_server):
        target = f"/api/v2/assets/{real_server.asset_id}/state-store/{STATE_KEY}"
        assert real_server.send("PUT", target, {"value": "x"}, user="admin")[0] == 403
        assert real_server.send("DELETE", target, user="alice")[0] == 403
        assert real_server.send("DELETE", target, user="admin")[0] == 204
        body = {"value": {"done": {}, "announced": {}}}
        by_name = f"/store/asset/by-name/value?name={real_server.asset_name}&key={STATE_KEY}"
        assert real_server.works("PUT", by_name, body, task=INTAKE)[0] == 204

    def test_who_is_an_administrator_changes_connections_and_variables(self, real_server):
        body = {"connection_id": "aws_default", "conn_type": "aws", "description": "the account"}
        assert real_server.send("PATCH", "/api/v2/connections/aws_default", body, user="admin")[0] == 200
        variable = {"key": INSTANCE_VARIABLE, "value": "tests"}
        assert real_server.send("PATCH", f"/api/v2/variables/{INSTANCE_VARIABLE}", variable, user="admin")[0] == 200

    def test_who_is_none_changes_others(self, real_server):
        body = {"connection_id": "bobs", "conn_type": "http", "host": "example.com"}
        assert real_server.send("PATCH", "/api/v2/connections/bobs", body)[0] == 200
        assert real_server.send("POST", "/api/v2/variables", {"key": "bobs", "value": "1"})[0] == 201

    def test_who_is_none_makes_no_connection_or_variable_of_slipways(self, real_server):
        def first(session):
            session.execute(delete(Variable).where(Variable.key == INSTANCE_VARIABLE))

        assert refused(Caller("bob"), first)
        assert refused(Caller("bob"), lambda session: session.add(Variable(INSTANCE_VARIABLE, "1")))
        assert refused(Caller("bob"), lambda session: session.add(Connection(conn_id="aws_default", conn_type="aws")))

        def rename(session):
            session.scalars(select(Connection).where(Connection.conn_id == "bobs")).one().conn_id = "aws_default"

        assert refused(Caller("bob"), rename)

    @pytest.mark.parametrize(
        ("user", "dag_id"), [("bob", IRIS), ("admin", IRIS), ("bob", "intake"), ("alice", "reaper")]
    )
    def test_deletes_no_dag_of_slipways(self, real_server, user, dag_id):
        before = real_server.watched()
        status, answer = real_server.send("DELETE", f"/api/v2/dags/{dag_id}", user=user)
        assert (status, f"{user} may not delete {dag_id}" in answer["detail"]) == (403, True)
        assert real_server.watched() == before

    @pytest.mark.parametrize("first", [DagModel, DagTag, DagVersion, SerializedDagModel])
    def test_deletes_what_is_theirs_to_delete(self, real_server, monkeypatch, first):
        """Approvers delete a release, administrators a DAG without approvals; rolled back here.

        Airflow deletes table by table, in an order that is another one in each process.
        """
        models = [first, *(model for model in deleting.get_sqla_model_classes() if model is not first)]
        monkeypatch.setattr(deleting, "get_sqla_model_classes", lambda: models)
        for name, administrator, dag_id, expected in (
            ("alice", False, IRIS, False),
            ("admin", True, IRIS, True),
            ("bob", False, IRIS, True),
            ("admin", True, "reaper", False),
            ("alice", False, "reaper", True),
        ):
            calling = Caller(name, administrator=administrator)
            delete = partial(deleting.delete_dag, dag_id)
            assert refused(calling, lambda session, delete=delete: delete(session=session)) is expected, (name, dag_id)


class TestConnections:
    def test_of_model_files_are_known(self, tmp_path, monkeypatch):
        folder = tmp_path / "models"
        folder.mkdir()
        monkeypatch.setattr(belongings, "models_folder", lambda: folder)
        assert belongings.is_slipways_connection("anything"), "no model file tells which"
        notifier = {"notifier": "a.Notifier", "arguments": {"slack_conn_id": "slack"}}
        write_model(folder, changed(changed(iris(), "aws_conn_id", "uploads"), "approval.notifiers", [notifier]))
        known = {
            name for name in ("uploads", "slack", "aws_default", "bobs") if belongings.is_slipways_connection(name)
        }
        assert known == {"uploads", "slack", "aws_default"}
        (folder / "broken.yaml").write_text("prefix: [")
        assert belongings.is_slipways_connection("bobs"), "a broken file may name it"


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        ({"role": "admin"}, True),
        ({"role": "op"}, False),
        ({"role": None}, False),
        ({"roles": [type("Role", (), {"name": "Admin"})]}, True),
        ({"roles": [type("Role", (), {"name": "Op"})]}, False),
        ({}, False),
    ],
)
def test_an_administrator_is_who_has_the_role(user, expected):
    assert is_administrator(type("User", (), user)()) is expected


def test_the_state_of_the_server_is_as_it_was(real_server):
    (state,) = real_server.watched()["what the intake knows"]
    assert json.loads(state[2]) == {"done": {}, "announced": {}}


def test_a_test_of_a_connection_does_not_change_it(real_server):
    """Airflow writes what was tested into the connection when a worker reports success."""
    before = real_server.watched()
    with create_session() as session:
        tested = ConnectionTestRequest(
            connection_id="aws_default", conn_type="aws", host="another", commit_on_success=True
        )
        tested.state = ConnectionTestState.RUNNING
        session.add(tested)
        session.flush()
        test_id = tested.id
    body = {"state": "success"}
    status, answer = real_server.sends_as(test_id, "workload", "PATCH", f"/connection-tests/{test_id}", body)
    assert (status, "may not change the connection aws_default" in str(answer)) == (403, True), answer
    assert real_server.watched() == before


def test_an_intake_is_known_by_the_buckets_that_model_files_name(monkeypatch, tmp_path):
    """A DAG of somebody else's may be called as an intake could be."""
    iris = (belongings.models_folder() / "iris-model.yaml").read_text()
    (tmp_path / "iris-model.yaml").write_text(iris)
    monkeypatch.setattr(belongings, "models_folder", lambda: tmp_path)
    assert belongings.is_intake("intake", "start_releases")
    assert not belongings.is_intake("intake", "another_task")
    assert not belongings.is_intake("intake-mlops-region-account-99bae6", "start_releases")
    other = iris.replace("iris-model", "wine-model").replace("bucket: mlops-{region}", "bucket: wine-{region}")
    (tmp_path / "wine-model.yaml").write_text(other)
    assert belongings.is_intake("intake-mlops-region-account-99bae6", "start_releases")
    assert not belongings.is_intake("intake", "start_releases")
    assert not belongings.is_intake("intake-other", "start_releases")
    # The bucket of a broken file is not known: then the DAG's name decides, so that the other intakes continue.
    (tmp_path / "wine-model.yaml").write_text("prefix: {{ name }}")
    assert belongings.is_intake("intake-other", "start_releases")
