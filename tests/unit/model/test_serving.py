"""Guardrails, alarms, schedules, champion and golden set of a model file: what they take and what they refuse."""

import pytest
from pydantic import ValidationError

from slipway.errors import ModelFileError
from slipway.model.config import ModelConfig
from slipway.model.files import load_model
from slipway.model.serving import Alarms, Champion, GoldenSet, Guardrails, ScheduledAction
from tests.unit.request_samples import ROOT, iris_model

ALARMS = {"error_5xx_share": 0.01, "periods": 2}
CANARY = {"strategy": "canary", "step_percent": 10, "wait_seconds": 300}
TOPIC = "arn:aws:sns:us-west-2:123456789012:slipway-releases"
MORNING = {"name": "morning", "schedule": "cron(0 7 ? * MON-FRI *)", "min_capacity": 2, "max_capacity": 10}


def with_sections(**sections) -> ModelConfig:
    return ModelConfig.model_validate(iris_model().model_dump() | sections)


def message(error) -> str:
    return str(error.value)


@pytest.mark.parametrize(
    "fields",
    [
        {"strategy": "all_at_once", "wait_seconds": 300, "termination_wait_seconds": 120},
        CANARY,
        {"strategy": "linear", "step_instances": 1, "wait_seconds": 0},
        {"strategy": "rolling", "step_percent": 5, "wait_seconds": 60},
    ],
    ids=lambda fields: fields["strategy"],
)
def test_each_strategy_has_its_form(fields):
    assert Guardrails.model_validate(fields).strategy.value == fields["strategy"]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({**CANARY, "strategy": "blue_green"}, "'all_at_once', 'canary', 'linear' or 'rolling'"),
        ({**CANARY, "strategy": "all_at_once"}, "no step with all_at_once"),
        ({**CANARY, "step_instances": 1}, "either step_percent or step_instances with canary"),
        ({"strategy": "linear", "wait_seconds": 60}, "either step_percent or step_instances with linear"),
        ({**CANARY, "step_percent": 51}, "less than or equal to 50"),
        ({**CANARY, "strategy": "linear", "step_percent": 9}, "a step_percent from 10 to 50 with linear"),
        ({**CANARY, "strategy": "rolling", "step_percent": 4}, "a step_percent from 5 to 50 with rolling"),
        (
            {"strategy": "rolling", "step_percent": 50, "wait_seconds": 0, "termination_wait_seconds": 1},
            "no termination_wait_seconds with rolling",
        ),
        ({**CANARY, "wait_seconds": 900}, "a maximum_seconds above the 1800 s"),
        ({**CANARY, "strategy": "linear"}, "a maximum_seconds above the 3000 s"),
        ({**CANARY, "wait_seconds": 3601}, "less than or equal to 3600"),
        ({**CANARY, "maximum_seconds": 599}, "greater than or equal to 600"),
    ],
)
def test_guardrails_that_sagemaker_would_refuse_are_refused(fields, expected):
    with pytest.raises(ValidationError) as error:
        Guardrails.model_validate(fields)
    assert expected in message(error)


@pytest.mark.parametrize("bound", [{"error_5xx_share": 0.0000004}, {"model_error_share": 0.9999999}])
def test_a_share_that_the_template_would_round_is_refused(bound):
    with pytest.raises(ValidationError, match="at most six decimals"):
        Alarms(**bound)
    assert Alarms(error_5xx_share=0.000001).error_5xx_share == 0.000001


def test_a_latency_is_at_least_a_microsecond():
    with pytest.raises(ValidationError, match=r"greater than or equal to 0\.001"):
        Alarms(latency_p99_ms=0.0004)


def test_alarms_watch_something():
    with pytest.raises(ValidationError, match="at least one of error_5xx_share"):
        Alarms.model_validate({"periods": 2})
    with pytest.raises(ValidationError, match="a period_seconds of 60"):
        Alarms.model_validate({**ALARMS, "period_seconds": 45})
    assert Alarms.model_validate({**ALARMS, "period_seconds": 300}).seconds_to_fire == 960


