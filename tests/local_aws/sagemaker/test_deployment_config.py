"""DeploymentConfig: what is refused and why, and the steps of its policy."""

import pytest

from local_aws.compute.endpoint_update import Bake, Interrupted
from local_aws.compute.update_policy import CapacitySize, RolledBack, UpdatePolicy, portion, shares
from local_aws.framework.api import ServiceError
from local_aws.sagemaker.deployment_config import check, has_guardrails, update_policy
from local_aws.settings import Clock


def percent(value):
    return {"Type": "CAPACITY_PERCENT", "Value": value}


def count(value):
    return {"Type": "INSTANCE_COUNT", "Value": value}


def routed(kind, wait=60, termination_wait=None, timeout=None, **routing):
    policy = {"TrafficRoutingConfiguration": {"Type": kind, "WaitIntervalInSeconds": wait, **routing}}
    if termination_wait is not None:
        policy["TerminationWaitInSeconds"] = termination_wait
    if timeout is not None:
        policy["MaximumExecutionTimeoutInSeconds"] = timeout
    return {"BlueGreenUpdatePolicy": policy}


def rolling(size, wait=60, **policy):
    return {"RollingUpdatePolicy": {"MaximumBatchSize": size, "WaitIntervalInSeconds": wait, **policy}}


def plan(deployment, old=("model-a",), **new):
    check(deployment)
    return update_policy(deployment, old, new or {"model-a": 4})


ONE, THREE = {"model-a": 1}, {"model-a": 3}


@pytest.mark.parametrize(
    ("deployment", "variants", "text"),
    [
        (routed("ALL_AT_ONCE") | rolling(count(1)), {}, "Only one update policy"),
        (routed("CANARY"), {}, "CanarySize must be specified for CANARY"),
        (routed("LINEAR"), {}, "LinearStepSize must be specified for LINEAR"),
        (routed("LINEAR", CanarySize=percent(10), LinearStepSize=percent(10)), {}, "CanarySize must not be specified"),
        (routed("ALL_AT_ONCE", CanarySize=percent(10)), {}, "CanarySize must not be specified for ALL_AT_ONCE"),
        (routed("CANARY", CanarySize=percent(51)), {}, "CanarySize is 51%; it must be less than or equal to 50%"),
        (routed("CANARY", CanarySize=count(1)), ONE, "CanarySize is 1 of the 1 instance(s) of variant model-a"),
        (routed("CANARY", CanarySize=count(2)), THREE, "CanarySize is 2 of the 3 instance(s)"),
        (routed("LINEAR", LinearStepSize=percent(9)), {}, "LinearStepSize is 9%; it must be between 10% and 50%"),
        (routed("LINEAR", LinearStepSize=percent(60)), {}, "LinearStepSize is 60%"),
        (routed("LINEAR", LinearStepSize=count(1)), {"model-a": 11}, "LinearStepSize is 1 of the 11 instance(s)"),
        (rolling(percent(4)), {}, "MaximumBatchSize is 4%; it must be between 5% and 50%"),
        (rolling(percent(51)), {}, "MaximumBatchSize is 51%"),
        (rolling(count(1)), ONE, "MaximumBatchSize is 1 of the 1 instance(s)"),
        (rolling(count(1), RollbackMaximumBatchSize=percent(101)), {}, "RollbackMaximumBatchSize is 101%"),
        (rolling(count(1), RollbackMaximumBatchSize=count(5)), {}, "RollbackMaximumBatchSize is 5 of the 4"),
        (rolling(count(1)), {"model-a": 2, "model-b": 2}, "not supported for endpoints with multiple variants"),
        (routed("CANARY", CanarySize=percent(10)), {"model-z": 4}, "must have the same variant names"),
        (routed("ALL_AT_ONCE"), {"model-a": 1, "model-z": 1}, "must have the same variant names"),
        (
            routed("LINEAR", wait=300, termination_wait=300, timeout=1200, LinearStepSize=percent(25)),
            {},
            "MaximumExecutionTimeoutInSeconds 1200 must be larger than the total waiting time of 1200 seconds",
        ),
        (
            rolling(count(1), wait=300, MaximumExecutionTimeoutInSeconds=1200),
            {},
            "larger than the total waiting time of 1200",
        ),
    ],
)
def test_refused(deployment, variants, text):
    old = variants if "model-b" in variants else ("model-a",)
    with pytest.raises(ServiceError) as caught:
        plan(deployment, old, **variants)
    assert (caught.value.code, text in caught.value.message) == ("ValidationException", True), caught.value.message


