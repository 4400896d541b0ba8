"""News: one message for each end of a release, and none that repeats what the task has told."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from slipway.errors import PermanentError
from slipway.model.approval_settings import NewsSettings
from slipway.notices import news
from slipway.notices.send import Notice, Notices
from tests.unit.request_samples import iris_model

PACKAGE = "arn:aws:sagemaker:us-west-2:123456789012:model-package/iris-model/14"
KEPT = {"what": "The job failed", "where": "job-1", "why": "no rows", "fix": "upload rows", "told": False}


class Task:
    """The task that failed, and the results of its run."""

    dag_id, run_id, task_id = "iris-model", "s3__1", "train"

    def __init__(self, failure=None, **results) -> None:
        self.failure = failure
        self.results = {"source": {"version_id": "abc"}, **results}

    def xcom_pull(self, task_ids, key="return_value"):
        return self.failure if key == "slipway_failure" else self.results.get(task_ids)


@pytest.fixture
def sent(monkeypatch):
    messages = []
    monkeypatch.setattr(Notices, "send_from_callback", lambda self, message, *_: messages.append(message))
    return messages


def context(ti, conf=None):
    return {"ti": ti, "dag_run": SimpleNamespace(conf=conf or {})}


def test_a_failed_run_is_told_with_the_reason_that_its_task_kept(sent):
    news.on_failure(iris_model())(context(Task(KEPT, register={"model_package_arn": PACKAGE})))
    (message,) = sent
    assert (message.notice, message.model, message.stage) == (Notice.FAILED, "iris-model", "train")
    assert message.version == "v14, VersionId abc of the zip"
    assert message.reason == "The job failed (job-1): no rows"
    assert message.fix == "upload rows"
    assert message.link.endswith("/dags/iris-model/runs/s3__1/tasks/train")


def test_what_the_task_has_told_is_not_told_again(sent):
    news.on_failure(iris_model())(context(Task({**KEPT, "told": True})))
    assert sent == []


def test_a_killed_task_is_told_with_what_to_do(sent):
    news.on_failure(iris_model())(context(Task()))
    (message,) = sent
    assert "it was killed or marked" in message.reason
    assert "clear the task" in message.fix


def test_a_run_without_a_failed_task_is_told(sent):
    """Airflow then gives the callback a run's id and little more."""
    news.on_failure(iris_model())({"run_id": "s3__1", "reason": "all_tasks_deadlocked"})
    (message,) = sent
    assert message.link.endswith("/dags/iris-model/runs/s3__1")
    assert message.text == "The release failed before any of its tasks"


def test_a_roll_back_is_named_so(sent):
    news.on_failure(iris_model())(context(Task(KEPT), {"roll_back_to": "previous"}))
    assert sent[0].text == "The roll-back failed in train"


def test_a_success_is_told_only_to_who_asked(sent):
    assert news.on_success(iris_model()) is None
    model = iris_model().model_copy(update={"news": NewsSettings(successes=True)})
    tell = news.on_success(model)
    # A run that was superseded ends well too, for Airflow.
    tell(context(Task()))
    assert sent == []
    tell(context(Task(test_prd={"accuracy": 1.0})))
    assert [message.notice for message in sent] == [Notice.RELEASED]


ON_TRIAL = {"outputs": {"ModelBDataUrl": "s3://b/m"}}


