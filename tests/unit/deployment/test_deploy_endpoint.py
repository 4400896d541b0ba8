"""EndpointDeployOperator without stacks; with stacks it is in tests/cfn."""

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from slipway.aws.cloudwatch import CloudWatchHook, FiredAlarm
from slipway.aws.stacks import Stack
from slipway.deployment.deploy_endpoint import EndpointDeployOperator
from slipway.deployment.wait import EndpointInServiceTrigger
from slipway.errors import AwsError, NotApproved
from slipway.model.config import ModelConfig
from slipway.states import Environment, StackStatus
from tests.unit.model.test_serving import ALARMS, CANARY, with_sections
from tests.unit.registry.test_approval_check import package
from tests.unit.releases import release_plan
from tests.unit.request_samples import AWS, BUCKET, KEY, DictStore, iris_model


def test_only_development_deletes_a_failed_stack_without_asking():
    def made(environment):
        return EndpointDeployOperator(task_id="deploy", model=iris_model(), environment=environment).recreate_failed

    assert made(Environment.DEVELOPMENT)
    assert not made(Environment.PRODUCTION)


class Deploy(EndpointDeployOperator):
    """A deployment whose model alice has approved; S3 says who uploaded it."""

    uploaded_by = "dave"

    def _package(self):
        return package("Approved", "alice")

    def endpoint(self):
        return None

    @property
    def _s3(self):
        return DictStore({(BUCKET, KEY, "v1"): b""}, {(BUCKET, KEY, "v1"): self.uploaded_by})


@pytest.mark.parametrize(("uploader", "may"), [("dave", True), ("Alice@example.com", False)])
def test_production_asks_s3_itself_who_uploaded_the_zip(uploader, may):
    approval = iris_model().approval.model_dump() | {"allow_uploader": False}
    model = ModelConfig.model_validate(iris_model().model_dump() | {"approval": approval})
    deploy = type("Deploy", (Deploy,), {"uploaded_by": uploader})(
        task_id="deploy", model=model, environment=Environment.PRODUCTION
    )
    deploy._aws = AWS
    deploy._plan, deploy._fenced = release_plan(), SimpleNamespace(model=model.resolved(AWS))
    if may:
        deploy.check_allowed(None)
    else:
        with pytest.raises(NotApproved, match="must approve"):
            deploy.check_allowed(None)


@pytest.mark.parametrize("status", ["Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting"])
def test_an_endpoint_that_is_being_changed_or_deleted_is_waited_for(status):
    deploy = Deploy(task_id="deploy", model=iris_model(), environment=Environment.DEVELOPMENT)
    deploy._plan = release_plan()
    # With the configuration that somebody else has given it.
    deploy.endpoint = lambda: {"EndpointName": "e", "EndpointStatus": status, "EndpointConfigName": "another"}
    assert isinstance(deploy.wait_before_change(STACK, 12.5), EndpointInServiceTrigger)


STACK = Stack("s", "arn:s", StackStatus.UPDATE_ROLLBACK_COMPLETE, reason="the update failed")
BEGAN = datetime(2026, 1, 31, 12, tzinfo=UTC)


def reason(environment=Environment.PRODUCTION, model=None, began=BEGAN) -> str:
    """Why a stack was rolled back, as the task says it."""
    operator = EndpointDeployOperator(
        task_id="deploy", model=model or with_sections(alarms=ALARMS, deployment=CANARY), environment=environment
    )
    operator.hook = SimpleNamespace(
        failures=lambda stack_id: [], touched=lambda stack_id, resource_type: (began, ["slipway-a", "slipway-b"])
    )
    return operator._reason(STACK)


def test_the_alarm_that_rolled_production_back_is_named(monkeypatch):
    asked = []

    def fired(hook, names, since):
        asked.append((names, since))
        return [FiredAlarm("slipway-a", BEGAN, "1.0 > 0.01")]

    monkeypatch.setattr(CloudWatchHook, "fired", fired)
    said = "UPDATE_ROLLBACK_COMPLETE; the update failed"
    assert reason() == f"{said}; the alarm slipway-a fired at 2026-01-31T12:00:00Z (1.0 > 0.01)"
    assert asked == [(["slipway-a", "slipway-b"], BEGAN)]
    # Development and a model without guardrails have no such alarms; began=None stands for a change too long ago.
    assert reason(Environment.DEVELOPMENT) == reason(model=iris_model()) == reason(began=None) == said
    assert len(asked) == 1


@pytest.mark.parametrize("transient", [True, False])
def test_the_reason_is_given_even_if_the_alarms_cannot_be_read(monkeypatch, transient):
    def refuse(hook, names, since):
        raise AwsError("Cannot read the history of the alarm", transient=transient)

    monkeypatch.setattr(CloudWatchHook, "fired", refuse)
    assert reason() == "UPDATE_ROLLBACK_COMPLETE; the update failed"
