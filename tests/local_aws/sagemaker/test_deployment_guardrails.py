"""Deployments in steps, watched by alarms, under a constant load: only requests that the new model answers may fail."""

import time

import pytest

from tests.local_aws.bad_models import crashing_model_data
from tests.local_aws.load import Clients, plausible
from tests.local_aws.sagemaker_cases import (
    ROWS,
    create_config,
    create_model,
    lend_model_data,
    refused,
    unique,
    variant,
    wait_for_endpoint,
)
from tests.local_aws.server import eventually

pytestmark = pytest.mark.local_aws
# The time scale of fast_aws.
SCALE = 60


@pytest.fixture(scope="module")
def aws(fast_aws):
    return fast_aws


@pytest.fixture(scope="module")
def sagemaker(aws):
    return aws.client("sagemaker")


@pytest.fixture(scope="module")
def models(aws, local_aws):
    """A model that answers the class of a row, and one that answers the class after that."""
    return [create_model(aws, lend_model_data(local_aws, aws, shift)) for shift in (0, 1)]


@pytest.fixture
def alarm(aws):
    """An alarm whose state the test sets."""
    cloudwatch, name = aws.client("cloudwatch"), unique("alarm")
    cloudwatch.put_metric_alarm(
        AlarmName=name,
        Namespace="Tests",
        MetricName=name,
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanThreshold",
        TreatMissingData="ignore",
    )
    return lambda state="OK": cloudwatch.set_alarm_state(AlarmName=name, StateValue=state, StateReason="test") and name


class Endpoint:
    """An endpoint that all tests share, because a start takes seconds.

    :param answers: what the two models answer to the load's row; the first one serves
    """

    def __init__(self, aws, models):
        self.aws, self.name = aws, unique("guarded")
        self.sagemaker = aws.client("sagemaker")
        self.models = models
        self.answers = ["200 0.0", "200 1.0"]
        self.config = create_config(aws, variant(models[0]))
        self.sagemaker.create_endpoint(EndpointName=self.name, EndpointConfigName=self.config)
        assert self.settled()["EndpointStatus"] == "InService"

    def settled(self):
        return wait_for_endpoint(self.aws, self.name)

    def describe(self):
        return self.sagemaker.describe_endpoint(EndpointName=self.name)

    def update(self, deployment=None, instances=1, config=None, **more):
        """Begin to deploy a configuration, by default the model that does not serve; return its name."""
        config = config or create_config(self.aws, variant(self.models[1], InitialInstanceCount=instances))
        parameters = more | ({"DeploymentConfig": deployment} if deployment else {})
        self.sagemaker.update_endpoint(EndpointName=self.name, EndpointConfigName=config, **parameters)
        return config

    def scale(self, instances):
        """Change the number of instances."""
        change = [{"VariantName": "model-a", "DesiredInstanceCount": instances}]
        self.sagemaker.update_endpoint_weights_and_capacities(
            EndpointName=self.name, DesiredWeightsAndCapacities=change
        )
        self.settled()

    def stage(self):
        """The new variant's status, its message and its start."""
        variants = self.describe().get("PendingDeploymentSummary", {}).get("ProductionVariants", [{}])
        (stage,) = variants[0].get("VariantStatus", [{}])
        return stage.get("Status"), stage.get("StatusMessage", ""), stage.get("StartTime")

    def baking(self, words):
        """Wait until it bakes."""
        return eventually(self.stage, lambda seen: seen[0] == "Baking" and words in seen[1])

    def bake(self, words, seconds, after=0.0):
        """Wait for a bake of so many seconds of AWS's; return when it began and when it will be over."""

        def found(seen):
            status, message, start = seen
            return status == "Baking" and words in message and start.timestamp() > after

        start = eventually(self.stage, found)[2].timestamp()
        return start, start + seconds / SCALE

    def promoted(self, config):
        """Expect the update to have succeeded."""
        live = self.settled()
        assert (live["EndpointStatus"], live["EndpointConfigName"]) == ("InService", config), live
        assert "FailureReason" not in live
        assert "PendingDeploymentSummary" not in live
        self.config = config
        self.models.reverse()
        self.answers.reverse()
        return live

    def taken_back(self):
        """Expect the update to have been rolled back."""
        back = self.settled()
        assert (back["EndpointStatus"], back["EndpointConfigName"]) == ("InService", self.config), back
        assert "PendingDeploymentSummary" not in back
        return back


