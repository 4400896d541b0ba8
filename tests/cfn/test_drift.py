"""What somebody has changed by hand in a stack's resources: a release puts it right and says so, or stops."""

import json
from collections import Counter

import pytest

from slipway.deployment import drift
from slipway.deployment.drift_watch import changed as changed_since
from slipway.deployment.drift_watch import stacks_of
from slipway.errors import StackFailed
from slipway.model.config import ModelConfig
from tests.cfn.releases import DEV, PRD, Model
from tests.local_aws.sagemaker_cases import model_data, wait_for_endpoint

pytestmark = pytest.mark.local_aws


class Changed:
    """The resources of a model's production, to be changed by hand."""

    def __init__(self, aws, release) -> None:
        self.aws, self.release, self.endpoint = aws, release, release.plan.endpoint(PRD)
        self.cloudwatch = aws.client("cloudwatch")

    @property
    def alarms(self) -> dict[str, dict]:
        found = self.cloudwatch.describe_alarms(AlarmNamePrefix=f"slipway-{self.endpoint}-")["MetricAlarms"]
        return {alarm["AlarmName"].rsplit("-model-a-")[-1]: alarm for alarm in found}

    @property
    def dashboard(self) -> dict:
        name = f"slipway-{self.endpoint}-us-west-2"
        return json.loads(self.cloudwatch.get_dashboard(DashboardName=name)["DashboardBody"])

    def state(self) -> object:
        """All that a deployment may put right, without what a release changes."""
        members = ("Threshold", "Period", "Statistic", "ActionsEnabled", "AlarmActions", "EvaluationPeriods")
        alarms = {name: {key: alarm.get(key) for key in members} for name, alarm in self.alarms.items()}
        return alarms, self.dashboard

    def delete_alarm(self) -> None:
        self.cloudwatch.delete_alarms(AlarmNames=[self.alarms["5xx"]["AlarmName"]])

    def raise_threshold(self) -> None:
        alarm = self.alarms["5xx"]
        members = self.aws.client("cloudwatch").meta.service_model.operation_model("PutMetricAlarm").input_shape.members
        kept = {key: value for key, value in alarm.items() if key in members}
        self.cloudwatch.put_metric_alarm(**kept | {"Threshold": 0.9, "Period": 300, "AlarmActions": []})

    def switch_off_actions(self) -> None:
        self.cloudwatch.disable_alarm_actions(AlarmNames=[self.alarms["5xx"]["AlarmName"]])

    def delete_dashboard(self) -> None:
        self.cloudwatch.delete_dashboards(DashboardNames=[f"slipway-{self.endpoint}-us-west-2"])

    def empty_dashboard(self) -> None:
        name = f"slipway-{self.endpoint}-us-west-2"
        self.cloudwatch.put_dashboard(DashboardName=name, DashboardBody='{"widgets": []}')

    @property
    def model_name(self) -> str:
        sagemaker = self.aws.client("sagemaker")
        config = sagemaker.describe_endpoint(EndpointName=self.endpoint)["EndpointConfigName"]
        return sagemaker.describe_endpoint_config(EndpointConfigName=config)["ProductionVariants"][0]["ModelName"]

    def delete_model(self) -> None:
        self.aws.client("sagemaker").delete_model(ModelName=self.model_name)


@pytest.fixture
def model(aws) -> Model:
    made = Model(aws)
    sections = {"alarms": {"error_5xx_share": 0.01, "topic": "arn:aws:sns:us-west-2:123456789012:slipway-releases"}}
    made.config = ModelConfig.model_validate(made.config.model_dump() | sections)
    return made


@pytest.fixture
def changed(aws, model) -> Changed:
    release = model.release(model_data(aws), ABTests=False, AutoScaling=None).approve()
    release.deploy(PRD)
    return Changed(aws, release)


BY_HAND = {
    Changed.delete_alarm: "-model-a-5xx was deleted",
    Changed.raise_threshold: "is 0.9 instead of 0.01",
    Changed.switch_off_actions: "is false instead of true",
    Changed.delete_dashboard: "-us-west-2 was deleted",
    Changed.empty_dashboard: "DashboardBody of the dashboard",
    Changed.delete_model: "the model ",
}


def test_the_same_release_puts_right_all_that_was_changed_and_says_so(aws, changed, capsys):
    """The template has no change, so a change set as usual would be empty."""
    before = changed.state()
    for by_hand, said in BY_HAND.items():
        by_hand(changed)
        capsys.readouterr()
        assert changed.release.deploy(PRD)["change"] == "updated"
        assert changed.state() == before
        (line,) = [text for text in capsys.readouterr().out.splitlines() if said in text]
        assert "CloudFormation restores it with this deployment" in line
    assert changed.release.deploy(PRD)["change"] == "unchanged"
    assert aws.client("sagemaker").describe_model(ModelName=changed.model_name)


def test_the_next_release_puts_right_what_it_would_not_touch(aws, model, changed):
    before = changed.dashboard
    changed.delete_dashboard()
    model.release(model_data(aws, label_shift=1), ABTests=False, AutoScaling=None).approve().deploy(PRD)
    assert changed.dashboard == before


def tags_of(aws, release, environment):
    arn = aws.client("sagemaker").describe_endpoint(EndpointName=release.plan.endpoint(environment))["EndpointArn"]
    return arn, aws.client("sagemaker").list_tags(ResourceArn=arn)["Tags"]


