"""Evidence as JSON-able parts of the report; tests/local_aws/test_load_report.py gathers it from the local AWS."""

import json
import logging
from datetime import UTC, datetime, timedelta

import pytest

from slipway.aws.autoscaling import ScalingActivity
from slipway.aws.cloudwatch import MetricSeries, StateChange, WatchedAlarm
from slipway.aws.patience import patient
from slipway.errors import AwsError
from slipway.load_report.evidence import collect
from slipway.load_report.page import render
from tests.unit.load_report.samples import load

BEGAN = datetime(2026, 5, 2, 8, tzinfo=UTC)
ENDED = BEGAN + timedelta(minutes=5)


VARIANT = {"VariantName": "model-a", "CurrentWeight": 1.0, "CurrentInstanceCount": 2, "DesiredInstanceCount": 3}
ENDPOINT = {"EndpointStatus": "Updating", "EndpointConfigName": "config", "ProductionVariants": [VARIANT]}
PARTS = {"describe": "endpoint", "series": "cloudwatch", "activities": "scaling_activities", "alarms": "alarms"}


class Scripted:
    """Answers as the three hooks do, and keeps what it was asked."""

    def __init__(self, endpoint, refused=()):
        self.endpoint = endpoint
        self.refused = refused
        self.asked = []

    def answer(self, operation, *asked):
        self.asked.append((operation, *asked))
        if operation in self.refused:
            raise AwsError(f"Cannot {operation}", why="ThrottlingException", transient=True)

    def describe_endpoint(self, name):
        self.answer("describe", name)
        return self.endpoint

    def series(self, *asked):
        self.answer("series", *asked)
        return [MetricSeries("Invocations", "Sum", "model-a", "None", (BEGAN,), (3.0,))]

    def activities(self, *asked):
        self.answer("activities", *asked)
        return [ScalingActivity("endpoint/iris/variant/model-a", BEGAN, None, "Setting", "an alarm", "InProgress")]

    def alarms(self, *asked):
        self.answer("alarms", *asked)
        return [WatchedAlarm("high", "ALARM", (StateChange(BEGAN, "OK", "ALARM", "2 > 1"),))]


def gathered(endpoint, refused=(), **more):
    aws = Scripted(endpoint, refused)
    return aws, collect("iris", BEGAN, ENDED, sagemaker=aws, cloudwatch=aws, autoscaling=aws, **more)


def test_parts_are_json_that_the_page_takes():
    aws, found = gathered(ENDPOINT, model="iris-model", environment="production")
    assert aws.asked == [
        ("describe", "iris"),
        ("series", "iris", ["model-a"], BEGAN.timestamp(), ENDED.timestamp()),
        ("activities", "iris", ["model-a"], BEGAN, ENDED),
        ("alarms", "iris", BEGAN, ENDED),
    ]
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
        "missing": {},
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


@pytest.mark.parametrize("refused", ["series", "activities", "alarms"])
def test_a_part_that_cannot_be_read_costs_the_others_nothing(refused):
    _, whole = gathered(ENDPOINT)
    _, found = gathered(ENDPOINT, [refused])
    part = PARTS[refused]
    assert found.pop("missing") == {part: f"Cannot {refused}: ThrottlingException"}
    assert found == {name: value for name, value in whole.items() if name not in (part, "missing")}
    written = render({"load": load(), **found, "missing": {part: "ThrottlingException"}})
    assert "This could not be read: ThrottlingException" in written


def test_without_the_endpoints_description_its_alarms_are_left():
    aws, found = gathered(ENDPOINT, ["describe"])
    assert [operation for operation, *_ in aws.asked] == ["describe", "alarms"]
    assert found["alarms"] and found.keys() == {"alarms", "missing"}
    assert found["missing"].keys() == {"endpoint", "cloudwatch", "scaling_activities"}
    assert render({"load": load(), **found}).count("This could not be read") == 4


@pytest.mark.parametrize(("refused", "waits"), [(["alarms"], True), (["series", "alarms"], False)])
def test_after_one_wait_in_vain_the_other_parts_are_asked_for_once(monkeypatch, refused, waits):
    class Patient(Scripted):
        log = logging.getLogger("evidence")
        alarms = patient(Scripted.alarms)

    monkeypatch.setenv("AIRFLOW__SLIPWAY__AWS_PATIENCE_SECONDS", "0.3")
    aws = Patient(ENDPOINT, refused)
    found = collect("iris", BEGAN, ENDED, sagemaker=aws, cloudwatch=aws, autoscaling=aws)
    assert found["missing"].keys() == {PARTS[operation] for operation in refused}
    assert ([operation for operation, *_ in aws.asked].count("alarms") > 1) is waits
