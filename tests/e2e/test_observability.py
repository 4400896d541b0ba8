"""What a release leaves for those who watch it: one trace with each call to AWS, and lines of logs that name it."""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from slipway.names import revision_id
from tests.spans import Span

pytestmark = pytest.mark.e2e

IRIS = "iris-model"
# What only the tasks of a release do, whatever else this Airflow watches.
OF_TASKS = {
    *("SageMaker.CreateTrainingJob", "SageMaker.CreateModelPackage", "SageMaker.UpdateModelPackage"),
    *("CloudFormation.CreateChangeSet", "CloudFormation.ExecuteChangeSet", "SageMaker Runtime.InvokeEndpoint"),
}
# What only triggers do: they wait.
OF_TRIGGERS = {"SageMaker.DescribeTrainingJob", "CloudFormation.DescribeStacks"}


def seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()


@pytest.fixture(scope="module")
def spans(slipway, first_release, telemetry) -> list[Span]:
    """The spans of the first release's trace: all have come when those of the scheduler and the API server have."""

    def trace() -> list[Span]:
        sent = telemetry.spans()
        ids = {one.name: one.trace_id for one in sent if of_run(one, first_release.run_id)}
        complete = ids.keys() >= {f"dag_run.{IRIS}", "task_run.collect_garbage", "worker.collect_garbage"}
        return [one for one in sent if one.trace_id == ids[f"dag_run.{IRIS}"]] if complete else []

    found: list[Span] = slipway.wait("the trace of the release", trace)
    return found


def of_run(span: Span, run_id: str) -> bool:
    return span.attributes.get("airflow.dag_run.run_id") == run_id


def changes(slipway, run_id: str) -> Counter[tuple[str, str]]:
    """How often each task began each state, by Airflow's own event log."""
    found = slipway.api().call("GET", "/eventLogs", dag_id=IRIS, run_id=run_id, limit=100)["event_logs"]
    return Counter((one["task_id"], one["event"]) for one in found if one["task_id"])


def deferred(said: Counter[tuple[str, str]]) -> set[str]:
    """The tasks that have waited without a worker."""
    return {task_id for task_id, event in said if event == "deferred"}


def test_a_release_is_one_trace(first_release, spans, telemetry):
    ids = {one.trace_id for one in telemetry.spans() if of_run(one, first_release.run_id)}
    assert ids == {spans[0].trace_id}


def test_each_part_of_a_task_is_a_span_before_and_after_its_waits(slipway, first_release, spans):
    said, names = changes(slipway, first_release.run_id), Counter(one.name for one in spans)
    ran = {task_id for task_id, event in said if event == "running"}
    assert ran >= {"source", "process_request", "train", "approve", "deploy_prd", "collect_garbage"}
    for task_id in ran:
        assert names[f"worker.{task_id}"] == said[(task_id, "running")], task_id
        assert names[f"task_run.{task_id}"] == 1, task_id
    waited = deferred(said)
    # A stack that is done within a moment needs no wait.
    assert {"train", "approve"} <= waited <= {"train", "approve", "deploy_dev", "deploy_prd"}
    # The guard resumes a task that is answered, which may be before the triggerer has begun its wait.
    wanted = {f"trigger.{one}" for one in waited}
    assert {one.name for one in spans if one.name.startswith("trigger.")} | {"trigger.approve"} == wanted


def test_a_task_is_below_its_run_and_its_parts_are_below_the_task(spans):
    by_id = {one.span_id: one.name for one in spans}
    for one in spans:
        kind, _, task_id = one.name.partition(".")
        if kind in ("worker", "trigger"):
            assert by_id[one.parent_id] == f"task_run.{task_id}"
        if kind == "task_run":
            assert by_id[one.parent_id] == f"dag_run.{IRIS}"


def test_each_call_of_a_release_is_a_span_with_its_request_id(slipway, first_release, spans, telemetry):
    run = slipway.api().run(IRIS, first_release.run_id)
    began, ended = seconds(run["start_date"]), seconds(run["end_date"])
    during = [line for line in slipway.ledger() if by_airflow(line) and began <= seconds(line["time"]) < ended]

    def seen() -> dict[str, Span]:
        return {
            one.attributes.get("aws.request_id"): one for one in telemetry.spans() if "rpc.system" in one.attributes
        }

    # What Airflow's watchers asked meanwhile is in traces of their own, which the triggerer sends every few seconds.
    slipway.wait("the last spans of the watchers", lambda: seen().keys() >= {line["request_id"] for line in during})
    found = seen()
    ours = [line for line in during if found[line["request_id"]].trace_id == spans[0].trace_id]
    assert len(ours) > 50
    named = {one.name for one in spans if "rpc.system" in one.attributes}
    assert named >= OF_TASKS | OF_TRIGGERS
    job = slipway.api().xcom(IRIS, first_release.run_id, "process_request")["training_job_name"]
    created = [line for line in during if line["operation"].startswith("Create") and job in str(line["resource"])]
    assert created
    assert all(line in ours for line in created)


def by_airflow(line: dict[str, Any]) -> bool:
    return "slipway-airflow" in line["caller"]


def test_a_call_is_below_the_part_of_the_task_that_made_it(slipway, first_release, spans):
    by_id = {one.span_id: one.name for one in spans}
    above: dict[str, set[str]] = {}
    for one in spans:
        if "rpc.system" in one.attributes:
            above.setdefault(one.name, set()).add(by_id[one.parent_id])
    assert above["SageMaker.CreateTrainingJob"] == {"worker.train"}
    assert above["SageMaker.CreateModelPackage"] == {"worker.register"}
    assert "trigger.train" in above["SageMaker.DescribeTrainingJob"]
    stacks = {"deploy_dev", "deploy_prd"}
    waited = {f"trigger.{one}" for one in stacks & deferred(changes(slipway, first_release.run_id))}
    assert waited | {f"worker.{one}" for one in stacks} <= above["CloudFormation.DescribeStacks"]


def test_the_lines_of_tasks_and_triggers_name_the_model_and_the_revision(slipway, first_release):
    pinned = slipway.api().xcom(IRIS, first_release.run_id, "source")
    revision = revision_id(pinned["bucket"], pinned["key"], pinned["version_id"])
    folder = slipway.settings.airflow_home / "logs" / f"dag_id={IRIS}" / f"run_id={first_release.run_id}"
    waited = deferred(changes(slipway, first_release.run_id))
    for task_id in ("train", "register", "deploy_dev"):
        files = sorted((folder / f"task_id={task_id}").glob("attempt=*.log*"))
        # Airflow writes what a trigger logs into a file of its own.
        named = {file.name: naming(file, revision) for file in files}
        assert all(named.values()), named
        assert {(one["model"], one["run_id"]) for lines in named.values() for one in lines} == {
            (IRIS, first_release.run_id)
        }
        assert any(".trigger." in name for name in named) == (task_id in waited), task_id


def naming(file: Path, revision: str) -> list[dict[str, Any]]:
    """Return the lines of a log that name a revision."""
    lines = [json.loads(line) for line in file.read_text().splitlines() if line.startswith("{")]
    return [one for one in lines if one.get("revision") == revision]
