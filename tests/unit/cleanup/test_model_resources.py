"""What a model owns: found by name and tag, in the order of removal."""

from types import SimpleNamespace

import pytest

from slipway.aws.autoscaling import ScalableTarget
from slipway.aws.cloudformation import Stack
from slipway.aws.sagemaker import Resource
from slipway.cleanup.model_resources import ModelResources, RemovalStep
from slipway.errors import NameConflict
from slipway.plan import TAG_MODEL_PREFIX
from slipway.states import StackStatus


class SageMaker:
    def jobs(self, beginning, status, key, value):
        assert beginning == "mlops-iris-model-"
        return [] if status == "Stopping" else self.list_tagged("training job", key, value)

    def list_tagged(self, kind, key, value):
        assert (key, value) == (TAG_MODEL_PREFIX, "iris-model")
        return [Resource(kind, f"a {kind}", "arn", "Deleting" if kind == "endpoint" else None)]

    def describe_model_package_group(self, group):
        return {"ModelPackageGroupName": group}

    def newest_version(self, group):
        return 2

    def model_package_arns(self, group):
        return ["arn/2", "arn/1"]

    def __getattr__(self, name):
        return lambda *args: (name, *args)


def resources(owner: str = "iris-model", status: StackStatus = StackStatus.UPDATE_COMPLETE) -> ModelResources:
    made = ModelResources("iris-model", "iris-model", aws_conn_id=None)
    made._sagemaker = made._model_registry = SageMaker()
    made.cloudformation = SimpleNamespace(
        describe_stack=lambda name: Stack(name, f"id/{name}", status, tags={TAG_MODEL_PREFIX: owner}),
        delete_stack=lambda stack_id: ("delete_stack", stack_id),
    )
    made._autoscaling = SimpleNamespace(
        scalable_targets=lambda endpoint, variants: [ScalableTarget(f"endpoint/{endpoint}/variant/model-a", "d")],
        deregister=lambda target: ("deregister", target),
    )
    return made


def test_everything_is_listed_in_the_order_of_removal():
    found = resources().remaining(record=True)
    order = list(RemovalStep)
    assert [order.index(item.step) for item in found] == sorted(order.index(item.step) for item in found)
    assert {item.step for item in found} == set(RemovalStep)
    assert [item.name for item in found if item.kind == "model package"] == ["arn/2", "arn/1"]


def test_the_record_is_listed_only_on_request():
    kept = {RemovalStep.MODEL_PACKAGES, RemovalStep.MODEL_PACKAGE_GROUP}
    assert {item.step for item in resources().remaining(record=False)} == set(RemovalStep) - kept
    assert resources().newest_package() == 2


def test_each_thing_is_removed_by_its_own_call():
    removals = {item.kind: item.remove() for item in resources().remaining(record=True) if item.remove}
    assert removals["training job"] == ("stop_training_job", "a training job")
    assert removals["stack"] == ("delete_stack", "id/mlops-deploy-iris-model-dev")
    assert removals["model package group"] == ("delete_model_package_group", "mlops-iris-model")


def test_what_is_on_its_way_is_left_alone():
    found = resources(status=StackStatus.DELETE_IN_PROGRESS).remaining(record=True)
    assert [item.remove for item in found if item.kind in ("stack", "endpoint")] == [None, None, None]


def test_a_deleted_stack_is_gone():
    assert not [
        item for item in resources(status=StackStatus.DELETE_COMPLETE).remaining(record=True) if item.kind == "stack"
    ]


def test_somebody_elses_stack_of_that_name_stops_everything():
    with pytest.raises(NameConflict, match="slipway:model-prefix is wine-model"):
        resources(owner="wine-model").remaining(record=True)
