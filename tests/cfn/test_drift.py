"""What somebody has changed by hand in a stack's resources: a release puts it right and says so, or stops."""

import json
import logging

import pytest

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
    Changed.delete_alarm: "the alarm .* was deleted",
    Changed.raise_threshold: "Threshold of the alarm .* is 0.9 instead of 0.01",
    Changed.switch_off_actions: "ActionsEnabled of the alarm .* is false instead of true",
    Changed.delete_dashboard: "the dashboard .* was deleted",
    Changed.empty_dashboard: "DashboardBody of the dashboard",
}


def test_the_same_release_puts_right_all_that_was_changed_and_says_so(changed, caplog):
    """The hardest case: CloudFormation sees no change in the template."""
    before = changed.state()
    for by_hand, said in BY_HAND.items():
        by_hand(changed)
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            assert changed.release.deploy(PRD)["change"] == "updated"
        assert changed.state() == before
        (line,) = [text for text in caplog.messages if said.split(" .*")[0] in text]
        assert line.endswith("CloudFormation restores it with this deployment")
    assert changed.release.deploy(PRD)["change"] == "unchanged"
