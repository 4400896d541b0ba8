"""Evidence as JSON-able parts of the report; tests/local_aws/test_load_report.py gathers it from the local AWS."""

import json
from datetime import UTC, datetime, timedelta

from slipway.hooks.autoscaling import ScalingActivity
from slipway.hooks.cloudwatch import MetricSeries, StateChange, WatchedAlarm
from slipway.load_report.evidence import collect
from slipway.load_report.page import render
from tests.unit.load_report.samples import load

BEGAN = datetime(2026, 5, 2, 8, tzinfo=UTC)
ENDED = BEGAN + timedelta(minutes=5)


class Scripted:
    """Answers as the three hooks do, and keeps what it was asked."""

    def __init__(self, endpoint):
        self.endpoint = endpoint
        self.asked = []

    def describe_endpoint(self, name):
        return self.endpoint

    def series(self, *asked):
        self.asked.append(asked)
        return [MetricSeries("Invocations", "Sum", "model-a", "None", (BEGAN,), (3.0,))]

    def activities(self, *asked):
        self.asked.append(asked)
        return [ScalingActivity("endpoint/iris/variant/model-a", BEGAN, None, "Setting", "an alarm", "InProgress")]

    def alarms(self, *asked):
        self.asked.append(asked)
        return [WatchedAlarm("high", "ALARM", (StateChange(BEGAN, "OK", "ALARM", "2 > 1"),))]


def gathered(endpoint, **more):
    aws = Scripted(endpoint)
    return aws, collect("iris", BEGAN, ENDED, sagemaker=aws, cloudwatch=aws, autoscaling=aws, **more)


def test_parts_are_json_that_the_page_takes():
    variant = {"VariantName": "model-a", "CurrentWeight": 1.0, "CurrentInstanceCount": 2, "DesiredInstanceCount": 3}
    endpoint = {"EndpointStatus": "Updating", "EndpointConfigName": "config", "ProductionVariants": [variant]}
    aws, found = gathered(endpoint, model="iris-model", environment="production")
    assert aws.asked == [("iris", ["model-a"], BEGAN.timestamp(), ENDED.timestamp()), *[("iris", BEGAN, ENDED)] * 2]
    assert json.loads(json.dumps(found)) == {
        "endpoint": {
            "name": "iris",
            "model": "iris-model",
            "environment": "production",
            "status": "Updating",
            "configuration": "config",
            "variants": [{"name": "model-a", "weight": 1.0, "instances": 2, "desired_instances": 3}],
        },
        "cloudwatch": {
            "period_seconds": 60,
            "series": [
                {
                    "metric": "Invocations",
                    "statistic": "Sum",
                    "variant": "model-a",
                    "unit": "None",
                    "timestamps": ["2026-05-02T08:00:00.000+00:00"],
                    "values": [3.0],
                }
            ],
        },
        "scaling_activities": [
            {
                "start": "2026-05-02T08:00:00.000+00:00",
                "end": None,
                "cause": "an alarm",
                "description": "model-a: Setting",
                "status": "InProgress",
            }
        ],
        "alarms": [
            {
                "name": "high",
                "state": "ALARM",
                "history": [
                    {"at": "2026-05-02T08:00:00.000+00:00", "from": "OK", "to": "ALARM", "reason": "2 > 1"},
                ],
            }
        ],
    }
    assert "iris-model" in render({"load": load(), **found})


def test_an_endpoint_that_is_gone_leaves_a_report_nevertheless():
    _, found = gathered(None)
    assert found["endpoint"] == {
        "name": "iris",
        "model": None,
        "environment": None,
        "status": "does not exist",
        "variants": [],
    }
    assert "does not exist" in render({"load": load(), **found})
