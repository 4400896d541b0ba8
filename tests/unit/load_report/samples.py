"""Documents of reports, from tallies that were counted by the engine's own code."""

import json
import random
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from functools import cache

from slipway.load.phases import LoadStage, phase_to_json
from slipway.load.plan import Plan
from slipway.load.result import COMPLETED, LoadResult, PhaseResult, Second
from slipway.load.rows import Row
from slipway.load.tally import Tally

START = datetime(2026, 5, 2, 8, 0, 10, tzinfo=UTC)


def phase(stage, begins_seconds, seconds, variants=("model-a", "model-b"), errors=None, rate=30):
    """A phase that answers so many requests each second, two thirds of them right, at some 10 ms."""
    noise, series, total = random.Random(5), [], Tally()
    for second in range(seconds):
        tally = Tally(sent=rate)
        for number in range(rate):
            took = noise.lognormvariate(-4.6, 0.4)
            tally.answer(variants[number % 10 == 0 and len(variants) > 1], number % 3 > 0, took, took)
        tally.errors.update(errors or {})
        series.append(Second.of(second, tally.settle(), dict.fromkeys(variants, 1 + second // 20)))
        total.add(tally)
    begun = (START + timedelta(seconds=begins_seconds)).isoformat(timespec="milliseconds")
    return PhaseResult(phase_to_json(stage), 1, begun, float(seconds), total, tuple(series), 1.0, 0.5)


def load(*phases, endpoint="iris-production", ended=COMPLETED):
    """The document that the engine would write."""
    plan = Plan(endpoint, [Row("1", "2")], (LoadStage(10, 1000),))
    return json.loads(LoadResult(plan.summary(), START.isoformat(), ended, phases).to_json())


def at(seconds):
    """A moment of the run, as documents have it."""
    return (START + timedelta(seconds=seconds)).isoformat(timespec="milliseconds")


def minutes(metric, statistic, values, variant="model-a", unit="Microseconds"):
    """A series of CloudWatch's."""
    times = [at(-10 + 60 * number) for number in range(len(values))]
    return {
        "metric": metric,
        "statistic": statistic,
        "variant": variant,
        "unit": unit,
        "timestamps": times,
        "values": values,
    }


@cache
def _two_minutes():
    first = phase(LoadStage(10, 1200), 0, 40)
    return load(first, phase(LoadStage(100, 3000), 42, 80, errors={"timeout": 1}))


def two_minutes():
    """The document of a run of two phases."""
    return deepcopy(_two_minutes())


def full():
    """A document in which nothing is missing."""
    return {
        "load": two_minutes(),
        "verdict": {
            "passed": False,
            "limits": [
                {"name": "latency_p99_ms", "allowed": 20.0, "measured": 25.0, "passed": False},
                {"name": "accuracy", "allowed": 0.5, "measured": 0.6667, "passed": True},
            ],
        },
        "endpoint": {
            "name": "iris-production",
            "model": "iris-model",
            "environment": "production",
            "status": "InService",
            "configuration": "EndpointConfig-1",
            "variants": [{"name": "model-a", "weight": 0.9, "instances": 2, "desired_instances": 2}],
        },
        "cloudwatch": {
            "period_seconds": 60,
            "series": [
                minutes("Invocations", "Sum", [1200.0, 1500.0, 900.0], unit="None"),
                minutes("ModelLatency", "Average", [4000.0, 4100.0, 4300.0]),
                minutes("ModelLatency", "p99", [9000.0, 9100.0, 9300.0]),
                minutes("OverheadLatency", "p50", [900.0, 910.0, 930.0]),
            ],
        },
        "scaling_activities": [
            {
                "start": at(70),
                "end": at(85),
                "cause": "monitor alarm TargetTracking-x was triggered by policy y",
                "description": "model-a: Setting desired instance count to 3.",
                "status": "Successful",
            }
        ],
        "alarms": [
            {
                "name": "TargetTracking-x",
                "state": "OK",
                "history": [
                    {"at": at(65), "from": "OK", "to": "ALARM", "reason": "Threshold Crossed"},
                    {"at": at(110), "from": "ALARM", "to": "OK", "reason": "Threshold Crossed"},
                ],
            }
        ],
    }
