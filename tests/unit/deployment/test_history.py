"""Marks on model packages, and the history of production that they give."""

from dataclasses import replace

import pytest

from slipway.deployment import history
from tests.unit.releases import release_plan

ARN = "arn:aws:sagemaker:us-west-2:123456789012:model-package/mlops-iris-model/{}"
RELEASE = release_plan()
ROLL_BACK = replace(RELEASE, sequence="2026-06-01T08:00:00+00:00", rolled_back_by="alice")


def package(number: int, **properties) -> dict:
    return {"ModelPackageArn": ARN.format(number), "CustomerMetadataProperties": properties}


@pytest.mark.parametrize(
    ("live", "properties", "wanted"),
    [
        (None, {}, {history.BEFORE: "-"}),
        (ARN.format(1), {}, {history.BEFORE: ARN.format(1)}),
        # An earlier attempt failed, and another release was deployed meanwhile.
        (ARN.format(3), {history.BEFORE: ARN.format(1)}, {history.BEFORE: ARN.format(3)}),
        # A second attempt has nothing to write.
        (ARN.format(1), {history.BEFORE: ARN.format(1)}, {}),
        # The package itself is live.
        (ARN.format(2), {}, {}),
        # The stack is made again, so it names no live package.
        (None, {history.BEFORE: ARN.format(1)}, {}),
    ],
)
def test_a_release_says_what_it_takes_the_place_of(live, properties, wanted):
    assert history.marks(package(2, **properties), RELEASE, live, "s3__1") == wanted


def test_a_roll_back_says_who_and_from_what_and_keeps_its_place():
    made = history.marks(package(2, **{history.BEFORE: ARN.format(1)}), ROLL_BACK, ARN.format(7), "manual__1")
    assert made == {history.ROLLED_BACK: "2026-06-01T08:00:00+00:00 by alice from 7 in manual__1"}


def test_a_package_that_never_was_in_production_gets_its_place_by_a_roll_back():
    made = history.marks(package(2), ROLL_BACK, ARN.format(7), "manual__1")
    assert made[history.BEFORE] == ARN.format(7)


def test_the_way_back_leads_from_package_to_package_and_ends():
    packages = {ARN.format(n): package(n, **{history.BEFORE: ARN.format(n - 1) if n > 1 else "-"}) for n in (1, 2, 3)}
    assert [one["ModelPackageArn"] for one in history.chain(ARN.format(3), packages.get)] == list(packages)[::-1]
    assert list(history.chain(None, packages.get)) == []
    del packages[ARN.format(2)]
    assert len(list(history.chain(ARN.format(3), packages.get))) == 1


def test_marks_that_lead_in_a_circle_end_the_way_back():
    packages = {ARN.format(n): package(n, **{history.BEFORE: ARN.format(3 - n)}) for n in (1, 2)}
    assert len(list(history.chain(ARN.format(2), packages.get))) == 2


@pytest.mark.parametrize(
    ("outputs", "judged", "live"),
    [
        ({}, True, None),
        ({"ModelPackageArn": ARN.format(2)}, True, ARN.format(2)),
        (
            {"ModelPackageArn": ARN.format(2), "ModelADataUrl": "s3://b/1", "ModelBDataUrl": "s3://b/2"},
            True,
            ARN.format(1),
        ),
        # Trials are not judged: the newest package is the live one.
        (
            {"ModelPackageArn": ARN.format(2), "ModelADataUrl": "s3://b/1", "ModelBDataUrl": "s3://b/2"},
            False,
            ARN.format(2),
        ),
        # Its package was deleted.
        (
            {"ModelPackageArn": ARN.format(2), "ModelADataUrl": "s3://b/0", "ModelBDataUrl": "s3://b/2"},
            True,
            ARN.format(2),
        ),
    ],
)
def test_a_model_on_trial_is_not_the_live_one(outputs, judged, live):
    packages = {"s3://b/1": package(1)}
    assert history.live_arn(outputs, judged=judged, of_artefact=packages.get) == live
