"""Real releases with metrics on: each query of the dashboard and each alert, evaluated by a real Prometheus.

One release is approved, one is rejected, one meets an AWS that throttles, and the job of a fourth is orphaned.
The source of an image is refused.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from demo import training_job, upload
from slipway.metrics.catalogue import APPROVAL_DURATION, AWS_REQUESTS, RELEASE_DURATION, STAGE_DURATION
from tests.faults.injection import FaultInjection
from tests.instance import SHORT_PATIENCE, Instance
from tests.otlp import Received, receiver
from tests.unit.image_samples import KEY, PREFIX
from tools import dashboard, prometheus
from tools.environment import OPTION_PREFIX
from tools.settings import ROOT
from tools.supervisor import Status

pytestmark = pytest.mark.e2e

IRIS = "iris-model"
# What Grafana fills in. No series is older than the range, as in an account that is an hour old.
VARIABLES = {"$model": ".+", "$__range": "1h", "$__rate_interval": "2m"}
# Trains for longer than any test waits.
ENDLESS = {"num_round": "100000"}


@dataclass(frozen=True)
class World:
    """Where Airflow's processes send to, and what asks there."""

    slipway: Instance
    received: Received
    prometheus: prometheus.Prometheus


@pytest.fixture(scope="module")
def world(tmp_path_factory, free_ports) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("metrics")
    *airflow_and_aws, port = free_ports(3)
    with receiver() as (received, target), prometheus.running(folder, port, target) as asked:
        extra = {
            f"{OPTION_PREFIX}METRICS__OTEL_ON": "True",
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{target}",
            # Airflow's own metrics are sent by the same variables.
            "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": "delta",
            "OTEL_METRIC_EXPORT_INTERVAL": "5000",
        }
        instance = Instance.in_folder(folder, airflow_and_aws, SHORT_PATIENCE | extra, faults=True)
        try:
            instance.services("up")
            yield World(instance, received, asked)
        finally:
            instance.services("down")


@pytest.fixture(scope="module")
def released(world) -> World:
    """Four releases, and all that the dashboard shows of them."""
    slipway = world.slipway
    upload.upload_data(slipway.settings, IRIS, "iris")
    approved = answered(slipway, "Approve")
    assert slipway.wait_end(IRIS, approved) == "success", slipway.story(IRIS, approved)
    rejected = answered(slipway, "Reject")
    assert slipway.wait_end(IRIS, rejected) == "failed"
    faults = FaultInjection(slipway.settings.aws_url)
    for operation in ("DescribeTrainingJob", "CreateModelPackage"):
        faults.add(service="sagemaker", operation=operation, error="ThrottlingException", count=3)
    throttled = answered(slipway, "Approve")
    assert slipway.wait_end(IRIS, throttled) == "success", slipway.story(IRIS, throttled)
    again = {"dag_run_id": throttled, "task_ids": ["test_prd"], "only_failed": False, "dry_run": False}
    slipway.api("alice").call("POST", f"/dags/{IRIS}/clearTaskInstances", again)
    slipway.wait("the second test", lambda: slipway.api().tasks(IRIS, throttled)["test_prd"]["try_number"] > 1)
    assert slipway.wait_end(IRIS, throttled) == "success"
    compared = slipway.api("alice").trigger("drift", {})
    assert slipway.wait_end("drift", compared) == "success"
    refuse_an_image(slipway)
    orphan(slipway)
    return world


def refuse_an_image(slipway: Instance) -> None:
    """A source that is no zip ends as a build that was refused."""
    file = slipway.include / "models" / f"{PREFIX}.yaml"
    shutil.copy(ROOT / "include" / "models" / file.name, file)
    dag_id = f"image_build-{PREFIX}"
    slipway.wait_dag(dag_id)
    answer = slipway.client("s3").put_object(Bucket=slipway.settings.bucket, Key=KEY, Body=b"no zip")
    assert slipway.wait_end(dag_id, slipway.run_of(dag_id, answer["VersionId"])) == "failed"


