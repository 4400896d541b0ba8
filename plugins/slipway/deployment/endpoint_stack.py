"""Deploy a stack of endpoint.yaml: wait for its endpoint, and put right what differs from the stack."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from slipway.aws.autoscaling import AutoScalingHook
from slipway.aws.clients import client
from slipway.aws.sagemaker import SageMakerHook
from slipway.aws.stack_drift import StackDriftHook
from slipway.aws.stacks import Stack
from slipway.deployment import drift, parameters, scaling, weights
from slipway.deployment.deploy_stack import CloudFormationDeployOperator
from slipway.deployment.wait import EndpointInServiceTrigger
from slipway.states import ON_THE_WAY, EndpointStatus

if TYPE_CHECKING:
    from airflow.triggers.base import BaseTrigger


class EndpointStackOperator(CloudFormationDeployOperator):
    """Deploy the stack of one endpoint.

    A subclass says which endpoint, which parameters, and what must be checked.

    :param kwargs: arguments of CloudFormationDeployOperator
    """

    sagemaker = client(SageMakerHook)
    autoscaling = client(AutoScalingHook)
    detection = client(StackDriftHook)
    # What was read since the last look.
    _endpoint: tuple[dict[str, Any] | None] | None = None
    _scaling: list[str] | None = None

    @property
    def endpoint_name(self) -> str:
        """The endpoint's name."""
        raise NotImplementedError

    def look(self) -> Stack | None:
        """Describe the stack; the endpoint and its scaling are read once between two looks, for all checks."""
        self._endpoint, self._scaling = None, None
        return super().look()

    def endpoint(self) -> dict[str, Any] | None:
        """Describe the endpoint; None if there is none."""
        if self._endpoint is None:
            self._endpoint = (self.sagemaker.describe_endpoint(self.endpoint_name),)
        return self._endpoint[0]

    def scaling_drift(self, stack: Stack) -> list[str]:
        """Find how the variants are scaled otherwise than their stack says."""
        if self._scaling is None:
            self._scaling = scaling.drift(stack, self.autoscaling)
        return self._scaling

    def has_vanished(self, stack: Stack) -> bool:
        """Return whether the endpoint was deleted by hand."""
        return parameters.ENDPOINT_CONFIG_NAME in stack.outputs and self.endpoint() is None

    def first_step(self, stack: Stack) -> dict[str, str] | None:
        """Return the parameters that deregister the variants from auto scaling, or None if that is not needed."""
        drifted = bool(self.scaling_drift(stack))
        return parameters.suspension(stack.parameters, self.parameters_for(stack), register_again=drifted)

    def reverts_drift(self, stack: Stack) -> bool:
        """Name each difference between the stack and what is live, and what this deployment does about it."""
        found = self.differences(stack)
        for one in found:
            self._say(one)
        drift.check_can_be_put_right(found, stack.name)
        return any(one.remedy is drift.Remedy.REVERTED for one in found)

    def _say(self, difference: drift.Difference) -> None:
        self.log.warning("%s differs from its stack: %s: %s", self.endpoint_name, difference, difference.remedy)

    def differences(self, stack: Stack) -> list[drift.Difference]:
        """Compare the stack with what is live."""
        comparison = drift.StackComparison(self.sagemaker, self.detection, self.endpoint, self.scaling_drift)
        return comparison.differences(stack, self.wanted_share(stack))

    def undo_of_first_step(self, stack: Stack) -> dict[str, str] | None:
        """Return the parameters that register the variants again, or None if they are registered."""
        return parameters.resumption(stack.parameters)

    def wait_before_change(self, stack: Stack | None, deadline: float) -> BaseTrigger | None:
        """Return a trigger that waits until the endpoint accepts an update or is gone, or None if it accepts one now.

        First restore the variants' weights and instance counts if they are not those in the stack's parameters.
        https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_UpdateEndpoint.html
        """
        endpoint = self.endpoint()
        if endpoint is None:
            return None
        # Somebody deletes it: its configuration, which may not be the stack's, goes with it.
        if EndpointStatus(endpoint["EndpointStatus"]) in ON_THE_WAY | {EndpointStatus.DELETING}:
            self.log.info("%s is %s: waiting for that to end", self.endpoint_name, endpoint["EndpointStatus"])
        elif stack is None or not self._restore_endpoint(endpoint, stack):
            return None
        return self.endpoint_wait(deadline)

    def endpoint_wait(self, deadline: float) -> BaseTrigger:
        """Return a trigger that waits until the endpoint is InService, has failed or is gone."""
        return EndpointInServiceTrigger(
            endpoint_name=self.endpoint_name,
            deadline=deadline,
            poll_seconds=self.poll_seconds,
            aws_conn_id=self.aws_conn_id,
        )

    def wanted_share(self, stack: Stack) -> float | None:
        """Return the share of requests that the model on trial must have before the stack changes."""
        return weights.stated_share(stack.parameters)

    def levels_instances(self, stack: Stack) -> bool:
        """Return whether both variants need the same number of instances before the stack changes."""
        return False

    def _restore_endpoint(self, endpoint: Mapping[str, Any], stack: Stack) -> bool:
        """Change the variants' weights and instance counts if needed, and return whether that was needed."""
        if endpoint["EndpointConfigName"] != stack.outputs.get(parameters.ENDPOINT_CONFIG_NAME):
            return False
        share = self.wanted_share(stack)
        changes = [] if share is None else weights.changes(endpoint, share, level=self.levels_instances(stack))
        counts = {variant: wanted for variant, _, wanted in drift.wrong_counts(stack.parameters, endpoint)}
        if not (changes or counts):
            return False
        self.check_may_apply(stack)
        changes = weights.with_counts(changes, counts)
        for one in drift.of_endpoint(stack, endpoint, share):
            self._say(one)
        self.log.info("Changing %s: %s", self.endpoint_name, changes)
        self.sagemaker.update_weights_and_capacities(self.endpoint_name, changes)
        return True
