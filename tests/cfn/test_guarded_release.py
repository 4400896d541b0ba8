"""A release with guardrails: an alarm rolls production back, the task names it, and the next release succeeds."""

import pytest

from slipway.errors import StackFailed
from slipway.model.config import ModelConfig
from tests.cfn.releases import PRD, Model
from tests.local_aws.bad_models import crashing_model_data, refusing_model_data
from tests.local_aws.hooks import lead_hooks_to
from tests.local_aws.load import Load
from tests.local_aws.sagemaker_cases import ROWS, model_data, predict

pytestmark = pytest.mark.local_aws

# Well below the half of the requests that the canary answers.
ALARMS = {"error_5xx_share": 0.2, "model_error_share": 0.2}
# Requests a second.
RATE = 50
CANARY = {"strategy": "canary", "step_percent": 50, "wait_seconds": 180}


@pytest.fixture
def aws(fast_aws, monkeypatch):
    """The account in which a minute lasts a second, as the hooks' AWS."""
    lead_hooks_to(fast_aws.endpoint_url, monkeypatch)
    return fast_aws


@pytest.fixture
def model(aws) -> Model:
    made = Model(aws)
    timeouts = made.config.timeouts.model_dump() | {"stack_seconds": 10_000}
    change(made, alarms=ALARMS, deployment=CANARY, timeouts=timeouts)
    return made


def change(model: Model, **sections) -> None:
    model.config = ModelConfig.model_validate(model.config.model_dump() | sections)


def release(model, url, **production):
    return model.release(url, ABTests=False, InitialInstanceCount=2, AutoScaling=None, **production).approve()


def alarms(aws) -> dict[str, str]:
    return {
        alarm["AlarmName"]: alarm["StateValue"]
        for alarm in aws.client("cloudwatch").describe_alarms(AlarmNamePrefix="slipway-")["MetricAlarms"]
    }


def test_an_alarm_takes_production_back_and_the_task_says_which(aws, model):
    good = release(model, model_data(aws))
    assert good.deploy(PRD)["change"] == "created"
    name, stack = good.plan.endpoint(PRD), good.plan.stack(PRD)
    before = aws.client("sagemaker").describe_endpoint(EndpointName=name)["EndpointConfigName"]
    ours = {f"slipway-{name}-{before}-model-a-{kind}" for kind in ("5xx", "model-errors")}
    assert ours <= alarms(aws).keys()

    quick = model.config
    # Long enough for the alarm on a busy machine; the alarm ends the wait.
    change(model, deployment=CANARY | {"wait_seconds": 3000, "maximum_seconds": 7200})
    # What the model answers with 400, and that it breaks off without an answer, which is a 5xx.
    for bad, kind in ((refusing_model_data(aws), "model-errors"), (crashing_model_data(aws), "5xx")):
        with (
            Load(aws, name, ROWS[0], RATE),
            pytest.raises(StackFailed, match=r"UPDATE_ROLLBACK_COMPLETE; Endpoint .*; the alarm slipway-.*") as failure,
        ):
            release(model, bad).deploy(PRD)
        fired = str(failure.value).partition("the alarm ")[2]
        assert f"-model-a-{kind} fired at" in fired and "hreshold" in fired
    assert aws.stack(stack)["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    after = aws.client("sagemaker").describe_endpoint(EndpointName=name)
    assert (after["EndpointStatus"], after["EndpointConfigName"]) == ("InService", before)
    assert predict(aws, name, ROWS[0]) == (0, "model-a")
    # The resources of the failed update are removed.
    assert {alarm for alarm in alarms(aws) if name in alarm} == ours

    model.config = quick
    third = release(model, model_data(aws, label_shift=1))
    with Load(aws, name, ROWS[0], RATE):
        assert third.deploy(PRD)["change"] == "updated"
    assert predict(aws, name, ROWS[0]) == (1, "model-a")
    assert third.deploy(PRD)["change"] == "unchanged"
    assert not ours & alarms(aws).keys()


def test_a_trial_that_is_live_keeps_guardrails_from_beginning(aws, model):
    guarded = model.config
    change(model, deployment=None)
    for shift in (0, 1):
        trial = model.release(model_data(aws, label_shift=shift), InitialVariantWeight=0.1).approve()
        trial.deploy(PRD)
    model.config = guarded
    with pytest.raises(StackFailed, match=r"exclude this update.*live are model-a and model-b.*exclusions\.html"):
        release(model, model_data(aws)).deploy(PRD)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (
            {"strategy": "all_at_once", "step_percent": None, "termination_wait_seconds": 60},
            {
                "BlueGreenUpdatePolicy": {
                    "TrafficRoutingConfiguration": {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 180},
                    "TerminationWaitInSeconds": 60,
                    "MaximumExecutionTimeoutInSeconds": 1800,
                }
            },
        ),
        (
            {"strategy": "linear", "step_percent": 50},
            {
                "BlueGreenUpdatePolicy": {
                    "TrafficRoutingConfiguration": {
                        "Type": "LINEAR",
                        "WaitIntervalInSeconds": 180,
                        "LinearStepSize": {"Type": "CAPACITY_PERCENT", "Value": 50},
                    },
                    "TerminationWaitInSeconds": 0,
                    "MaximumExecutionTimeoutInSeconds": 1800,
                }
            },
        ),
        (
            {"strategy": "rolling", "step_percent": None, "step_instances": 1},
            {
                "RollingUpdatePolicy": {
                    "MaximumBatchSize": {"Type": "INSTANCE_COUNT", "Value": 1},
                    "WaitIntervalInSeconds": 180,
                    "MaximumExecutionTimeoutInSeconds": 1800,
                }
            },
        ),
    ],
    ids=["all at once", "linear", "rolling"],
)
def test_each_strategy_reaches_sagemaker_as_it_is_meant(aws, model, fields, expected):
    wanted = {name: value for name, value in (CANARY | fields).items() if value is not None}
    change(model, deployment=wanted)
    for shift in (0, 1):
        last = release(model, model_data(aws, label_shift=shift))
        last.deploy(PRD)
    found = aws.client("sagemaker").describe_endpoint(EndpointName=last.plan.endpoint(PRD))
    config = dict(found["LastDeploymentConfig"])
    watched = {alarm["AlarmName"] for alarm in config.pop("AutoRollbackConfiguration")["Alarms"]}
    name = f"slipway-{found['EndpointName']}-{found['EndpointConfigName']}-model-a"
    assert (config, watched) == (expected, {f"{name}-5xx", f"{name}-model-errors"})
    assert predict(aws, last.plan.endpoint(PRD), ROWS[0]) == (1, "model-a")