@pytest.mark.parametrize(
    ("share", "deployed", "settled", "said"),
    [
        (None, {"outputs": {}}, None, "The release is in production"),
        # There was no live model to share with.
        (0.1, {"outputs": {}}, None, "The release is in production"),
        (0.1, ON_TRIAL, None, "The release is in production with 10 % of the requests"),
        (0.1, ON_TRIAL, {"outcome": "kept", **ON_TRIAL}, "The release is in production with 10 % of the requests"),
        (0.1, ON_TRIAL, {"outcome": "promoted", "outputs": {}}, "The release is in production"),
        (
            *(0.1, ON_TRIAL, {"outcome": "retired", "outputs": {}}),
            "The trial has ended: production serves the live model alone again",
        ),
    ],
)
def test_a_success_says_how_production_serves_it(sent, share, deployed, settled, said):
    model = iris_model().model_copy(update={"news": NewsSettings(successes=True)})
    plan = {"trial_share": share}
    ti = Task(test_prd={"accuracy": 1.0}, process_request=plan, deploy_prd=deployed, settle_trial=settled)
    news.on_success(model)(context(ti))
    assert sent[0].text == said


def test_an_error_says_where_it_happened():
    error = PermanentError("Overtaken", resource="the newer run", why="it was uploaded later", fix="trigger it")
    message = news.about_error(Notice.SUPERSEDED, error, context(Task()), what="A newer release supersedes this one")
    assert message.body.splitlines()[-2:] == [
        "Why: Overtaken (the newer run): it was uploaded later",
        "Fix: trigger it",
    ]


@pytest.mark.parametrize("kept", [None, KEPT, {**KEPT, "told": True}])
def test_a_run_that_a_person_marked_failed_names_the_person(sent, kept):
    """Whatever its last task has left: the mark is what ended the run."""
    news.on_failure(iris_model())({**context(Task(kept)), "reason": news.marked_failed_by("alice")})
    (message,) = sent
    assert (message.text, message.stage) == ("The release was marked failed by alice", "train")
    assert message.reason == "the run was marked failed by alice"
    assert message.fix.startswith("ask that person why")


def test_a_marked_run_that_no_task_has_begun_is_told(sent):
    news.on_failure(iris_model())({"run_id": "s3__1", "reason": news.marked_failed_by("alice")})
    assert sent[0].link.endswith("/dags/iris-model/runs/s3__1")


class TestMeasured:
    """How a run's end is counted: by Airflow's state, the reason that its task kept, and what it did."""

    @pytest.fixture
    def recorded(self, monkeypatch):
        found = []
        monkeypatch.setattr(news, "enabled", lambda: True)
        monkeypatch.setattr(news, "flush", lambda: None)
        monkeypatch.setattr(news, "record", lambda metric, value, **labels: found.append((value, labels)))
        return found

    @staticmethod
    def ended(ti, conf=None):
        began = datetime(2026, 5, 1, 12, tzinfo=UTC)
        run = SimpleNamespace(conf=conf or {}, start_date=began, end_date=began + timedelta(minutes=20))
        return {"ti": ti, "dag_run": run}

    @pytest.mark.parametrize(
        ("failure", "outcome"), [(None, "failed"), (KEPT, "failed"), ({**KEPT, "kind": "Rejected"}, "rejected")]
    )
    def test_a_run_that_failed(self, sent, recorded, failure, outcome):
        news.on_failure(iris_model())(self.ended(Task(failure)))
        assert recorded == [(1200, {"model": "iris-model", "outcome": outcome})]
        assert len(sent) == 1

    @pytest.mark.parametrize(
        ("results", "conf", "outcome"),
        [
            ({"test_prd": {"rows": 30}}, None, "released"),
            ({"test_prd": {"rows": 30}}, {"roll_back_to": "previous"}, "rolled_back"),
            ({}, None, "superseded"),
        ],
    )
    def test_a_run_that_ended_well(self, sent, recorded, results, conf, outcome):
        news.on_success(iris_model())(self.ended(Task(**results), conf))
        assert recorded == [(1200, {"model": "iris-model", "outcome": outcome})]
        # Nobody has asked for this news.
        assert sent == []

    def test_a_run_of_which_airflow_tells_nothing_is_not_measured(self, sent, recorded):
        news.on_failure(iris_model())({"run_id": "s3__1", "reason": "all_tasks_deadlocked"})
        assert (recorded, len(sent)) == ([], 1)
