"""Each query of the dashboard and each alert on a real Prometheus, with values that were sent as processes send them.

tests/e2e/metrics.py does the same with real releases.
"""

import json
import math
import shutil
import subprocess
import sys
import time

import pytest
import yaml

from tests.otlp import receiver
from tools import dashboard, prometheus
from tools.settings import ROOT

pytestmark = pytest.mark.skipif(shutil.which("prometheus") is None, reason="needs apt-get install prometheus")

# One process of a task: it fails in train after a throttled request.
TASK = """
from slipway.metrics import catalogue as c
from slipway.metrics.record import flush, record
iris = {"model": "iris-model"}
for outcome in ("released", "failed"):
    record(c.RELEASE_DURATION, 1200, **iris, outcome=outcome)
for outcome in ("success", "failed"):
    record(c.STAGE_DURATION, 300, **iris, stage="train", outcome=outcome)
record(c.STAGE_RETRIES, 1, **iris, stage="train")
record(c.APPROVAL_DURATION, 3600, **iris, stage="approve", decision="Approved")
for outcome, code in (("ok", ""), ("throttled", "ThrottlingException"), ("error", "AccessDenied")):
    record(c.AWS_REQUESTS, 200, service="sagemaker", operation="CreateTrainingJob", outcome=outcome, code=code)
record(c.ORPHANED_JOBS, 1, **iris, kind="training")
record(c.IMAGE_BUILDS, 1, **iris, outcome="failed")
record(c.DRIFT_FINDINGS, 2, **iris, environment="production")
record(c.LIVE_COST, 0.56, **iris, environment="production")
flush()
"""


def filled_in(expression: str) -> str:
    for name, value in {"$model": "iris-model", "$__range": "1h", "$__rate_interval": "30s"}.items():
        expression = expression.replace(name, value)
    return expression


def finite(vector) -> list[float]:
    return [value for one in vector if math.isfinite(value := float(one["value"][1]))]


@pytest.fixture(scope="module")
def asked(tmp_path_factory, free_ports):
    """A Prometheus that has seen what two processes sent."""
    folder = tmp_path_factory.mktemp("prometheus")
    with receiver() as (received, target), prometheus.running(folder, *free_ports(1), target) as found:
        variables = {
            "PYTHONPATH": "plugins",
            "AIRFLOW__METRICS__OTEL_ON": "True",
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{target}",
            "AIRFLOW_HOME": str(folder),
        }
        for _ in range(2):
            subprocess.run([sys.executable, "-c", TASK], env=variables, cwd=ROOT, check=True)
            # Until Prometheus has seen it.
            count = sum(received.values(dashboard.RELEASE_DURATION).values())
            while sum(finite(found.query("slipway_release_duration_seconds_count"))) < count:
                time.sleep(0.2)
        assert received.problems == []
        yield found


QUERIES = list(dashboard.queries(dashboard.FILE.read_text()))


@pytest.mark.parametrize(("title", "expression"), QUERIES, ids=[title for title, _ in QUERIES])
def test_each_query_has_data(asked, title, expression):
    assert finite(asked.query(filled_in(expression))), title


def test_values_of_two_processes_are_added_up(asked):
    queries = dict(QUERIES)
    assert finite(asked.query(filled_in(queries["Releases by outcome"]))) == [2, 2]
    assert finite(asked.query(filled_in(queries["Time in each stage"]))) == [300]
    assert finite(asked.query(filled_in(queries["Time to decide"]))) == [3600]
    assert finite(asked.query(filled_in(queries["Throttled requests"]))) == [400]
    assert finite(asked.query(filled_in(queries["What is live costs an hour"]))) == [0.56]


def test_each_alert_fires_for_what_it_is_about(asked):
    rules = yaml.safe_load((ROOT / "include/prometheus/rules.yml").read_text())["groups"][0]["rules"]
    assert [rule["alert"] for rule in rules if not asked.query(rule["expr"])] == []


def test_a_query_that_is_wrong_is_refused_by_name(asked):
    with pytest.raises(prometheus.PrometheusError, match="refuses"):
        asked.query(json.dumps({"not": "promql"}))
