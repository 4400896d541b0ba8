"""Names that EndpointDeployOperator gives; what it does is in tests/cfn."""

from types import SimpleNamespace

from slipway.operators.endpoint_deploy import EndpointDeployOperator, change_set_prefix
from slipway.states import Environment
from tests.unit.request_samples import iris_model


def test_change_sets_are_named_after_revision_and_sequence():
    plan = SimpleNamespace(revision_id="0123456789abcdef" * 2, sequence="2026-01-31T23:59:59.500000+00:00")
    assert change_set_prefix(plan) == "slipway-0123456789ab-20260131235959"


def test_only_development_throws_a_failed_stack_away_by_itself():
    def made(environment):
        return EndpointDeployOperator(task_id="deploy", model=iris_model(), environment=environment).recreate_failed

    assert made(Environment.DEVELOPMENT)
    assert not made(Environment.PRODUCTION)