@pytest.mark.parametrize(
    "schedule",
    [
        "cron(0 7 ? * MON,TUE *)",
        "cron(0/15 8-17 LW JAN-mar ? 2026-2030)",
        "cron(*/90 0 ? * 6#3 *)",
        "cron(0 0 L * ? *)",
        "cron(30 6 * * 2 *)",
        "rate(2 hours)",
        "at(2026-12-24T18:00:00)",
        "at(2028-02-29T23:59:59)",
    ],
)
def test_a_schedule_is_one_of_aws(schedule):
    action = ScheduledAction.model_validate({**MORNING, "schedule": schedule, "timezone": "Europe/Berlin"})
    assert (action.schedule, action.timezone) == (schedule, "Europe/Berlin")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"schedule": "at(2026-24-12T18:00:00)"}, "a date and a time that exist"),
        ({"schedule": "at(2027-02-29T18:00:00)"}, "a date and a time that exist"),
        ({"schedule": "cron(60 7 ? * MON *)"}, "minutes from 0 to 59"),
        ({"schedule": "cron(0 24 ? * MON *)"}, "hours from 0 to 23"),
        ({"schedule": "cron(0 7 ? * MO *)"}, "weekdays from 1 to 7"),
        ({"schedule": "cron(0 7 32 * ? *)"}, "days of the month"),
        ({"schedule": "cron(0 7 ? MON * *)"}, "months from 1 to 12"),
        ({"schedule": "cron(0 7 ? * MON 26)"}, "years from 1970"),
        ({"schedule": "0 7 * * *"}, "String should match"),
        ({"schedule": "cron(0 7 * * *)"}, "String should match"),
        ({"schedule": "cron(0 7 ? * MON|TUE *)"}, "String should match"),
        ({"name": "in the morning"}, "String should match"),
        ({"timezone": "Europe/Atlantis"}, "the name of a time zone"),
        ({"min_capacity": 11}, "a min_capacity that is not above max_capacity"),
    ],
)
def test_a_bad_schedule_is_refused(changes, expected):
    with pytest.raises(ValidationError) as error:
        ScheduledAction.model_validate({**MORNING, **changes})
    assert expected in message(error)


def test_a_champion_has_one_rule():
    assert Champion.model_validate({"not_worse_than": 0.02, "latency_p99_not_worse_than_ms": 5})
    for fields in ({}, {"better_by_at_least": 0.1, "not_worse_than": 0.1}, {"latency_p99_not_worse_than_ms": 5}):
        with pytest.raises(ValidationError, match="either better_by_at_least or not_worse_than"):
            Champion.model_validate(fields)


def test_a_golden_set_is_in_s3():
    assert GoldenSet.model_validate({"data": "s3://mlops-{region}-{account}/iris-model/input/golden.csv"})
    with pytest.raises(ValidationError, match="an S3 URI with a key"):
        GoldenSet.model_validate({"data": "golden.csv"})


@pytest.mark.parametrize(
    ("sections", "expected"),
    [
        ({"deployment": CANARY, "alarms": None}, "alarms beside deployment"),
        (
            {"approval": {"approvers": ["alice"]}, "alarms": ALARMS},
            "alarms.topic, news.topic or approval.topic beside alarms",
        ),
        (
            {"deployment": {**CANARY, "wait_seconds": 239}, "alarms": ALARMS},
            "at least the 240 s that an alarm may take",
        ),
        (
            {"deployment": {**CANARY, "maximum_seconds": 3600}, "alarms": ALARMS},
            "a timeouts.stack_seconds above deployment.maximum_seconds, 3600",
        ),
        ({"scaling_schedule": [MORNING, MORNING]}, "every entry once"),
        ({"scaling_schedule": [{**MORNING, "max_capacity": 11}]}, "policy.endpoint.max_instance_count, 10"),
        ({"scaling_schedule": [{**MORNING, "name": f"n{number}"} for number in range(5)]}, "at most 4"),
    ],
)
def test_sections_that_do_not_fit_together_are_refused(sections, expected):
    with pytest.raises(ValidationError) as error:
        with_sections(**sections)
    assert expected in message(error)


def test_alarms_without_a_topic_may_guard_deployments():
    nobody_told = {"approval": {"approvers": ["alice"]}, "alarms": ALARMS}
    assert with_sections(**nobody_told, deployment=CANARY).deployment
    assert with_sections(**nobody_told | {"alarms": {**ALARMS, "topic": TOPIC}}).alarms


def test_a_mistake_is_told_with_file_and_field(tmp_path):
    path = tmp_path / "a-model.yaml"
    path.write_text((ROOT / "include/models/iris-model.yaml").read_text().replace("error_5xx_share:", "error_5xx:"))
    with pytest.raises(ModelFileError, match=r"a-model\.yaml.*field alarms\.error_5xx.*did you mean error_5xx_share"):
        load_model(path)
