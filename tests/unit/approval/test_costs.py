"""What production costs before and after an approval."""

import pytest

from slipway.approval.costs import VariantInstances, costs_say, region_of, running_now
from slipway.errors import AwsError
from slipway.request.contents import PRODUCTION_INSTANCES, PRODUCTION_SCALING

REGION = "us-west-2"
SETTINGS = {PRODUCTION_INSTANCES: "2 x ml.c5.xlarge"}
SCALED = SETTINGS | {PRODUCTION_SCALING: "1 to 4 instances, 100 requests a minute on each"}
BOUNDS = " Auto scaling then keeps 1 to 4 instances of each variant."


def on(count: int, instance_type: str = "ml.c5.xlarge", variant: str = "model-a") -> VariantInstances:
    return VariantInstances(variant, instance_type, count, count)


@pytest.mark.parametrize(
    ("settings", "now", "on_trial", "said"),
    [
        (SETTINGS, [on(2)], False, "Production runs 2 x ml.c5.xlarge for an estimated $0.41 an hour, as now."),
        (
            SETTINGS,
            [on(1, "ml.t2.medium")],
            False,
            "Production then runs 2 x ml.c5.xlarge for an estimated $0.41 an hour; "
            "now it runs 1 x ml.t2.medium for an estimated $0.056 an hour.",
        ),
        # Both variants of a trial run on what the zip asks for.
        (
            SETTINGS,
            [on(2)],
            True,
            "Production then runs 4 x ml.c5.xlarge for an estimated $0.82 an hour; "
            "now it runs 2 x ml.c5.xlarge for an estimated $0.41 an hour.",
        ),
        (
            SETTINGS,
            [on(2), on(1, variant="model-b")],
            False,
            "Production then runs 2 x ml.c5.xlarge for an estimated $0.41 an hour; "
            "now it runs 3 x ml.c5.xlarge for an estimated $0.61 an hour.",
        ),
        # An update keeps the number that auto scaling has reached, for a variant that is there.
        (SCALED, [on(3)], False, f"Production runs 3 x ml.c5.xlarge for an estimated $0.61 an hour, as now.{BOUNDS}"),
        (
            SCALED,
            [on(3)],
            True,
            "Production then runs 5 x ml.c5.xlarge for an estimated $1.02 an hour; "
            f"now it runs 3 x ml.c5.xlarge for an estimated $0.61 an hour.{BOUNDS}",
        ),
        (
            SETTINGS,
            [],
            False,
            "Production then runs 2 x ml.c5.xlarge for an estimated $0.41 an hour; now it runs nothing.",
        ),
        (
            SETTINGS,
            None,
            False,
            "Production then runs 2 x ml.c5.xlarge for an estimated $0.41 an hour; what it costs now is not known.",
        ),
        (None, None, False, "What production then costs is not known; what it costs now is not known."),
        (
            {PRODUCTION_INSTANCES: "3 x ml.new.large"},
            [on(1), on(1, "")],
            False,
            "Production then runs 3 x ml.new.large at a price that is not known; "
            "now it runs 1 x an unknown type and 1 x ml.c5.xlarge for an estimated $0.20 an hour "
            "without an unknown type.",
        ),
    ],
)
def test_instances_and_costs_before_and_after(settings, now, on_trial, said):
    assert costs_say(settings, now, REGION, on_trial=on_trial) == said


def test_a_region_without_prices_has_instances_only():
    said = costs_say(SETTINGS, [on(2)], "eu-north-1", on_trial=False)
    assert said == "Production runs 2 x ml.c5.xlarge at a price that is not known, as now."


class SageMaker:
    def __init__(self, endpoint: dict | None, config: dict | None) -> None:
        self.endpoint, self.config = endpoint, config

    def describe_endpoint(self, name):
        return self.endpoint

    def describe_endpoint_config(self, name):
        return self.config


ENDPOINT = {
    "EndpointConfigName": "c",
    "ProductionVariants": [{"VariantName": "model-a", "CurrentInstanceCount": 1, "DesiredInstanceCount": 3}],
}
CONFIG = {"ProductionVariants": [{"VariantName": "model-a", "InstanceType": "ml.c5.xlarge"}]}


@pytest.mark.parametrize(
    ("endpoint", "config", "found"),
    [
        (ENDPOINT, CONFIG, [VariantInstances("model-a", "ml.c5.xlarge", 1, 3)]),
        # Somebody has deleted the configuration.
        (ENDPOINT, None, [VariantInstances("model-a", "", 1, 3)]),
        (None, None, []),
    ],
)
def test_what_runs_is_what_aws_describes(endpoint, config, found):
    assert running_now("e", SageMaker(endpoint, config)) == found


def test_what_aws_does_not_show_is_not_known():
    class Refusing(SageMaker):
        def describe_endpoint(self, name):
            raise AwsError("denied")

    assert running_now("e", Refusing(None, None)) is None


@pytest.mark.parametrize(
    ("arn", "region"), [("arn:aws:sagemaker:us-west-2:1:endpoint/e", "us-west-2"), ("arn:new", ""), (None, "")]
)
def test_the_region_is_that_of_the_arn(arn, region):
    assert region_of(arn) == region
