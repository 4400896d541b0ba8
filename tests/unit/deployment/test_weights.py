"""Shares of requests, read from an endpoint and a stack, and the changes between them."""

import struct

import pytest

from slipway.deployment import weights
from slipway.deployment.weights import changes, next_step, stated_share, trial_share


def single(value: float) -> float:
    """As SageMaker keeps it."""
    return struct.unpack("f", struct.pack("f", value))[0]


def endpoint(trial: float | None, live_instances: int = 1, trial_instances: int = 1) -> dict:
    variants = [("model-a", 1 - (trial or 0), live_instances)]
    if trial is not None:
        variants.append(("model-b", trial, trial_instances))
    return {
        "ProductionVariants": [
            {"VariantName": name, "CurrentWeight": single(weight), "CurrentInstanceCount": count}
            for name, weight, count in variants
        ]
    }


def test_the_share_is_a_part_of_all_weights():
    assert trial_share(endpoint(0.1)) == pytest.approx(0.1)
    assert trial_share(endpoint(None)) is None
    assert trial_share({}) is None


def test_a_stack_says_its_share():
    stated = {"ModelBDataUrl": "s3://b/m", "ModelAWeight": "0.9", "ModelBWeight": "0.1"}
    assert stated_share(stated) == pytest.approx(0.1)
    assert stated_share({**stated, "ModelBDataUrl": ""}) is None


@pytest.mark.parametrize(("share", "step"), [(0.1, 0.5), (0.5, 1.0), (0.6, 1.0), (1.0, None)])
def test_the_next_step_is_the_first_beyond(share, step):
    assert next_step(single(share), [0.5, 1.0]) == step


def test_correct_weights_are_not_changed():
    assert changes(endpoint(0.1), 0.1, level=False) == []
    assert changes(endpoint(None), 1.0, level=True) == []
    assert weights.same(single(0.1), 0.1)


def test_both_weights_move_together():
    assert changes(endpoint(0.1), 0.5, level=False) == [
        {"VariantName": "model-a", "DesiredWeight": 0.5},
        {"VariantName": "model-b", "DesiredWeight": 0.5},
    ]
    assert changes(endpoint(0.5), 0.1, level=False)[0] == {"VariantName": "model-a", "DesiredWeight": 0.9}


def test_the_smaller_variant_gets_the_larger_ones_instances():
    assert changes(endpoint(0.1, live_instances=4), 0.5, level=True) == [
        {"VariantName": "model-a", "DesiredWeight": 0.5},
        {"VariantName": "model-b", "DesiredWeight": 0.5, "DesiredInstanceCount": 4},
    ]
    assert changes(endpoint(1.0, trial_instances=3), 1.0, level=True) == [
        {"VariantName": "model-a", "DesiredInstanceCount": 3}
    ]