@pytest.fixture(scope="module")
def shared(aws, models):
    return Endpoint(aws, models)


@pytest.fixture
def endpoint(shared):
    """The endpoint, without a running update."""
    shared.settled()
    return shared


def blue_green(kind, *alarms, wait=0, termination_wait=0, **routing):
    """Return a DeploymentConfig with a BlueGreenUpdatePolicy."""
    policy = {
        "TrafficRoutingConfiguration": {"Type": kind, "WaitIntervalInSeconds": wait, **routing},
        "TerminationWaitInSeconds": termination_wait,
    }
    return {"BlueGreenUpdatePolicy": policy} | rollback_by(*alarms)


def rolling(*alarms, wait=0, **policy):
    """Return a DeploymentConfig with a RollingUpdatePolicy of one instance at a time."""
    size = {"Type": "INSTANCE_COUNT", "Value": 1}
    return {"RollingUpdatePolicy": {"MaximumBatchSize": size, "WaitIntervalInSeconds": wait, **policy}} | rollback_by(
        *alarms
    )


def rollback_by(*alarms):
    return {"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": name} for name in alarms]}} if alarms else {}


def percent(value):
    return {"Type": "CAPACITY_PERCENT", "Value": value}


def assert_share(load, answers, share, *bounds):
    """Compare the new model's share of the answers within a time with the expected one."""
    counts = load.outcomes(*bounds)
    assert set(counts) <= set(answers)
    assert counts
    assert plausible(counts[answers[1]], sum(counts.values()), share), counts


def outcomes_from_now(load, count=50):
    """Wait for so many requests that are sent from now on; return their outcomes."""
    since = time.time()
    return set(eventually(lambda: load.outcomes(since), lambda counts: sum(counts.values()) > count))


def test_canary_is_watched_and_promoted(aws, endpoint, alarm):
    size = {"Type": "INSTANCE_COUNT", "Value": 1}
    deployment = blue_green("CANARY", alarm(), wait=240, termination_wait=240, CanarySize=size)
    old, new = endpoint.answers
    with Clients(aws, endpoint.name, ROWS[0]) as load:
        config = endpoint.update(deployment, instances=2)
        canary = endpoint.bake("240 seconds (WaitIntervalInSeconds) with traffic enabled on canary capacity of 1 ", 240)
        full = endpoint.bake("240 seconds (TerminationWaitInSeconds) with traffic enabled on full capacity of 2 ", 240)
        live = endpoint.promoted(config)
    assert_share(load, (old, new), 0.5, *canary)
    assert set(load.outcomes(*full)) == {new}
    assert set(load.outcomes()) == {old, new}
    assert live["LastDeploymentConfig"] == deployment
    assert live["ProductionVariants"][0]["CurrentInstanceCount"] == 2


def test_rolling_batches_taken_back_and_promoted(aws, endpoint, alarm):
    endpoint.scale(2)
    old, new = endpoint.answers
    with Clients(aws, endpoint.name, ROWS[0]) as load:
        endpoint.update(rolling(alarm(), wait=240), instances=2)
        first = endpoint.bake("(WaitIntervalInSeconds) with traffic enabled on rolling batch capacity of 1 ", 240)
        endpoint.baking("capacity of 2 ")
        assert_share(load, (old, new), 0.5, *first)
        # The first batch has replaced an instance; the second is watched before it replaces one.
        seen = endpoint.describe()
        assert seen["ProductionVariants"][0]["CurrentInstanceCount"] == 1
        assert seen["PendingDeploymentSummary"]["ProductionVariants"][0]["CurrentInstanceCount"] == 2
        alarm("ALARM")
        back = endpoint.taken_back()
        assert back["ProductionVariants"][0]["CurrentInstanceCount"] == 2
        assert outcomes_from_now(load) == {old}
        alarm("OK")
        endpoint.promoted(endpoint.update(rolling(alarm()), instances=2))
    assert set(load.outcomes()) == {old, new}