def test_no_policy_moves_everything_at_once_whatever_the_variants_are():
    alarms = {"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "errors"}]}}
    assert plan(alarms, ("model-a",), **{"model-z": 1}) == UpdatePolicy(alarms=("errors",))


def test_what_a_request_says_is_in_the_policy():
    found = plan(routed("CANARY", wait=60, termination_wait=30, timeout=600, CanarySize=percent(30)))
    assert found == UpdatePolicy("canary", CapacitySize(30, percent=True), 60, 30, 600)
    # Blue/green allows several variants, with the same names.
    both = {"model-a": 2, "model-b": 4}
    assert plan(routed("CANARY", CanarySize=count(1)), both, **both).size == CapacitySize(1, percent=False)
    found = plan(rolling(count(2), RollbackMaximumBatchSize=percent(50)))
    assert (found.kind, found.size, found.rollback_size) == ("rolling", CapacitySize(2, False), CapacitySize(50, True))


@pytest.mark.parametrize(
    ("kind", "size", "instances", "steps"),
    [
        ("all", percent(100), 3, [1.0]),
        ("canary", percent(30), 3, [0.3, 1.0]),
        ("canary", count(1), 4, [0.25, 1.0]),
        ("linear", percent(50), 1, [0.5, 1.0]),
        ("linear", percent(40), 5, [0.4, 0.8, 1.0]),
        ("linear", count(1), 3, [1 / 3, 2 / 3, 1.0]),
        ("rolling", count(2), 5, [0.4, 0.8, 1.0]),
    ],
)
def test_steps(kind, size, instances, steps):
    sized = CapacitySize(size["Value"], percent=size["Type"] == "CAPACITY_PERCENT")
    assert UpdatePolicy(kind, sized).steps(instances) == pytest.approx(steps)


def test_instances_are_whole_and_shares_end_at_the_whole():
    assert [portion(share, 3) for share in (0.1, 1 / 3, 0.5, 2 / 3, 1.0)] == [1, 1, 2, 2, 3]
    for step, count_of_steps in {0.05: 20, 0.1: 10, 0.3: 4, 1 / 3: 3, 0.5: 2, 1.0: 1}.items():
        assert (len(shares(step)), shares(step)[-1]) == (count_of_steps, 1.0)


def test_endpoints_on_inf1_have_no_guardrails():
    assert has_guardrails([{"InstanceType": "ml.m4.xlarge"}])
    assert not has_guardrails([{"InstanceType": "ml.m4.xlarge"}, {"InstanceType": "ml.inf1.xlarge"}])


class ScriptedWatch:
    """Answers each check of the alarms with the next item of a list, and then always with the last."""

    def __init__(self, *looks, goes_down=False):
        self.looks = list(looks)
        self.goes_down = goes_down
        self.stages = []

    def report(self, stage):
        self.stages.append(stage)

    def tripped(self):
        return self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]

    def wait(self, seconds):
        return self.goes_down


def bake(watch, scale=1e4, timeout=28800, seconds=600):
    step = Bake(UpdatePolicy(timeout_seconds=timeout), watch, Clock(scale))
    step.step({"model-a": 1}, "canary", "WaitIntervalInSeconds", seconds)


def test_bake_looks_at_the_alarms_until_its_end():
    watch = ScriptedWatch(None)
    bake(watch)
    assert [(stage.status, stage.new) for stage in watch.stages] == [
        ("ActivatingTraffic", {"model-a": 1}),
        ("Baking", {"model-a": 1}),
    ]
    assert watch.stages[-1].messages == {
        "model-a": "Baking for 600 seconds (WaitIntervalInSeconds) with traffic enabled on canary capacity of "
        "1 instance(s)."
    }
    with pytest.raises(RolledBack, match="breached"):
        bake(ScriptedWatch(None, None, "breached"), scale=1)


def test_bake_without_time_still_looks_at_the_alarms_once():
    with pytest.raises(RolledBack, match="breached"):
        bake(ScriptedWatch("breached"), seconds=0)


def test_bake_ends_with_the_deployments_time():
    with pytest.raises(RolledBack, match="MaximumExecutionTimeoutInSeconds of 600"):
        bake(ScriptedWatch(None), scale=1e9, timeout=600, seconds=0)


def test_bake_ends_with_the_local_aws():
    with pytest.raises(Interrupted):
        bake(ScriptedWatch(None, goes_down=True), scale=1)
