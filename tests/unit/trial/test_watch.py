"""The task watch_trial: nothing to watch, time that no killed attempt loses, and what it compares."""

import time
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from airflow.sdk.exceptions import DownstreamTasksSkipped, TaskDeferred

from slipway.errors import AwsError, TrialFailed
from slipway.model.config import ModelConfig
from slipway.states import TrialOutcome, TrialVerdict
from slipway.trial.figures import VariantFigures
from slipway.trial.ground_truth import Hits
from slipway.trial.record import TrialRecord
from slipway.trial.watch import WATCH, TrialWatchOperator
from tests.unit import task_runs
from tests.unit.releases import release_plan, xcoms
from tests.unit.request_samples import iris_model
from tests.unit.scripted_aws import MemoryStore
from tests.unit.stage_runs import with_gate

LIVE, NEW = VariantFigures(100), VariantFigures(20)


class SageMaker:
    def __init__(self, *variants, status="InService", **more) -> None:
        weights = [{"VariantName": name, "CurrentWeight": 0.5} for name in variants]
        self.endpoint = {
            "EndpointName": "iris-model-production",
            "EndpointArn": "arn:aws:sagemaker:us-west-2:123456789012:endpoint/iris-model-production",
            "EndpointStatus": status,
            "EndpointConfigName": "config-1",
            "ProductionVariants": weights,
            **more,
        }

    def describe_endpoint(self, name):
        assert name == "iris-model-production"
        return self.endpoint

    def describe_endpoint_config(self, name):
        return None


class Records:
    standing: TrialRecord | None = None

    def trial_record(self, arn, digest):
        return self.standing


class Metrics:
    def variant_figures(self, endpoint_name, variants, began, ended):
        return {"model-a": LIVE, "model-b": NEW}


class Truth:
    def hits(self, capture_uri, truth_uri, endpoint_name, span, answers):
        assert (capture_uri, truth_uri) == ("s3://b-1/monitoring", "s3://b-1/truth/")
        assert set(answers) == {"model-a", "model-b"}
        return {"model-a": Hits(10, 9), "model-b": Hits(5, 5)}


def operator(sagemaker=None, records=None, trial: dict | None = None) -> TrialWatchOperator:
    fields = iris_model().model_dump() | ({} if trial is None else {"trial": trial})
    made = TrialWatchOperator(task_id="watch_trial", model=ModelConfig.model_validate(fields), skips=("a", "b"))
    made.__dict__.update(
        sagemaker=sagemaker or SageMaker("model-a", "model-b"),
        records=records or Records(),
        metrics=Metrics(),
        truth=Truth(),
    )
    return with_gate(made)


def context(store: MemoryStore | None = None) -> dict:
    made = task_runs.context(xcoms(register={"model_package_arn": "arn"}))
    return made | {"task_state_store": store or MemoryStore()}


def waiting(made, store) -> float:
    """:returns: the deadline of the wait"""
    with pytest.raises(TaskDeferred) as deferral:
        made.execute(context(store))
    return deferral.value.trigger.deadline


@pytest.mark.parametrize(("trial", "variants"), [(None, ("model-a", "model-b")), ({}, ("model-a",))])
def test_where_there_is_no_trial_the_other_tasks_are_skipped(trial, variants):
    with pytest.raises(DownstreamTasksSkipped) as skipped:
        operator(SageMaker(*variants), trial=trial).execute(context())
    assert skipped.value.tasks == ["a", "b"]


def test_a_roll_back_has_no_trial_and_leaves_what_a_newer_release_tries_alone():
    plan = replace(release_plan(), rolled_back_by="alice")
    made = task_runs.context({"roll_back": plan.to_xcom()}) | {"task_state_store": MemoryStore()}
    made["dag_run"].conf = {"roll_back_to": "previous"}
    with pytest.raises(DownstreamTasksSkipped):
        operator(trial={}).execute(made)


def test_a_second_attempt_has_not_lost_the_time():
    store = MemoryStore()
    first = waiting(operator(trial={"minutes": 30}), store)
    assert waiting(operator(trial={"minutes": 30}), store) == first
    store.entries[WATCH]["began"] = time.time() - 31 * 60
    watched = operator(trial={"minutes": 30}).execute(context(store))
    assert (watched["live"]["invocations"], watched["trial"]["invocations"]) == (100, 20)


def test_another_configuration_is_another_trial():
    store = MemoryStore(**{WATCH: {"config": "config-0", "after": "", "began": 5.0}})
    assert waiting(operator(trial={}), store) > time.time()


def test_a_test_of_production_that_ran_again_begins_another_trial():
    """A cleared test_prd sends its requests to both variants while they are watched."""
    store = MemoryStore(**{WATCH: {"config": "config-1", "after": "", "began": time.time() - 600}})
    first = waiting(operator(trial={}), store)
    assert first < time.time() + 3000
    ran = context(store)
    ran["ti"].xcoms["test_prd"] = {"tested_at": "2026-05-02T08:00:00+00:00"}
    for _ in range(2):
        with pytest.raises(TaskDeferred) as deferral:
            operator(trial={}).execute(ran)
        assert time.time() + 3590 < deferral.value.trigger.deadline
    assert store.entries[WATCH]["tested"] == "2026-05-02T08:00:00+00:00"


def test_a_comparison_begins_with_the_minute_from_which_requests_count():
    began = datetime(2026, 5, 2, 12, 0, 40, tzinfo=UTC).timestamp()
    store = MemoryStore(**{WATCH: {"config": "config-1", "after": "", "began": began}})
    assert operator(trial={"invocations": 1}).execute(context(store))["began"] == "2026-05-02T12:01:00+00:00"


def test_after_a_trial_was_kept_it_is_watched_anew():
    records = Records()
    records.standing = TrialRecord(TrialVerdict.KEEP, decided_at="then", outcome=TrialOutcome.KEPT)
    store = MemoryStore(**{WATCH: {"config": "config-1", "after": "", "began": 5.0}})
    deadline = waiting(operator(records=records, trial={}), store)
    assert deadline > time.time()
    assert waiting(operator(records=records, trial={}), store) == deadline


def test_enough_requests_end_it():
    assert operator(trial={"invocations": 20}).execute(context())["trial"]["invocations"] == 20
    waiting(operator(trial={"invocations": 21}), MemoryStore())


def test_answers_are_held_against_the_truth_where_they_are_captured():
    trial = {"invocations": 1, "ground_truth": "s3://b-1/truth/"}
    capturing = SageMaker("model-a", "model-b", DataCaptureConfig={"DestinationS3Uri": "s3://b-1/monitoring"})
    watched = operator(capturing, trial=trial).execute(context())
    assert [(one["labelled"], one["right"]) for one in (watched["live"], watched["trial"])] == [(10, 9), (5, 5)]
    assert operator(trial=trial).execute(context())["live"]["labelled"] == 0


def test_an_endpoint_that_is_being_changed_is_waited_for():
    with pytest.raises(TaskDeferred) as deferral:
        operator(SageMaker("model-a", "model-b", status="Updating"), trial={}).execute(context())
    assert deferral.value.method_name == "resume"


def test_an_endpoint_that_does_not_serve_is_told():
    with pytest.raises(TrialFailed, match="is Failed"):
        operator(SageMaker("model-a", status="Failed"), trial={}).execute(context())


def test_a_refusal_while_waiting_is_told():
    with pytest.raises(AwsError, match="AccessDenied"):
        operator(trial={}).resume(context(), {"outcome": "refused", "status": "", "reason": "AccessDenied"})