def answered(slipway: Instance, answer: str) -> str:
    run_id = slipway.release(IRIS)
    slipway.wait_approval(IRIS, run_id)
    slipway.api("alice").answer(IRIS, run_id, "approve", answer)
    return run_id


def orphan(slipway: Instance) -> None:
    """A run that is marked failed while the triggerer is down leaves a training job, which the reaper stops."""
    run_id = slipway.release(IRIS, training_job.build(IRIS, slipway.settings.bucket, ENDLESS))
    slipway.wait_task(IRIS, run_id, "train", "deferred")
    triggerer = Status.read(slipway.settings).components["triggerer"].pid
    # One that is only killed may be back before the run is marked, and then stops the job itself.
    os.killpg(triggerer, signal.SIGSTOP)
    slipway.api().call("PATCH", f"/dags/{IRIS}/dagRuns/{run_id}", {"state": "failed"})
    os.killpg(triggerer, signal.SIGKILL)
    slipway.wait("the job to be stopped", lambda: slipway.ledger(operation="StopTrainingJob", outcome="ok"))


def numbers(vector: list[dict[str, Any]]) -> dict[str, float]:
    """The values of a vector that are numbers, by their labels."""
    found = {json.dumps(one["metric"], sort_keys=True): float(one["value"][1]) for one in vector}
    return {labels: value for labels, value in found.items() if math.isfinite(value)}


def filled_in(expression: str) -> str:
    for name, value in VARIABLES.items():
        expression = expression.replace(name, value)
    return expression


def test_every_query_of_the_dashboard_has_data(released):
    """The file is asked, not what makes it."""
    found: dict[str, dict[str, Any]] = {}
    for title, expression in dashboard.queries(dashboard.FILE.read_text()):
        query = filled_in(expression)
        values = released.slipway.wait(
            f"data for {title}: {query}", lambda query=query: numbers(released.prometheus.query(query))
        )
        found.setdefault(title, {})[expression] = values
    assert len(found) == len(dashboard.PANELS)
    if file := os.environ.get("METRICS_VALUES"):
        Path(file).write_text(json.dumps(found, indent=2))


def test_releases_are_counted_once_and_by_how_they_ended(released):
    def ended() -> dict[str, float]:
        return {outcome: count for (_, outcome), count in released.received.values(RELEASE_DURATION).items()}

    # The cleared run has ended twice, and the fourth was marked failed. The DAG processor counts, after the end.
    released.slipway.wait("the ends of all releases", lambda: sum(ended().values()) >= 5)
    assert ended() == {"released": 3, "rejected": 1, "failed": 1}
    decided = {decision: count for (*_, decision), count in released.received.values(APPROVAL_DURATION).items()}
    assert decided == {"Approved": 2, "Rejected": 1}


def test_stages_are_counted_as_airflow_counts_them(released):
    found = released.received.values(STAGE_DURATION)
    assert found[IRIS, "approve", "failed"] == 1
    assert found[IRIS, "approve", "success"] == 2
    assert found[IRIS, "test_prd", "success"] == 3
    assert found[IRIS, "process_request", "success"] == 4


def test_requests_to_aws_are_as_many_as_in_the_ledger(released):
    """Creating is done by tasks alone, which send before they end."""
    slipway, found = released.slipway, released.received.values(AWS_REQUESTS)
    for operation in ("CreateTrainingJob", "CreateModelPackage"):
        counted = {key[2:]: count for key, count in found.items() if key[1] == operation}
        lines = slipway.ledger(operation=operation)
        assert sum(counted.values()) == len(lines), (operation, counted)
    assert found["sagemaker", "CreateModelPackage", "throttled", "ThrottlingException"] == 3


def test_nothing_was_sent_that_the_catalogue_does_not_know(released):
    assert released.received.problems == []


def test_every_alert_is_evaluated_and_those_fire_that_must(released):
    rules = yaml.safe_load((ROOT / "include/prometheus/rules.yml").read_text())["groups"][0]["rules"]
    fired = {rule["alert"] for rule in rules if released.prometheus.query(rule["expr"])}
    assert {"SlipwayReleaseFailed", "SlipwayOrphanedJob"} <= fired
    assert "SlipwayDrift" not in fired
