"""What there is to see of a release: the call ledger, both endpoints, Flower's page and Prometheus' numbers."""

from __future__ import annotations

import base64
import json
import urllib.request
from collections import Counter
from collections.abc import Sequence
from typing import Any

from demo import datasets, predictions
from demo.__main__ import DATASET, PREFIX
from slipway.metrics.catalogue import AWS_REQUESTS, RELEASE_DURATION
from slipway.names import stack_name
from slipway.states import Environment
from tests.compose.engine import EngineError
from tools.prometheus import Prometheus, PrometheusError
from tools.settings import Settings

STACKS = [stack_name(PREFIX, environment) for environment in Environment]
# As include/prometheus/prometheus.yml names it.
UP = 'up{job="slipway"}'
RELEASED = f'sum({RELEASE_DURATION.prometheus_name}_count{{outcome="released"}})'
REQUESTS = f"sum({AWS_REQUESTS.prometheus_name})"


def jobs_and_changes(calls: Sequence[dict[str, Any]]) -> tuple[int, dict[str, int]]:
    """Count what must happen once.

    :param calls: the ledger's lines
    :returns: training jobs, and changes of stacks by operation and stack
    :raises EngineError: something happened twice, or not at all
    """
    done = [(call["operation"], call["resource"]) for call in calls if call["outcome"] == "ok"]
    jobs = sum(operation == "CreateTrainingJob" for operation, _ in done)
    wanted = [f"{operation} {stack}" for operation in ("CreateChangeSet", "ExecuteChangeSet") for stack in STACKS]
    counted = Counter(f"{operation} {resource}" for operation, resource in done)
    changes = {change: counted[change] for change in wanted}
    if jobs != 1 or set(changes.values()) != {1}:
        raise EngineError(f"one training job and one change of each stack were expected, got {jobs} and {changes}")
    return jobs, changes


def predicted(settings: Settings, environment: Environment) -> str:
    """Ask an endpoint for the rows that training has not seen.

    :returns: how many it predicts correctly, in words
    :raises EngineError: too few
    """
    answers = predictions.ask(settings, f"{PREFIX}-{environment}", datasets.load(DATASET).held_out)
    if answers.accuracy < 0.9:
        raise EngineError(f"{environment} predicts badly: {answers.accuracy:.2f}")
    return f"{round(answers.accuracy * answers.rows)} of {answers.rows} rows correctly"


def workers(url: str, password: str) -> int:
    """Ask Flower how many workers it sees.

    https://flower.readthedocs.io/en/latest/api.html
    """
    key = base64.b64encode(f"admin:{password}".encode()).decode()
    request = urllib.request.Request(f"{url}/api/workers?status=true", headers={"Authorization": f"Basic {key}"})  # noqa: S310 (http)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=10) as answer:
        return sum(json.load(answer).values())


def measured(prometheus: Prometheus) -> dict[str, float]:
    """Return what Prometheus has scraped: the collector's answer, releases, requests to AWS.

    :returns: query → value; empty until all of them are there
    """
    try:
        found = {query: prometheus.query(query) for query in (UP, RELEASED, REQUESTS)}
    except (PrometheusError, OSError):
        return {}
    return {query: float(vector[0]["value"][1]) for query, vector in found.items()} if all(found.values()) else {}