def test_alarm_takes_a_canary_back(aws, endpoint, alarm):
    old, new = endpoint.answers
    with Clients(aws, endpoint.name, ROWS[0]) as load:
        config = endpoint.update(blue_green("CANARY", alarm(), wait=3600, CanarySize=percent(20)))
        endpoint.baking("canary capacity of 1 ")
        pending = endpoint.describe()["PendingDeploymentSummary"]
        assert (pending["EndpointConfigName"], pending["ProductionVariants"][0]["CurrentInstanceCount"]) == (config, 1)
        since = time.time()
        outcomes_from_now(load, 400)
        assert_share(load, (old, new), 0.2, since, time.time())
        breached = alarm("ALARM")
        back = endpoint.taken_back()
        assert f'Alarm(s) "{breached}" specified in AutoRollbackConfiguration are in ALARM' in back["FailureReason"]
        assert outcomes_from_now(load) == {old}
    assert set(load.outcomes()) == {old, new}


def test_alarm_takes_back_what_has_all_the_traffic(aws, sagemaker, endpoint, alarm):
    old, new = endpoint.answers
    named = {"EndpointName": endpoint.name}
    weights = [{"VariantName": "model-a", "DesiredWeight": 1.0}]
    with Clients(aws, endpoint.name, ROWS[0]) as load:
        config = endpoint.update(blue_green("ALL_AT_ONCE", alarm(), termination_wait=3600))
        endpoint.baking("full capacity")
        assert outcomes_from_now(load) == {new}
        for call in (
            lambda: sagemaker.update_endpoint_weights_and_capacities(**named, DesiredWeightsAndCapacities=weights),
            lambda: sagemaker.update_endpoint(**named, EndpointConfigName=config),
            lambda: sagemaker.delete_endpoint(**named),
        ):
            refused(call, "ValidationException", "Cannot update in-progress endpoint")
        alarm("ALARM")
        endpoint.taken_back()
        assert outcomes_from_now(load) == {old}
    assert set(load.outcomes()) == {old, new}


def test_alarm_that_is_on_already_ends_the_deployment_before_it_begins(aws, endpoint, alarm):
    old, _ = endpoint.answers
    deployment = blue_green("CANARY", alarm("ALARM"), CanarySize=percent(10))
    with Clients(aws, endpoint.name, ROWS[0]) as load:
        endpoint.update(deployment)
        assert "are in ALARM state" in endpoint.taken_back()["FailureReason"]
        # The last deployment configuration applies only if the request retains it.
        endpoint.update(RetainDeploymentConfig=True)
        assert "are in ALARM state" in endpoint.taken_back()["FailureReason"]
    assert set(load.outcomes()) == {old}
    assert endpoint.describe()["LastDeploymentConfig"] == deployment


def test_crashing_canary_trips_its_alarm_and_fails_only_what_it_was_asked(aws, endpoint):
    old, _ = endpoint.answers
    crashing = create_config(aws, variant(create_model(aws, crashing_model_data(aws))))
    alarm = unique("errors")
    aws.client("cloudwatch").put_metric_alarm(
        AlarmName=alarm,
        Namespace="AWS/SageMaker",
        MetricName="Invocation5XXErrors",
        Dimensions=[
            {"Name": "EndpointName", "Value": endpoint.name},
            {"Name": "VariantName", "Value": "model-a"},
            # Metrics of the new fleet only.
            {"Name": "EndpointConfigName", "Value": crashing},
        ],
        Statistic="Sum",
        Period=300,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
        TreatMissingData="notBreaching",
    )
    with Clients(aws, endpoint.name, ROWS[0]) as load:
        endpoint.update(blue_green("CANARY", alarm, wait=3600, CanarySize=percent(50)), config=crashing)
        assert f'"{alarm}"' in endpoint.taken_back()["FailureReason"]
        assert outcomes_from_now(load) == {old}
    failed = set(load.outcomes()) - {old}
    # While a crashed server restarts, the old fleet gets its share.
    assert {outcome.split()[0] for outcome in failed} == {"424"}, failed


def test_linear_steps(aws, endpoint):
    old, new = endpoint.answers
    with Clients(aws, endpoint.name, ROWS[0]) as load:
        config = endpoint.update(blue_green("LINEAR", wait=240, LinearStepSize=percent(40)))
        # One instance cannot be divided: it is active from the first step, so both steps have the same text.
        words = "240 seconds (WaitIntervalInSeconds) with traffic enabled on linear step capacity of 1 "
        first = endpoint.bake(words, 240)
        second = endpoint.bake(words, 240, after=first[0])
        endpoint.promoted(config)
    assert_share(load, (old, new), 0.4, *first)
    assert_share(load, (old, new), 0.8, *second)
    assert set(load.outcomes()) == {old, new}