def test_an_endpoint_without_its_tag_stops_a_release_before_anything_changes(aws, model, changed):
    """IAM lets CloudFormation change only what has the tag, so the update would fail half-way."""
    sagemaker = aws.client("sagemaker")
    arn, _ = tags_of(aws, changed.release, PRD)
    sagemaker.delete_tags(ResourceArn=arn, TagKeys=["slipway:model-prefix"])
    changed.delete_dashboard()
    newer = model.release(model_data(aws, label_shift=1), ABTests=False, AutoScaling=None).approve()
    before = stack_of(aws, newer).get("LastUpdatedTime")
    fix = f"add-tags --resource-arn {arn} .*Value={model.prefix}"
    with pytest.raises(StackFailed, match=f"slipway:model-prefix of the endpoint is None.*{fix}"):
        newer.deploy(PRD)
    assert stack_of(aws, newer).get("LastUpdatedTime") == before
    sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "slipway:model-prefix", "Value": model.prefix}])
    assert newer.deploy(PRD)["change"] == "updated"


def stack_of(aws, release):
    return aws.stack(release.plan.stack(PRD))


def test_development_gets_its_instances_back(aws, model, capsys):
    release = model.release(model_data(aws))
    release.deploy(DEV)
    sagemaker, name = aws.client("sagemaker"), release.plan.endpoint(DEV)
    sagemaker.update_endpoint_weights_and_capacities(
        EndpointName=name, DesiredWeightsAndCapacities=[{"VariantName": "model-a", "DesiredInstanceCount": 2}]
    )
    wait_for_endpoint(aws, name)
    assert release.deploy(DEV)["change"] == "unchanged"
    assert sagemaker.describe_endpoint(EndpointName=name)["ProductionVariants"][0]["DesiredInstanceCount"] == 1
    assert "model-a has 2 instances instead of 1" in capsys.readouterr().out


def test_a_scheduled_action_comes_back_and_what_it_has_set_is_no_drift(aws, model):
    fields = model.config.model_dump()
    fields["scaling_schedule"] = [{"name": "night", "schedule": "rate(1 day)", "min_capacity": 2, "max_capacity": 3}]
    model.config = ModelConfig.model_validate(fields)
    release = model.release(model_data(aws), ABTests=False).approve()
    release.deploy(PRD)
    scaling = aws.client("application-autoscaling")
    target = {
        "ServiceNamespace": "sagemaker",
        "ResourceId": f"endpoint/{release.plan.endpoint(PRD)}/variant/model-a",
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
    }
    scaling.register_scalable_target(**target, MinCapacity=2, MaxCapacity=3)
    assert release.deploy(PRD)["change"] == "unchanged"
    scaling.delete_scheduled_action(**target, ScheduledActionName="night")
    assert release.deploy(PRD)["change"] == "updated"
    (action,) = scaling.describe_scheduled_actions(ServiceNamespace="sagemaker", ResourceId=target["ResourceId"])[
        "ScheduledActions"
    ]
    assert action["ScalableTargetAction"] == {"MinCapacity": 2, "MaxCapacity": 3}


# Not DescribeStackDriftDetectionStatus, which is called until a detection ends, nor DescribeEndpoint, which polls.
COMPARING = (
    *("DetectStackDrift", "DescribeStackResourceDrifts", "DescribeStacks", "ListTags"),
    *("DescribeAlarms", "GetDashboard", "DescribeScalableTargets"),
)


def test_a_comparison_costs_the_same_however_many_alarms_there_are(aws, model):
    counts = []
    for alarms in ({"error_5xx_share": 0.01}, {"error_5xx_share": 0.01, "error_4xx_share": 0.5, "latency_p99_ms": 900}):
        fields = model.config.model_dump()
        fields["alarms"] = {**alarms, "topic": fields["alarms"]["topic"]}
        model.config = ModelConfig.model_validate(fields)
        release = model.release(model_data(aws), ABTests=False, AutoScaling=None).approve()
        release.deploy(PRD)
        before = len(aws.ledger())
        assert release.deploy(PRD)["change"] == "unchanged"
        # CloudFormation itself reads each alarm.
        calls = Counter(call["operation"] for call in aws.ledger()[before:] if "milliseconds" in call)
        counts.append({name: calls[name] for name in COMPARING})
    assert counts[0] == counts[1]
    assert counts[0]["DetectStackDrift"] == 2


def test_the_watcher_costs_the_same_for_each_stack(aws, model):
    """Two stacks, one of them with a difference, against one of them alone."""
    model.release(model_data(aws)).deploy(DEV)
    other = Model(aws)
    release = other.release(model_data(aws))
    release.deploy(DEV)
    stacks = [stack for one in (model, other) for stack in stacks_of([one.config]) if stack.environment == DEV]
    aws.client("sagemaker").update_endpoint_weights_and_capacities(
        EndpointName=release.plan.endpoint(DEV),
        DesiredWeightsAndCapacities=[{"VariantName": "model-a", "DesiredInstanceCount": 2}],
    )
    wait_for_endpoint(aws, release.plan.endpoint(DEV))
    counts = []
    for watched in (stacks[:1], stacks):
        before = len(aws.ledger())
        found = changed_since(watched, lambda stack: drift.of_stack(stack.name, None), {})
        # The instances write logs meanwhile.
        calls = [call for call in aws.ledger()[before:] if call["service"] in ("cloudformation", "sagemaker")]
        counted = Counter(call["operation"] for call in calls)
        counts.append({name: count for name, count in counted.items() if name != "DescribeStackDriftDetectionStatus"})
    assert [str(one) for one in found[stacks[1]]] == ["model-a has 2 instances instead of 1"]
    assert counts[1] == {name: 2 * count for name, count in counts[0].items()}
    assert sum(counts[0].values()) <= 10
