"""Checks before and after a deployment: order of releases, trial, registration, drift, and what the endpoint serves."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from slipway import names
from slipway.deployment.parameters import ENDPOINT_CONFIG_NAME, REVISION, SEQUENCE, TRIAL_OUTCOME
from slipway.errors import NameConflict, NotApproved, StackFailed, Superseded, TrialFailed
from slipway.plan import ReleasePlan
from slipway.stages import sequences
from slipway.states import TrialOutcome

log = logging.getLogger(__name__)


def check_drift(endpoint: Mapping[str, Any] | None, outputs: Mapping[str, str], stack_name: str) -> None:
    """Refuse to change an endpoint that the stack did not make, or that has drifted from it.

    :param endpoint: what DescribeEndpoint answered; None if there is no endpoint
    :param outputs: the outputs of the stack as it is; empty for a stack that is not there
    :param stack_name: for the message
    :raises NameConflict: when the endpoint exists outside the stack
    :raises StackFailed: when it does not serve the stack's configuration
    """
    if endpoint is None:
        return
    name, wanted = endpoint["EndpointName"], outputs.get(ENDPOINT_CONFIG_NAME)
    if wanted is None:
        raise NameConflict(
            "An endpoint of this name exists outside the stack",
            resource=name,
            why=f"the stack {stack_name} did not make it",
            fix="delete it, or change endpoint_prefix in the model file and EndpointPrefix in deployment.json",
        )
    if endpoint["EndpointConfigName"] != wanted:
        raise StackFailed(
            "The endpoint has drifted from its stack",
            resource=name,
            why=f"it serves {endpoint['EndpointConfigName']}, the stack says {wanted}",
            fix=f"set it back with `aws sagemaker update-endpoint --endpoint-name {name} "
            f"--endpoint-config-name {wanted}`, or delete the endpoint; then clear this task",
        )


def check_sequence(outputs: Mapping[str, str], plan: ReleasePlan, stack_name: str) -> None:
    """Refuse to replace a newer release by an older one.

    A sequence that is invalid or in the future is ignored: Slipway did not write it.

    :param outputs: the outputs of the stack as it is
    :param plan: the release
    :param stack_name: for the message
    :raises Superseded: when a newer release is deployed
    """
    deployed = outputs.get(SEQUENCE)
    if deployed and (why := sequences.fault(deployed)):
        log.error("The sequence of the stack %s is ignored: %.40r %s", stack_name, deployed, why)
    elif sequences.is_older(plan.sequence, deployed):
        raise Superseded(
            "A newer release is deployed already",
            resource=stack_name,
            why=f"it was uploaded, or production rolled back, at {deployed}; this one is of {plan.sequence}",
            fix=f"to serve this version nevertheless, {names.RELEASE_AGAIN}, or trigger it with new_attempt",
        )


def check_not_retired(outputs: Mapping[str, str], plan: ReleasePlan, stack_name: str) -> None:
    """Refuse to deploy a model again that its trial retired: it would get all requests at once.

    :param outputs: the outputs of the stack as it is
    :param plan: the release
    :param stack_name: for the message
    :raises TrialFailed: when this release's own trial retired the model
    """
    if outputs.get(REVISION) == plan.revision_id and outputs.get(TRIAL_OUTCOME) == TrialOutcome.RETIRED:
        raise TrialFailed(
            "The trial of this release has ended: its model was retired",
            resource=stack_name,
            why="production serves only the live model",
            fix=f"for another trial, {names.RELEASE_AGAIN}, or trigger it with new_attempt",
        )


def check_registered(package: dict[str, Any] | None, plan: ReleasePlan) -> dict[str, Any]:
    """Check that the Model Registry has a package of this release.

    :param package: the package of the release's revision and digest; None if there is none
    :param plan: the release
    :returns: the package
    :raises NotApproved: when there is none
    """
    if package is None:
        raise NotApproved(
            "The Model Registry has no package of this release",
            resource=plan.model_package_group,
            why=f"no package has revision {plan.revision_id} and digest {plan.digest}",
            fix="clear the task register, and have its package approved",
        )
    return package


def check_revision(outputs: Mapping[str, str], plan: ReleasePlan, stack_name: str) -> None:
    """Check that the stack holds this release.

    :param outputs: the outputs of the stack after the deployment
    :param plan: the release
    :param stack_name: for the message
    :raises StackFailed: when another run has deployed another release meanwhile
    """
    if outputs.get(REVISION) != plan.revision_id:
        raise StackFailed(
            "The stack holds another release",
            resource=stack_name,
            why=f"its revision is {outputs.get(REVISION)}, ours is {plan.revision_id}",
            fix="clear this task to deploy this release again",
        )


def check_served(endpoint: Mapping[str, Any] | None, outputs: Mapping[str, str], stack_name: str) -> None:
    """Check that the endpoint is InService with the stack's configuration.

    After an alarm has rolled back an update, the endpoint is InService with the previous configuration.
    https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails-configuration.html

    :param endpoint: what DescribeEndpoint answered; None if there is no endpoint
    :param outputs: the outputs of the stack
    :param stack_name: for the message
    :raises StackFailed: when the endpoint is missing, not InService or has another configuration
    """
    wanted = outputs.get(ENDPOINT_CONFIG_NAME)
    if endpoint is None:
        why = "there is no endpoint"
    elif endpoint["EndpointStatus"] != "InService":
        why = f"the endpoint is {endpoint['EndpointStatus']}: {endpoint.get('FailureReason', 'no reason given')}"
    elif endpoint["EndpointConfigName"] != wanted:
        why = f"the endpoint serves {endpoint['EndpointConfigName']}, the stack says {wanted}"
    else:
        return
    raise StackFailed(
        "The stack is complete, but its endpoint does not serve this release",
        resource=stack_name,
        why=why,
        fix="look at the endpoint in the SageMaker console; an alarm may have rolled it back",
    )
