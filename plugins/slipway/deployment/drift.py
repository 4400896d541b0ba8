"""How what is live differs from what its stack says, and who puts it right.

CloudFormation compares models, alarms and the dashboard. Slipway compares the endpoint, because weights and instance
counts are no properties of it, and auto scaling, because bounds that a scheduled action has set are no drift.
https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-stack-drift.html
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from slipway.aws.autoscaling import AutoScalingHook
from slipway.aws.cloudformation import CloudFormationHook
from slipway.aws.sagemaker import SageMakerHook
from slipway.aws.stack_drift import ResourceDrift, StackDriftHook
from slipway.aws.stacks import Stack
from slipway.deployment import scaling, weights
from slipway.deployment.parameters import ENDPOINT_CONFIG_NAME
from slipway.errors import StackFailed
from slipway.plan import TAG_MODEL_PREFIX
from slipway.states import ON_THE_WAY, EndpointStatus, StackStatus

# CloudFormation detects drift only in stacks of these states.
# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-stack-drift.html
_DETECTABLE = (
    StackStatus.CREATE_COMPLETE,
    StackStatus.UPDATE_COMPLETE,
    StackStatus.UPDATE_ROLLBACK_COMPLETE,
    StackStatus.UPDATE_ROLLBACK_FAILED,
)
# Slipway compares what these types make; the first is the beginning of two.
_OURS = ("AWS::SageMaker::Endpoint", "AWS::ApplicationAutoScaling::")
_SHOWN_CHARS = 60


class Remedy(StrEnum):
    """What a deployment does about a difference."""

    REVERTED = "CloudFormation restores it with this deployment"
    REGISTERED_AGAIN = "the variants are registered again"
    SET_BACK = "the endpoint's weights and instance counts are set back"
    MADE_AGAIN = "the stack is made again"
    PERSON = "a person must put it right"


@dataclass(frozen=True)
class Difference:
    """One difference between a stack and what is live.

    :param what: a clause that names the resource
    :param fix: the command by which a person puts it right; empty where a deployment does
    """

    what: str
    remedy: Remedy
    fix: str = ""

    def __str__(self) -> str:
        return self.what

    def to_xcom(self) -> dict[str, str]:
        """Return plain JSON."""
        return {"what": self.what, "fix": self.fix}


class StackComparison:
    """Compares stacks of endpoint.yaml with what is live.

    :param sagemaker: SageMaker
    :param detection: CloudFormation's drift detection
    :param endpoint: describes the stack's endpoint; None if there is none
    :param scaling_drift: finds how the variants are scaled otherwise than the stack says
    """

    def __init__(
        self,
        sagemaker: SageMakerHook,
        detection: StackDriftHook,
        endpoint: Callable[[], Mapping[str, Any] | None],
        scaling_drift: Callable[[Stack], list[str]],
    ) -> None:
        self._sagemaker, self._detection = sagemaker, detection
        self._endpoint, self._scaling_drift = endpoint, scaling_drift

    def differences(self, stack: Stack, share: float | None) -> list[Difference]:
        """Compare a stack with what is live; the number of calls does not depend on how much the stack holds.

        :param stack: the stack as it is
        :param share: the share of requests that the model on trial should have; None without a trial
        :returns: the differences; none while the stack changes
        :raises slipway.errors.AwsError: when a call fails
        """
        if stack.status.in_progress or ENDPOINT_CONFIG_NAME not in stack.outputs:
            return []
        # CloudFormation's part takes longest, so it goes on while the rest is compared.
        detectable = stack.status in _DETECTABLE
        detection = self._detection.begin(stack.stack_id) if detectable else None
        endpoint = self._endpoint()
        found = list(of_endpoint(stack, endpoint, share))
        if endpoint:
            found += of_tags(stack, endpoint["EndpointArn"], self._sagemaker.list_tags(endpoint["EndpointArn"]))
        found += [Difference(what, Remedy.REGISTERED_AGAIN) for what in self._scaling_drift(stack)]
        if detectable:
            found += of_resources(self._detection.wait(stack.stack_id, detection))
        return found


def of_stack(stack_name: str, aws_conn_id: str | None) -> list[Difference] | None:
    """Compare a stack with what is live, by its name.

    :param stack_name: the stack
    :param aws_conn_id: Airflow connection with the AWS credentials
    :returns: the differences; none where there is no stack, None while it changes
    :raises slipway.errors.AwsError: when a call fails
    """
    stack = CloudFormationHook(aws_conn_id=aws_conn_id).describe_stack(stack_name)
    if stack is None:
        return []
    if stack.status.in_progress:
        return None
    sagemaker, autoscaling = SageMakerHook(aws_conn_id=aws_conn_id), AutoScalingHook(aws_conn_id=aws_conn_id)
    comparison = StackComparison(
        sagemaker,
        StackDriftHook(aws_conn_id=aws_conn_id),
        lambda: sagemaker.describe_endpoint(stack.parameters["EndpointName"]),
        lambda stack: scaling.drift(stack, autoscaling),
    )
    return comparison.differences(stack, weights.stated_share(stack.parameters))


def of_endpoint(stack: Stack, endpoint: Mapping[str, Any] | None, share: float | None) -> Iterator[Difference]:
    """Compare an endpoint with its stack.

    :param stack: the stack
    :param endpoint: what DescribeEndpoint answered; None if there is no endpoint
    :param share: the share of requests that the model on trial should have; None without a trial
    :returns: the differences; of an endpoint that changes only its configuration is compared
    """
    name, config = stack.parameters["EndpointName"], stack.outputs[ENDPOINT_CONFIG_NAME]
    if endpoint is None:
        yield Difference(f"the endpoint {name} does not exist", Remedy.MADE_AGAIN)
        return
    if endpoint["EndpointConfigName"] != config:
        yield Difference(
            f"the endpoint {name} has the configuration {endpoint['EndpointConfigName']} instead of {config}",
            Remedy.PERSON,
            f"aws sagemaker update-endpoint --endpoint-name {name} --endpoint-config-name {config}",
        )
        return
    if EndpointStatus(endpoint["EndpointStatus"]) in ON_THE_WAY:
        return
    now = weights.trial_share(endpoint)
    if share is not None and now is not None and not weights.same(share, now):
        yield Difference(f"the model on trial gets {now:.4g} of the requests instead of {share:.4g}", Remedy.SET_BACK)
    for variant, count, wanted in wrong_counts(stack.parameters, endpoint):
        yield Difference(f"{variant} has {count} instances instead of {wanted}", Remedy.SET_BACK)


def wrong_counts(parameters: Mapping[str, str], endpoint: Mapping[str, Any]) -> Iterator[tuple[str, int, int]]:
    """Find the variants that have another number of instances than their stack says.

    :param parameters: the stack's parameters
    :param endpoint: what DescribeEndpoint answered
    :returns: variant, number and the stack's number; none with auto scaling, which changes the numbers
    """
    wanted = int(parameters["InitialInstanceCount"])
    if parameters.get("AutoScaling") == "true":
        return
    for variant in endpoint.get("ProductionVariants", ()):
        count = variant.get("DesiredInstanceCount", wanted)
        if count != wanted:
            yield variant["VariantName"], count, wanted


def of_tags(stack: Stack, arn: str, tags: Mapping[str, str]) -> Iterator[Difference]:
    """Compare an endpoint's tags with those that its stack gave it, by which IAM knows whose it is.

    :param stack: the stack
    :param arn: the endpoint's ARN
    :param tags: the endpoint's tags
    """
    wanted = stack.tags.get(TAG_MODEL_PREFIX)
    if wanted and (found := tags.get(TAG_MODEL_PREFIX)) != wanted:
        yield Difference(
            f"the tag {TAG_MODEL_PREFIX} of the endpoint is {found} instead of {wanted}",
            Remedy.PERSON,
            f"aws sagemaker add-tags --resource-arn {arn} --tags Key={TAG_MODEL_PREFIX},Value={wanted}",
        )


def of_resources(drifts: Iterable[ResourceDrift]) -> Iterator[Difference]:
    """Read what CloudFormation has found; what people have added, such as an alarm's further action, is left alone.

    :param drifts: the resources that differ
    """
    for one in drifts:
        if one.type.startswith(_OURS):
            continue
        name = f"{one.type.rsplit('::', 1)[-1].lower()} {one.physical_id or one.logical_id}"
        if one.deleted:
            yield Difference(f"the {name} was deleted", Remedy.REVERTED)
        for path, (expected, actual) in one.properties.items():
            if not _alike(expected, actual):
                what = f"{path.strip('/')} of the {name} is {_short(actual)} instead of {_short(expected)}"
                yield Difference(what, Remedy.REVERTED)


def check_can_be_put_right(found: Sequence[Difference], stack_name: str) -> None:
    """Stop a deployment before anything changes if it meets a difference that it cannot put right.

    :param found: the differences
    :param stack_name: for the message
    :raises StackFailed: naming each difference, and what to do
    """
    if left := [one for one in found if one.remedy is Remedy.PERSON]:
        raise StackFailed(
            "What is live differs from the stack, and a deployment cannot put it right",
            resource=stack_name,
            why="; ".join(one.what for one in left),
            fix=f"run {' and '.join(f'`{one.fix}`' for one in left)}, then clear this task",
        )


def check_none(found: Sequence[Difference], stack_name: str) -> None:
    """Raise if what is live differs from the stack after a deployment.

    :param found: the differences
    :param stack_name: for the message
    :raises StackFailed: naming each difference
    """
    if found:
        fixes = [one.fix for one in found if one.fix]
        raise StackFailed(
            "The stack is complete, but what is live differs from it",
            resource=stack_name,
            why="; ".join(one.what for one in found),
            fix="; ".join([*(f"run `{fix}`" for fix in fixes), "clear this task: it puts right what it can"]),
        )


def _alike(expected: str, actual: str) -> bool:
    """Compare two values as JSON, so that neither spaces nor the way a number is written count."""
    try:
        return expected == actual or json.loads(expected) == json.loads(actual)
    except ValueError:
        return False


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN_CHARS else f"{line[:_SHOWN_CHARS]}…"
