"""What TrialSettleOperator asks of its deployment; what it does is in tests/cfn/test_trial.py and tests/faults."""

from contextlib import nullcontext

import pytest

from slipway.aws.stacks import Stack
from slipway.deployment.deploy_endpoint import EndpointDeployOperator
from slipway.errors import StackFailed, TrialFailed
from slipway.model.config import ModelConfig
from slipway.states import StackStatus, TrialVerdict
from slipway.trial.figures import TrialComparison, VariantFigures
from slipway.trial.record import BY_RULE, TrialRecord, verdict_properties
from slipway.trial.settle import TrialSettleOperator
from tests.unit.releases import release_plan
from tests.unit.request_samples import iris_model

PARAMETERS = {"ModelBDataUrl": "s3://b/new", "ModelAWeight": "0.9", "ModelBWeight": "0.1", "AutoScaling": "true"}


def operator(verdict: TrialVerdict) -> TrialSettleOperator:
    model = ModelConfig.model_validate({**iris_model().model_dump(), "trial": {}})
    made = TrialSettleOperator(task_id="settle_trial", model=model)
    made._record, made._plan, made.stack_name = TrialRecord(verdict), release_plan(), "stack"
    return made


def stack(revision: str = release_plan().revision_id) -> Stack:
    return Stack("stack", "id", StackStatus.UPDATE_COMPLETE, parameters=PARAMETERS, outputs={"Revision": revision})


@pytest.mark.parametrize(
    ("verdict", "share", "levels"),
    [(TrialVerdict.PROMOTE, 1.0, True), (TrialVerdict.KEEP, 0.1, False), (TrialVerdict.RETIRE, 0.0, False)],
)
def test_the_weights_before_the_stack_changes_follow_the_verdict(verdict, share, levels):
    made = operator(verdict)
    assert made.wanted_share(stack()) == pytest.approx(share)
    assert made.levels_instances(stack()) is levels


def test_another_release_in_production_is_left_alone():
    operator(TrialVerdict.PROMOTE).check_trial(stack())
    with pytest.raises(StackFailed, match="another release"):
        operator(TrialVerdict.PROMOTE).check_trial(stack("0" * 32))


def test_a_stack_that_is_gone_is_not_made_again_from_nothing():
    with pytest.raises(StackFailed, match="clear deploy_prd"):
        operator(TrialVerdict.PROMOTE).parameters_for(None)


BY_THE_RULE = TrialRecord(TrialVerdict.PROMOTE, BY_RULE, "2026-05-02T08:00:00+00:00", BY_RULE)
FIGURES = TrialComparison(VariantFigures(), VariantFigures(), "then", "now")


@pytest.mark.parametrize(("decide", "counts"), [("rule", True), ("person", False)])
def test_a_verdict_by_the_rule_counts_only_where_the_model_file_leaves_it_to_the_rule(monkeypatch, decide, counts):
    model = ModelConfig.model_validate({**iris_model().model_dump(), "trial": {"decide": decide}})
    made = TrialSettleOperator(task_id="settle_trial", model=model)
    package = {"ModelPackageArn": "arn:p/1", "CustomerMetadataProperties": verdict_properties(BY_THE_RULE, FIGURES)}
    monkeypatch.setattr(EndpointDeployOperator, "prepare", lambda self, context: None)
    made.__dict__["_package"] = lambda: package
    with nullcontext() if counts else pytest.raises(TrialFailed, match="the model file asks a person"):
        made.prepare({})
